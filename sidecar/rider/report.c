#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "info.h"
#include "redact.h"
#include "wrap.h"

#define ARGS_MAX 4096
#define YOUNG_AGAIN_MS 10000

static void place(struct json *j, const struct wrap *w)
{
    json_text(j, "container", w->container);
    json_int(j, "start", w->start);
}

static void end_fields(struct json *j, struct rank_end end)
{
    if (end.kind == END_CODE)
        json_int(j, "code", end.value);
    if (end.kind == END_SIGNAL)
        json_int(j, "signal", end.value);
}

static void oom_field(struct json *j, struct wrap *w)
{
    uint64_t kills;
    if (!cgroup_oom_kills(&w->sampler.group, &kills))
        return;
    json_int(j, "oomKills", (int64_t)(kills - (w->oom_kills < kills ? w->oom_kills : kills)));
    w->oom_kills = kills;
}

static size_t count(const char *const *argv)
{
    size_t n = 0;
    while (argv[n])
        n++;
    return n;
}

void report_container_start(struct wrap *w)
{
    char text[PATH_MAX];
    struct json j = event_begin("container.start");
    place(&j, w);
    json_int(&j, "pid", w->child);
    json_argv(&j, "argv", w->argv, count(w->argv));
    if (getcwd(text, sizeof text))
        json_text(&j, "cwd", text);
    json_int(&j, "uid", getuid());
    json_int(&j, "gid", getgid());
    if (gethostname(text, 256) == 0) {
        text[255] = 0;
        json_text(&j, "hostname", text);
    }
    event_end(&w->events, &j);
}

// ---------------------------------------------------------------- container.info
// Thousands of small files on a slow disk must not keep the output waiting: another process reads them.
void report_info_begin(struct wrap *w)
{
    int ends[2];
    w->info_pipe = -1;
    if (w->events.fd < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return;
    w->info_pid = w->procs.helper = fork();
    if (w->info_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct json j = event_begin("container.info");
        info_write(&j, &w->sampler.group, w->argv);
        json_close(&j, '}');
        for (size_t at = 0; !j.out.broken && at < j.out.len;) {
            ssize_t n = write(ends[1], j.out.data + at, j.out.len - at);
            if (n <= 0)
                break;
            at += (size_t)n;
        }
        _exit(0);
    }
    close(ends[1]);
    if (w->info_pid < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) {
        close(ends[0]);
        return;
    }
    w->info_pipe = ends[0];
}

void report_info_read(struct wrap *w)
{
    char chunk[4096];
    ssize_t n = 0;
    while (w->info_pipe >= 0 && ((n = read(w->info_pipe, chunk, sizeof chunk)) > 0 || (n < 0 && errno == EINTR)))
        if (n > 0)
            buf_add(&w->info, chunk, (size_t)n);
    if (w->info_pipe < 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)))
        return;
    close(w->info_pipe);
    w->info_pipe = -1;
    // A process that died in the middle leaves no valid object: nothing is better than half a line.
    if (w->info.len > 2 && w->info.data[w->info.len - 1] == '}') {
        w->info.len--; // event_end closes the object
        struct json j = {.out = w->info, .comma = true};
        event_end(&w->events, &j);
        w->info = (struct buf){0};
    }
    buf_free(&w->info);
}

// ---------------------------------------------------------------- ranks
// The path below the start folder that a rank's descriptor leads to; our own pipe is our own file if nobody else shares it.
static void descriptor(struct json *j, struct wrap *w, const struct rank_facts *facts, int fd)
{
    static const char *const keys[] = {"stdout", "stderr"};
    char link[64], target[PATH_MAX];
    struct stat st;
    size_t prefix = strlen(w->start_path);
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)facts->rank->pid, fd);
    ssize_t n = readlink(link, target, sizeof target - 1);
    if (n <= 0 || !prefix)
        return;
    target[n] = 0;
    if (strncmp(target, w->start_path, prefix) == 0 && target[prefix] == '/') {
        json_text(j, keys[fd - 1], target + prefix + 1);
        return;
    }
    if (!facts->alone || stat(link, &st) != 0)
        return;
    for (int i = 0; i < 2; i++)
        if (st.st_dev == w->streams[i].device && st.st_ino == w->streams[i].inode)
            json_text(j, keys[fd - 1], w->streams[i].file.name);
}

