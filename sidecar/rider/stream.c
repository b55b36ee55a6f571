#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wrap.h"

#define LOG_CAP (1ull << 30) // bytes of one stream that may wait for the collector, unless OUTRIDER_SPOOL_LIMIT says otherwise
#define SAMPLES_CAP (16ull << 20)
#define ASK_AGAIN_MS 50

static const char *const NAMES[] = {"stdout.log", "stderr.log"};

static bool rank_file(void *context, int64_t local)
{
    struct stream *s = context;
    size_t slot = local >= 0 && local < (int64_t)LENGTH(s->local_file) ? (size_t)local : LENGTH(s->local_file);
    bool *known = local < 0 ? &s->rank_file : slot < LENGTH(s->local_file) ? &s->local_file[slot] : NULL;
    if (known && *known)
        return true;
    // torchrun makes the files before it prints from them, so "not there" seldom changes: not asked for every line.
    uint64_t now = mono_ms();
    if (local < 0 && s->rank_file_asked_ms && now < s->rank_file_asked_ms + ASK_AGAIN_MS)
        return false;
    bool found = tree_rank_file(&s->wrap->tree, local, s->file.name);
    if (local < 0)
        s->rank_file_asked_ms = now;
    if (known)
        *known = found;
    return found;
}

static bool launched(void *context)
{
    struct stream *s = context;
    if (!s->wrap->launched)
        s->wrap->launched = tree_has_launch(&s->wrap->tree);
    return s->wrap->launched;
}

static bool reserve(struct buf *b, size_t n)
{
    b->data = malloc(n);
    b->cap = b->data ? n : 0;
    return b->data != NULL;
}

bool stream_open(struct wrap *w, int index, int *child_end)
{
    struct stream *s = &w->streams[index];
    int ends[2];
    struct stat st;
    s->wrap = w;
    s->prefix = (struct prefix){.template_seen = &w->template_seen, .exists = rank_file, .launched = launched, .context = s};
    console_open(&s->console, index + 1);
    // All memory that passing bytes on needs is there from the beginning.
    if (!reserve(&s->console.pending, 2 * CHUNK) || !reserve(&s->for_file, 2 * CHUNK) || pipe2(ends, O_CLOEXEC) != 0)
        return false;
    s->pipe = ends[0];
    *child_end = ends[1];
    if (fstat(ends[0], &st) == 0) {
        s->device = st.st_dev;
        s->inode = st.st_ino;
    }
    return fcntl(s->pipe, F_SETFL, O_NONBLOCK) == 0; // our end only; the command's stays as a program expects it
}

void stream_files(struct wrap *w)
{
    const char *text = getenv("OUTRIDER_SPOOL_LIMIT");
    uint64_t cap = LOG_CAP;
    if (text && !parse_u64(text, strlen(text), &cap))
        cap = LOG_CAP;
    for (int i = 0; i < 2; i++)
        sink_open(&w->streams[i].file, w->dir, NAMES[i], cap);
    sink_open(&w->samples, w->dir, "samples.jsonl", SAMPLES_CAP < cap ? SAMPLES_CAP : cap);
}

void stream_read(struct stream *s, size_t limit)
{
    char chunk[CHUNK];
    while (s->pipe >= 0 && limit > 0) {
        ssize_t n = read(s->pipe, chunk, limit < CHUNK ? limit : CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0) {
            stream_close(s);
            return;
        }
        limit -= (size_t)n;
        if (s->prefix.armed) {
            s->for_file.len = 0;
            prefix_feed(&s->prefix, chunk, (size_t)n, &s->console.pending, &s->for_file);
            sink_write(&s->file, s->for_file.data, s->for_file.len);
        } else {
            sink_write(&s->file, chunk, (size_t)n);
            buf_add(&s->console.pending, chunk, (size_t)n);
        }
        console_flush(&s->console);
    }
}

void stream_close(struct stream *s)
{
    if (s->pipe < 0)
        return;
    close(s->pipe);
    s->pipe = -1;
    s->for_file.len = 0;
    prefix_end(&s->prefix, &s->console.pending, &s->for_file);
    sink_write(&s->file, s->for_file.data, s->for_file.len);
    console_flush(&s->console);
}
