// The start folder's files as the sidecar needs them: torchrun's made readable, acknowledged bytes given back to the volume.
#pragma once
#include "sink.h"

#define TREE_FILES 2048

struct tree {
    int start; // the start folder, -1 if there is none
    char freed[512]; // the collector's file for this start, "" = unknown
    uint64_t freed_changed, freed_inode, freed_size; // of what was read last
    struct tree_file {
        uint64_t path, punched; // hash of the path; bytes below are given back
    } files[TREE_FILES];
    size_t file_count;
    bool cannot_punch;
};

void tree_open_torch(const struct tree *t); // chmod o+rx on folders, o+r on files, below torch/
bool tree_has_launch(const struct tree *t); // is there any folder below torch/
// Is there torch/<launch>/attempt_<n>/<local>/<name>? local < 0: any rank's.
bool tree_rank_file(const struct tree *t, int64_t local, const char *name);
// Reads the collector's file if it changed, moves `freed` of our own sinks on, punches holes. A malformed line is skipped.
// Returns errno of a file system that cannot punch, once, else 0.
int tree_punch(struct tree *t, struct sink *const *own, size_t own_count);