static void integer(struct json *j, const char *key, const struct buf *environ, const char *name)
{
    const char *text = environ_get(environ, name);
    int64_t value;
    if (text && parse_int(text, &value))
        json_int(j, key, value);
}

void report_rank_start(void *wrap, const struct rank_facts *facts)
{
    struct wrap *w = wrap;
    const struct rank *r = facts->rank;
    const char *argv[ARGS_MAX];
    size_t argc = 0;
    for (size_t at = 0; at + 1 < facts->cmdline.len && argc < ARGS_MAX; at += strlen(facts->cmdline.data + at) + 1)
        argv[argc++] = facts->cmdline.data + at;
    struct json j = event_begin("rank.start");
    place(&j, w);
    json_int(&j, "pid", r->pid);
    json_int(&j, "rank", r->rank);
    json_int(&j, "localRank", r->local);
    integer(&j, "worldSize", &facts->environ, "WORLD_SIZE");
    integer(&j, "localWorldSize", &facts->environ, "LOCAL_WORLD_SIZE");
    integer(&j, "groupRank", &facts->environ, "GROUP_RANK");
    if (r->has_restart)
        json_int(&j, "restart", r->restart);
    const char *run = environ_get(&facts->environ, "TORCHELASTIC_RUN_ID");
    if (run)
        json_text(&j, "launcherRunId", run);
    descriptor(&j, w, facts, 1);
    descriptor(&j, w, facts, 2);
    json_argv(&j, "argv", argv, argc);
    event_end(&w->events, &j);
    w->young_until_ms = mono_ms() + YOUNG_AGAIN_MS;
}

void report_rank_end(struct wrap *w, size_t index, struct rank_end end)
{
    struct rank r = w->procs.ranks[index];
    struct json j = event_begin("rank.exit");
    place(&j, w);
    json_int(&j, "pid", r.pid);
    json_int(&j, "rank", r.rank);
    json_int(&j, "localRank", r.local);
    if (r.has_restart)
        json_int(&j, "restart", r.restart);
    end_fields(&j, end);
    oom_field(&j, w);
    event_end(&w->events, &j);
    if (r.pidfd >= 0)
        close(r.pidfd);
    w->procs.ranks[index] = w->procs.ranks[--w->procs.rank_count];
    w->young_until_ms = mono_ms() + YOUNG_AGAIN_MS; // the launcher may start it anew
}

void report_container_exit(struct wrap *w)
{
    struct json j = event_begin("container.exit");
    place(&j, w);
    end_fields(&j, end_from_status(w->status));
    oom_field(&j, w);
    event_end(&w->events, &j);
}

// ---------------------------------------------------------------- losses
static void loss(struct wrap *w, struct sink *s)
{
    uint64_t bytes, offset;
    const char *reason;
    if (!sink_loss(s, &bytes, &offset, &reason))
        return;
    struct json j = event_begin("lost");
    json_text(&j, "path", s->name);
    json_int(&j, "bytes", (int64_t)bytes);
    json_int(&j, "offset", (int64_t)offset);
    json_text(&j, "reason", reason);
    event_end(&w->events, &j);
}

void report_losses(struct wrap *w, bool last)
{
    static const char *const names[] = {"stdout", "stderr"};
    for (int i = 0; i < 2; i++) {
        struct stream *s = &w->streams[i];
        loss(w, &s->file);
        if (s->console.discarded > 0 && (last || !s->console_told)) {
            char text[256];
            snprintf(text, sizeof text, "%llu bytes of %s did not reach the container's log, because its reader is gone or does not read; they are in %s.",
                     (unsigned long long)s->console.discarded, names[i], s->file.name);
            event_warning(&w->events, "ConsoleLost", text);
            s->console.discarded = 0;
            s->console_told = true;
        }
    }
    loss(w, &w->samples);
    if (w->events.dropped > 0) {
        uint64_t dropped = w->events.dropped;
        char text[128];
        w->events.dropped = 0;
        snprintf(text, sizeof text, "%llu events of the rider were too long or did not fit on the volume.", (unsigned long long)dropped);
        event_warning(&w->events, "EventsDropped", text);
    }
    if (w->procs.ranks_left_out > 0) {
        event_warning(&w->events, "TooManyRanks", "More than 512 ranks run in one container: the others are not watched.");
        w->procs.ranks_left_out = 0;
    }
    events_flush(&w->events);
}
