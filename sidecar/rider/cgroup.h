// The container's own control group, version 1 or 2: limits, use, throttling, OOM kills.
#pragma once
#include "util.h"

#define CGROUP_PATH 512

struct cgroup {
    int version; // 0: none found
    char memory[CGROUP_PATH], cpu[CGROUP_PATH], cpuacct[CGROUP_PATH]; // folders, "" = not there
};
void cgroup_find(struct cgroup *c);
bool cgroup_oom_kills(const struct cgroup *c, uint64_t *kills); // since the group began
bool cgroup_memory_limit(const struct cgroup *c, uint64_t *bytes); // false: unlimited or unknown
bool cgroup_cpu_limit(const struct cgroup *c, double *cores); // false: unlimited or unknown

struct cgroup_use {
    bool has_memory, has_peak, has_cpu, has_throttle;
    uint64_t memory; // bytes, page cache that can be dropped left out
    uint64_t peak;
    double cpu_seconds;
    uint64_t periods, throttled; // CFS periods, and those in which the group was stopped
};
void cgroup_use(const struct cgroup *c, struct cgroup_use *use);
