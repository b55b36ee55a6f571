// Files of a start folder and the console behind them. Failing to write is never an error for the command: it is counted.
#pragma once
#include "json.h"

// One append-only file. Bytes that could not be written are counted until `sink_loss` hands the number out.
struct sink {
    const char *name; // path below the start folder
    int fd; // -1: could not be opened
    uint64_t size; // bytes in the file
    uint64_t freed; // bytes below this offset were acknowledged by the collector
    uint64_t cap; // at most this many bytes beyond `freed`
    uint64_t lost, lost_at, lost_total; // not reported yet; where in the file; ever
    int error; // errno of the newest loss, 0 = our own cap
    uint64_t retry_ms; // no attempt before this time
    bool torn; // the last attempt failed: go on at the next line only
    bool open_line; // the last byte in the file is no newline
};
void sink_open(struct sink *s, int dirfd, const char *name, uint64_t cap);
void sink_write(struct sink *s, const char *bytes, size_t n);
bool sink_loss(struct sink *s, uint64_t *bytes, uint64_t *offset, const char **reason); // and resets

// events.jsonl: room for the last records is reserved on the volume before it can be full.
struct events {
    int fd; // -1: nowhere to write
    uint64_t size, reserved;
    struct buf pending; // lines (or the rest of one) that did not fit yet
    uint64_t dropped; // lines given up on because `pending` is bounded
};
void events_open(struct events *e, int dirfd, const char *name);
void events_flush(struct events *e);
// An event is built between these two: {"ts", "type", …}. A line over 64 KiB is dropped and counted.
struct json event_begin(const char *type);
void event_end(struct events *e, struct json *j);
void event_warning(struct events *e, const char *code, const char *message);

// The container's own stdout or stderr. Writing never blocks while other work waits, whatever is behind it.
struct console {
    int fd;
    enum { CONSOLE_FILE, CONSOLE_PIPE, CONSOLE_SOCKET, CONSOLE_OTHER } kind;
    bool no_wait; // the kernel takes RWF_NOWAIT on it
    bool gone; // its reader left
    uint64_t discarded; // bytes that came after that
    struct buf pending;
};
void console_open(struct console *c, int fd);
// Writes what fits without blocking; what does not stays pending. Returns false when the reader just left.
bool console_flush(struct console *c);
