#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

uint64_t mono_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

double wall_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (b->broken || n == 0)
        return;
    if (n > b->cap - b->len) {
        size_t cap = b->cap ? b->cap : 256;
        while (cap - b->len < n && cap < SIZE_MAX / 2)
            cap *= 2;
        char *grown = realloc(b->data, cap);
        if (!grown) {
            b->broken = true;
            return;
        }
        b->data = grown;
        b->cap = cap;
    }
    memcpy(b->data + b->len, bytes, n);
    b->len += n;
}

void buf_text(struct buf *b, const char *text)
{
    buf_add(b, text, strlen(text));
}

void buf_printf(struct buf *b, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0)
        buf_add(b, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

void buf_drop(struct buf *b, size_t n)
{
    if (n == 0)
        return;
    memmove(b->data, b->data + n, b->len - n);
    b->len -= n;
}

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

static ssize_t read_fd(int fd, char *out, size_t cap)
{
    size_t n = 0;
    while (n + 1 < cap) {
        ssize_t got = read(fd, out + n, cap - 1 - n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        n += (size_t)got;
    }
    out[n] = 0;
    return (ssize_t)n;
}

static ssize_t read_flags(int dirfd, const char *path, char *out, size_t cap, int flags)
{
    int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags);
    if (fd < 0)
        return -1;
    struct stat st;
    ssize_t n = -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        n = read_fd(fd, out, cap);
    else
        errno = EINVAL;
    int saved = errno;
    close(fd);
    errno = saved;
    return n;
}

ssize_t read_small(int dirfd, const char *path, char *out, size_t cap)
{
    return read_flags(dirfd, path, out, cap, O_NOFOLLOW);
}

ssize_t read_small_follow(const char *path, char *out, size_t cap)
{
    return read_flags(AT_FDCWD, path, out, cap, 0);
}

bool read_whole(const char *path, struct buf *b, size_t limit)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return false;
    bool ok = true;
    while (b->len < limit && !b->broken) {
        char chunk[4096];
        size_t want = limit - b->len < sizeof chunk ? limit - b->len : sizeof chunk;
        ssize_t got = read(fd, chunk, want);
        if (got < 0 && errno == EINTR)
            continue;
        ok = got >= 0;
        if (got <= 0)
            break;
        buf_add(b, chunk, (size_t)got);
    }
    close(fd);
    return ok && !b->broken;
}

bool parse_u64(const char *text, size_t n, uint64_t *out)
{
    uint64_t value = 0;
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool parse_int(const char *text, int64_t *out)
{
    bool negative = *text == '-';
    uint64_t value;
    if (!parse_u64(text + negative, strlen(text + negative), &value) || value > INT64_MAX)
        return false;
    *out = negative ? -(int64_t)value : (int64_t)value;
    return true;
}

bool parse_seconds(const char *text, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value > 0) || value > 1e9)
        return false;
    *out = value;
    return true;
}

bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && memcmp(text + n - m, end, m) == 0;
}

bool starts_with(const char *text, const char *begin)
{
    return strncmp(text, begin, strlen(begin)) == 0;
}

bool has_word(const char *text, const char *word)
{
    size_t m = strlen(word);
    for (; *text; text++)
        if (strncasecmp(text, word, m) == 0)
            return true;
    return false;
}

void complain(const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line + 7, sizeof line - 8, format, args);
    va_end(args);
    if (n < 0)
        return;
    memcpy(line, "rider: ", 7);
    size_t len = 7 + ((size_t)n < sizeof line - 9 ? (size_t)n : sizeof line - 9);
    line[len++] = '\n';
    // A lost sentence on stderr must not stop the command that is being wrapped.
    if (write(2, line, len) < 0)
        return;
}
