// samples.jsonl: what the ranks and the container use.
#pragma once
#include "cgroup.h"
#include "procs.h"
#include "sink.h"

struct sampler {
    struct cgroup group;
    const char *container;
    double cpu_at, cpu_seconds; // newest sample of the group
    uint64_t periods, throttled;
};
void sample_begin(struct sampler *s, const char *container); // rates are counted from here
// Writes one line a rank and one for the container; rates are those since the sample before.
void sample(struct sampler *s, struct procs *procs, struct sink *out);
