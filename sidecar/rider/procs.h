// Which processes below us are ranks, when they begin and how they end.
#pragma once
#include "json.h"

#define MAX_RANKS 512
#define PATH_BYTES 4096

struct proc { // one process seen by the newest scan
    pid_t pid, parent;
    uint64_t started, image; // clock ticks since boot; changes with exec
    bool below; // a descendant of ours
    bool pair; // its environment has RANK and LOCAL_RANK
    int64_t rank, local;
};

struct rank { // a rank that runs
    pid_t pid;
    int pidfd; // -1: kernel without pidfd, the scan sees the end
    uint64_t started;
    int64_t rank, local, restart;
    bool has_restart;
    double cpu_at, cpu_seconds; // newest sample
};

struct procs {
    struct proc *list;
    size_t count;
    struct rank ranks[MAX_RANKS];
    size_t rank_count;
    uint64_t ranks_seen, ranks_left_out;
    pid_t self, child, helper; // the wrapped command; a process of our own, no rank
    bool child_began; // until its exec, the command is a copy of ourselves: not its own name, files and environment
};

struct rank_end {
    enum { END_UNKNOWN, END_CODE, END_SIGNAL } kind;
    int value;
};
struct rank_end end_from_status(int wait_status);

// What /proc/<pid>/stat says; false if the process is gone.
struct stat_line {
    char state;
    pid_t parent;
    uint64_t user, system, threads, started, image;
    int exit_code; // a wait status, of a zombie
};
bool stat_read(pid_t pid, struct stat_line *out);
// How the process behind the pidfd ended: END_UNKNOWN where the kernel no longer tells.
struct rank_end rank_end_read(const struct rank *r);

// Looks at all processes; calls `found` for each new rank with its environment and command line.
struct rank_facts {
    const struct rank *rank;
    struct buf environ, cmdline; // NUL-separated
    bool alone; // the command itself, or the only rank of its launcher
};
void procs_scan(struct procs *p, void (*found)(void *context, const struct rank_facts *facts), void *context,
                void (*ended)(void *context, size_t index));
const char *environ_get(const struct buf *environ, const char *name); // NULL if unset
