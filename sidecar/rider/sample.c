#include "sample.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CPU_SECONDS 0.09 // the kernel counts in hundredths: over less time, one of them would be many percent

static struct json begin(const char *scope)
{
    struct json j = {0};
    json_open(&j, NULL, '{');
    json_number(&j, "ts", wall_seconds());
    json_text(&j, "scope", scope);
    return j;
}

static void end(struct json *j, struct sink *out)
{
    json_close(j, '}');
    json_close(j, '}');
    buf_add(&j->out, "\n", 1);
    if (!j->out.broken)
        sink_write(out, j->out.data, j->out.len);
    buf_free(&j->out);
}

// "<key>: <number>" or "<key>:\t<number> kB" in a file of /proc/<pid>.
static bool field(const char *text, const char *key, uint64_t *out)
{
    const char *line = strstr(text, key);
    if (!line)
        return false;
    line += strlen(key);
    line += strspn(line, " \t");
    return parse_u64(line, strspn(line, "0123456789"), out);
}

static bool small(pid_t pid, const char *name, char *out, size_t cap)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    return read_small(AT_FDCWD, path, out, cap) > 0;
}

static void sample_rank(struct sampler *s, struct rank *r, struct sink *out)
{
    struct stat_line line;
    char text[4096];
    uint64_t value;
    double ticks = (double)sysconf(_SC_CLK_TCK), now = (double)mono_ms() / 1000;
    if (!stat_read(r->pid, &line) || line.started != r->started || line.state == 'Z')
        return;
    double seconds = (double)(line.user + line.system) / ticks;
    struct json j = begin("rank");
    json_int(&j, "rank", r->rank);
    json_int(&j, "localRank", r->local);
    json_int(&j, "pid", r->pid);
    json_text(&j, "container", s->container);
    json_open(&j, "m", '{');
    if (now - r->cpu_at > CPU_SECONDS) {
        json_number(&j, "cpu", 100 * (seconds - r->cpu_seconds) / (now - r->cpu_at));
        r->cpu_at = now;
        r->cpu_seconds = seconds;
    }
    if (small(r->pid, "status", text, sizeof text) && field(text, "\nVmRSS:", &value))
        json_number(&j, "proc.memory.rssMB", (double)value / 1024);
    json_int(&j, "proc.cpu.threads", (int64_t)line.threads);
    if (small(r->pid, "io", text, sizeof text)) {
        if (field(text, "\nread_bytes:", &value))
            json_number(&j, "proc.io.readMB", (double)value / MIB);
        if (field(text, "\nwrite_bytes:", &value))
            json_number(&j, "proc.io.writtenMB", (double)value / MIB);
    }
    end(&j, out);
}

static void sample_container(struct sampler *s, struct sink *out)
{
    struct cgroup_use use;
    uint64_t value;
    double now = (double)mono_ms() / 1000;
    cgroup_use(&s->group, &use);
    struct json j = begin("container");
    json_text(&j, "container", s->container);
    json_open(&j, "m", '{');
    if (use.has_cpu && now > s->cpu_at)
        json_number(&j, "container.cpu", 100 * (use.cpu_seconds - s->cpu_seconds) / (now - s->cpu_at));
    if (use.has_throttle && use.periods >= s->periods) {
        uint64_t periods = use.periods - s->periods;
        json_number(&j, "container.cpu.throttledPercent", periods ? 100.0 * (double)(use.throttled - s->throttled) / (double)periods : 0);
    }
    s->cpu_at = now;
    s->cpu_seconds = use.cpu_seconds;
    s->periods = use.periods;
    s->throttled = use.throttled;
    if (use.has_memory)
        json_number(&j, "container.memory.usedMB", (double)use.memory / MIB);
    if (cgroup_memory_limit(&s->group, &value))
        json_number(&j, "container.memory.limitMB", (double)value / MIB);
    if (use.has_peak)
        json_number(&j, "container.memory.peakMB", (double)use.peak / MIB);
    if (cgroup_oom_kills(&s->group, &value))
        json_int(&j, "container.oomKills", (int64_t)value);
    end(&j, out);
}

void sample_begin(struct sampler *s, const char *container)
{
    struct cgroup_use use;
    s->container = container;
    cgroup_find(&s->group);
    s->cpu_at = (double)mono_ms() / 1000;
    cgroup_use(&s->group, &use);
    s->cpu_seconds = use.cpu_seconds;
    s->periods = use.periods;
    s->throttled = use.throttled;
}

void sample(struct sampler *s, struct procs *procs, struct sink *out)
{
    for (size_t i = 0; i < procs->rank_count; i++)
        sample_rank(s, &procs->ranks[i], out);
    if (s->group.version)
        sample_container(s, out);
}
