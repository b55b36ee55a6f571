#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define RETRY_MS 1000
#define RESERVE (64u << 10) // bytes of events.jsonl that the volume holds free for us
#define EVENT_MAX (64u << 10)
#define PENDING_MAX (256u << 10)
#ifndef RWF_NOWAIT
#define RWF_NOWAIT 8
#endif

// ---------------------------------------------------------------- files
static int open_log(int dirfd, const char *name, uint64_t *size)
{
    int fd = openat(dirfd, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    struct stat st;
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    // The trainer's umask must not hide the file from the sidecar, which has another UID.
    if (fchmod(fd, 0644) != 0)
        complain("cannot make %s readable for the sidecar: %s", name, strerror(errno));
    *size = (uint64_t)st.st_size;
    return fd;
}

void sink_open(struct sink *s, int dirfd, const char *name, uint64_t cap)
{
    *s = (struct sink){.name = name, .cap = cap, .fd = -1, .error = ENOENT};
    if (dirfd >= 0)
        s->fd = open_log(dirfd, name, &s->size);
    if (s->fd < 0)
        s->error = errno;
}

static void lose(struct sink *s, uint64_t n, int error)
{
    if (s->lost == 0)
        s->lost_at = s->size;
    s->lost += n;
    s->lost_total += n;
    s->error = error;
}

static void fail(struct sink *s, uint64_t n, int error)
{
    lose(s, n, error);
    s->torn = true;
    s->retry_ms = mono_ms() + RETRY_MS;
}

static uint64_t room_left(const struct sink *s)
{
    uint64_t end = s->cap > UINT64_MAX - s->freed ? UINT64_MAX : s->freed + s->cap;
    return end > s->size ? end - s->size : 0;
}

void sink_write(struct sink *s, const char *bytes, size_t n)
{
    if (n == 0)
        return;
    if (s->fd < 0) {
        lose(s, n, s->error);
        return;
    }
    if (s->torn) {
        const char *newline = mono_ms() >= s->retry_ms ? memchr(bytes, '\n', n) : NULL;
        size_t skip = newline ? (size_t)(newline - bytes) + 1 : n;
        lose(s, skip, s->error);
        if (!newline)
            return;
        bytes += skip;
        n -= skip;
        // Whole lines only from here on: the torn one is ended, or else the next line would become a part of it.
        if (s->open_line) {
            ssize_t put = room_left(s) > 0 ? write(s->fd, "\n", 1) : 0;
            if (put != 1) {
                fail(s, n, put < 0 ? errno : 0);
                return;
            }
            s->size++;
            s->open_line = false;
        }
        s->torn = false;
    }
    uint64_t room = room_left(s);
    size_t take = n < room ? n : (size_t)room, done = 0;
    while (done < take) {
        ssize_t put = write(s->fd, bytes + done, take - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            fail(s, n - done, put < 0 ? errno : ENOSPC);
            return;
        }
        done += (size_t)put;
        s->size += (size_t)put;
        s->open_line = bytes[done - 1] != '\n';
    }
    if (take < n)
        fail(s, n - take, 0);
}

bool sink_loss(struct sink *s, uint64_t *bytes, uint64_t *offset, const char **reason)
{
    if (s->lost == 0)
        return false;
    *bytes = s->lost;
    *offset = s->lost_at;
    *reason = s->error ? strerror(s->error) : "the collector is behind: the cap of unsent bytes was reached";
    s->lost = 0;
    return true;
}

// ---------------------------------------------------------------- events
static void reserve(struct events *e)
{
    // Best effort: a file system without fallocate only loses the promise for a full volume.
    if (e->size + RESERVE / 2 > e->reserved &&
        fallocate(e->fd, FALLOC_FL_KEEP_SIZE, (off_t)e->size, RESERVE) == 0)
        e->reserved = e->size + RESERVE;
}

void events_open(struct events *e, int dirfd, const char *name)
{
    *e = (struct events){.fd = dirfd < 0 ? -1 : open_log(dirfd, name, &e->size)};
    if (e->fd >= 0)
        reserve(e);
}

void events_flush(struct events *e)
{
    while (e->fd >= 0 && e->pending.len > 0) {
        ssize_t put = write(e->fd, e->pending.data, e->pending.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return;
        e->size += (size_t)put;
        buf_drop(&e->pending, (size_t)put);
        reserve(e);
    }
}

struct json event_begin(const char *type)
{
    struct json j = {0};
    json_open(&j, NULL, '{');
    json_number(&j, "ts", wall_seconds());
    json_text(&j, "type", type);
    return j;
}

void event_end(struct events *e, struct json *j)
{
    json_close(j, '}');
    buf_add(&j->out, "\n", 1);
    if (j->out.broken || j->out.len > EVENT_MAX || e->pending.len + j->out.len > PENDING_MAX)
        e->dropped++;
    else if (e->fd >= 0)
        buf_add(&e->pending, j->out.data, j->out.len);
    buf_free(&j->out);
    events_flush(e);
}

void event_warning(struct events *e, const char *code, const char *message)
{
    struct json j = event_begin("warning");
    json_text(&j, "code", code);
    json_text(&j, "message", message);
    event_end(e, &j);
}

// ---------------------------------------------------------------- console
void console_open(struct console *c, int fd)
{
    struct stat st;
    *c = (struct console){.fd = fd, .kind = CONSOLE_OTHER, .no_wait = true};
    if (fstat(fd, &st) != 0)
        c->gone = true; // started without this descriptor
    else if (S_ISREG(st.st_mode))
        c->kind = CONSOLE_FILE;
    else if (S_ISFIFO(st.st_mode))
        c->kind = CONSOLE_PIPE;
    else if (S_ISSOCK(st.st_mode))
        c->kind = CONSOLE_SOCKET;
}

// O_NONBLOCK is no way: the open file may be shared with others, who would find it non-blocking too.
static ssize_t put(struct console *c, const char *bytes, size_t n)
{
    if (c->kind == CONSOLE_FILE)
        return write(c->fd, bytes, n);
    if (c->kind == CONSOLE_SOCKET)
        return send(c->fd, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (c->kind == CONSOLE_PIPE && c->no_wait) {
        struct iovec part = {(void *)(uintptr_t)bytes, n};
        ssize_t done = syscall(SYS_pwritev2, c->fd, &part, 1, -1L, -1L, RWF_NOWAIT);
        if (done >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != ESPIPE))
            return done;
        c->no_wait = false;
    }
    // A pipe that polls writable takes PIPE_BUF bytes at once.
    struct pollfd ready = {.fd = c->fd, .events = POLLOUT};
    if (poll(&ready, 1, 0) == 0) {
        errno = EAGAIN;
        return -1;
    }
    return write(c->fd, bytes, n < PIPE_BUF ? n : PIPE_BUF);
}

bool console_flush(struct console *c)
{
    size_t done = 0;
    while (done < c->pending.len && !c->gone) {
        ssize_t n = put(c, c->pending.data + done, c->pending.len - done);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        c->discarded += c->pending.len - done;
        c->pending.len = 0;
        if (c->kind == CONSOLE_FILE && errno != EBADF)
            return true; // a full disk behind a redirected stdout may have room again
        c->gone = true;
        return false;
    }
    if (c->gone) {
        c->discarded += c->pending.len - done;
        c->pending.len = 0;
    } else
        buf_drop(&c->pending, done);
    return true;
}
