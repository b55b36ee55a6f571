// Takes the rank prefixes out of what torchrun prints.
//
// torchrun's tee writes "<prefix><text>" for every piece it reads from a rank's file: a piece is a line, or what stood there of
// an unfinished one, so a prefix may also stand in the middle of a rank's line. With the template that `wrap` sets, the
// prefix is "[outrider:<rank>]:"; torch before 2.2 ignores the template and writes "[<role><local rank>]:".
// Pure: bytes in, bytes out, no I/O but the question below.
#pragma once
#include "util.h"

#define PREFIX_TEMPLATE "[outrider:${rank}]:"
#define PREFIX_HELD 160 // an unfinished prefix is never longer
#define ROLE_MAX 128

// Does a rank's own file exist for this stream? local < 0 asks for any rank's.
typedef bool (*rank_file_exists)(void *context, int64_t local);

struct prefix {
    bool armed; // we set torchrun's environment; else bytes pass untouched
    bool *template_seen; // shared by both streams: torch honours the template, old prefixes are then ordinary text
    char role[ROLE_MAX]; // torchrun's --role
    rank_file_exists exists;
    bool (*launched)(void *context); // has torchrun made its folder: only then may a possible prefix be held back
    void *context;

    bool rank_line; // inside a rank's line
    bool in_file; // … whose bytes stand in no file of the rank: they belong into ours
    char last; // newest byte of the rank in this line, 0 right behind a prefix
    bool middle; // not at the beginning of a line
    size_t held; // bytes at the end of the last input that may become a prefix
    char hold[PREFIX_HELD];
};

// Appends what the console gets and what our own file gets to the two buffers.
void prefix_feed(struct prefix *p, const char *bytes, size_t n, struct buf *console, struct buf *file);
void prefix_end(struct prefix *p, struct buf *console, struct buf *file); // lets go of what was held
