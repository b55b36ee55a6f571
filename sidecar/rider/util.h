// Small helpers: clocks, whole-file reads, growing buffers, numbers. Nothing here ends the process.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))
#define MIB (1024.0 * 1024.0)

uint64_t mono_ms(void); // monotonic clock, milliseconds
double wall_seconds(void); // Unix time, seconds

// A byte buffer that grows. After a failed allocation `broken` stays set and further bytes are dropped.
struct buf {
    char *data;
    size_t len, cap;
    bool broken;
};
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_text(struct buf *b, const char *text);
__attribute__((format(printf, 2, 3))) void buf_printf(struct buf *b, const char *format, ...);
void buf_drop(struct buf *b, size_t n); // forgets the first n bytes
void buf_free(struct buf *b);

// Up to cap - 1 bytes of a file, NUL-terminated. Symbolic links and anything that is no regular file are refused
// (procfs counts as regular). Returns the length or -1 with errno.
ssize_t read_small(int dirfd, const char *path, char *out, size_t cap);
ssize_t read_small_follow(const char *path, char *out, size_t cap); // the same, links allowed (system files)
// A whole file of at most `limit` bytes into b (links allowed: for /proc and system files). False if unreadable.
bool read_whole(const char *path, struct buf *b, size_t limit);

bool parse_u64(const char *text, size_t n, uint64_t *out); // only digits, no overflow
bool parse_int(const char *text, int64_t *out); // a whole decimal string with an optional minus
bool parse_seconds(const char *text, double *out); // a positive decimal number
bool ends_with(const char *text, const char *end);
bool starts_with(const char *text, const char *begin);
bool has_word(const char *text, const char *word); // case-insensitive "contains"
__attribute__((format(printf, 1, 2))) void complain(const char *format, ...); // one line "rider: …" on stderr
