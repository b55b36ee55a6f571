// One wrapped command: what its parts share.
#pragma once
#include <limits.h>

#include "prefix.h"
#include "procs.h"
#include "sample.h"
#include "sink.h"
#include "tree.h"

#define NO_STATUS (-1)
#define CHUNK (64u << 10) // bytes of a pipe that are read at once

struct wrap;

struct stream { // the command's stdout or stderr
    struct wrap *wrap;
    int pipe; // our end; -1 after its end
    dev_t device; // of the pipe, to recognise a rank that writes straight into it
    ino_t inode;
    struct sink file;
    struct console console;
    bool console_told; // a warning about its reader was written
    struct prefix prefix;
    struct buf for_file;
    bool rank_file; // some rank's own file was seen
    uint64_t rank_file_asked_ms; // when it was last looked for
    bool local_file[64]; // the same for one local rank
};

struct wrap {
    const char *const *argv; // the command
    char container[256];
    char start_path[PATH_MAX]; // real path of the start folder, "" = there is none
    int64_t start;
    int dir; // the start folder, -1 = there is none
    bool torch, template_seen, launched; // torchrun's environment is ours; what was seen of it
    struct events events;
    struct stream streams[2];
    struct sink samples;
    struct procs procs;
    struct sampler sampler;
    struct tree tree;
    uint64_t oom_kills; // reported so far
    pid_t child;
    int status; // of the command; NO_STATUS while it runs
    pid_t info_pid; // the process that collects container.info, 0 = none
    int info_pipe;
    int exec_pipe; // ends when the command's program has begun; -1 after that
    struct buf info;
    uint64_t young_until_ms;
};

// start.c: the folder of this start, and what torchrun is told. Both leave things as they are where they cannot.
void start_folder(struct wrap *w, const char *dir);
void start_torch(struct wrap *w);

// stream.c
bool stream_open(struct wrap *w, int index, int *child_end); // false: no pipe or no memory
void stream_files(struct wrap *w); // opens stdout.log and stderr.log, or counts what they would have had
void stream_read(struct stream *s, size_t limit); // at most `limit` bytes that are there, to file and console
void stream_close(struct stream *s); // lets go of what was held

// report.c: events
void report_container_start(struct wrap *w);
void report_info_begin(struct wrap *w); // starts the process that collects it
void report_info_read(struct wrap *w); // takes what it wrote; writes the event at its end
void report_rank_start(void *wrap, const struct rank_facts *facts);
void report_rank_end(struct wrap *w, size_t index, struct rank_end end); // and forgets the rank
void report_container_exit(struct wrap *w);
void report_losses(struct wrap *w, bool last);

int wrap_main(int argc, char **argv);
