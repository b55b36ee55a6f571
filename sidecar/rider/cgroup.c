#include "cgroup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ROOT "/sys/fs/cgroup"

static bool file_at(const char *dir, const char *name, char *out, size_t cap)
{
    char path[CGROUP_PATH + 64];
    if (!*dir)
        return false;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return read_small_follow(path, out, cap) > 0;
}

static bool number_at(const char *dir, const char *name, uint64_t *out)
{
    char text[64];
    if (!file_at(dir, name, text, sizeof text))
        return false;
    return parse_u64(text, strcspn(text, "\n"), out); // "max" is no number
}

// "key value" in a file of such lines.
static bool keyed(const char *text, const char *key, uint64_t *out)
{
    size_t n = strlen(key);
    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, key, n) == 0 && line[n] == ' ')
            return parse_u64(line + n + 1, strcspn(line + n + 1, "\n"), out);
    return false;
}

// The path of /proc/self/cgroup exists below the mount on a host; inside a container the mount itself is the group.
static void choose(char *out, const char *mount, const char *path, const char *probe)
{
    char dir[CGROUP_PATH], file[CGROUP_PATH + 64];
    const char *const candidates[] = {path, ""};
    *out = 0;
    for (size_t i = 0; i < LENGTH(candidates); i++) {
        if (snprintf(dir, sizeof dir, ROOT "%s%s", mount, candidates[i]) >= (int)sizeof dir)
            continue;
        snprintf(file, sizeof file, "%s/%s", dir, probe);
        if (access(file, R_OK) == 0) {
            strcpy(out, dir);
            return;
        }
    }
}

// Controllers of version 1 may be mounted alone or together ("cpu,cpuacct").
static void choose_v1(char *out, const char *text, const char *controller, const char *probe)
{
    size_t n = strlen(controller);
    *out = 0;
    for (const char *line = text; line && *line && !*out; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        char mount[64] = "/", path[CGROUP_PATH] = "";
        const char *names = strchr(line, ':'), *colon = names ? strchr(names + 1, ':') : NULL;
        if (!colon)
            continue;
        size_t len = (size_t)(colon - names) - 1, end = strcspn(colon + 1, "\n");
        bool listed = false;
        for (size_t at = 0; at < len;) {
            size_t word = strcspn(names + 1 + at, ",:");
            listed |= word == n && memcmp(names + 1 + at, controller, n) == 0;
            at += word + 1;
        }
        if (!listed || len + 2 > sizeof mount || end >= sizeof path)
            continue;
        memcpy(path, colon + 1, end);
        path[end] = 0;
        memcpy(mount + 1, names + 1, len);
        mount[1 + len] = 0;
        choose(out, mount, path, probe);
        snprintf(mount, sizeof mount, "/%s", controller);
        if (!*out)
            choose(out, mount, path, probe);
    }
}

void cgroup_find(struct cgroup *c)
{
    char text[8192];
    *c = (struct cgroup){0};
    if (read_small_follow("/proc/self/cgroup", text, sizeof text) <= 0)
        return;
    if (access(ROOT "/cgroup.controllers", R_OK) == 0) {
        char path[CGROUP_PATH] = "";
        const char *own = starts_with(text, "0::") ? text : strstr(text, "\n0::");
        if (own)
            snprintf(path, sizeof path, "%.*s", (int)strcspn(strstr(own, "::") + 2, "\n"), strstr(own, "::") + 2);
        if (strcmp(path, "/") == 0)
            *path = 0;
        choose(c->cpu, "", path, "cpu.stat");
        choose(c->memory, "", path, "memory.events");
        strcpy(c->cpuacct, c->cpu);
        c->version = 2;
        return;
    }
    choose_v1(c->memory, text, "memory", "memory.usage_in_bytes");
    choose_v1(c->cpu, text, "cpu", "cpu.stat");
    choose_v1(c->cpuacct, text, "cpuacct", "cpuacct.usage");
    c->version = *c->memory || *c->cpu || *c->cpuacct ? 1 : 0;
}

bool cgroup_oom_kills(const struct cgroup *c, uint64_t *kills)
{
    char text[1024];
    return file_at(c->memory, c->version == 2 ? "memory.events" : "memory.oom_control", text, sizeof text) &&
           keyed(text, "oom_kill", kills);
}

bool cgroup_memory_limit(const struct cgroup *c, uint64_t *bytes)
{
    // Version 1 says "unlimited" as a huge number.
    return number_at(c->memory, c->version == 2 ? "memory.max" : "memory.limit_in_bytes", bytes) && *bytes < (1ull << 60);
}

bool cgroup_cpu_limit(const struct cgroup *c, double *cores)
{
    char text[64];
    uint64_t quota, period;
    if (c->version == 2) {
        if (!file_at(c->cpu, "cpu.max", text, sizeof text))
            return false;
        size_t n = strcspn(text, " ");
        if (!text[n] || !parse_u64(text, n, &quota) || !parse_u64(text + n + 1, strcspn(text + n + 1, "\n"), &period))
            return false;
    } else if (!number_at(c->cpu, "cpu.cfs_quota_us", &quota) || !number_at(c->cpu, "cpu.cfs_period_us", &period))
        return false; // -1 is no number: unlimited
    if (period == 0)
        return false;
    *cores = (double)quota / (double)period;
    return true;
}

void cgroup_use(const struct cgroup *c, struct cgroup_use *use)
{
    char text[8192];
    uint64_t value;
    bool two = c->version == 2;
    *use = (struct cgroup_use){0};
    use->has_memory = number_at(c->memory, two ? "memory.current" : "memory.usage_in_bytes", &use->memory);
    if (use->has_memory && file_at(c->memory, "memory.stat", text, sizeof text) &&
        keyed(text, two ? "inactive_file" : "total_inactive_file", &value))
        use->memory -= value < use->memory ? value : use->memory;
    use->has_peak = number_at(c->memory, two ? "memory.peak" : "memory.max_usage_in_bytes", &use->peak);
    if (two) {
        use->has_cpu = file_at(c->cpu, "cpu.stat", text, sizeof text) && keyed(text, "usage_usec", &value);
        use->cpu_seconds = use->has_cpu ? (double)value / 1e6 : 0;
    } else {
        use->has_cpu = number_at(c->cpuacct, "cpuacct.usage", &value);
        use->cpu_seconds = use->has_cpu ? (double)value / 1e9 : 0;
    }
    use->has_throttle = file_at(c->cpu, "cpu.stat", text, sizeof text) && keyed(text, "nr_periods", &use->periods) &&
                        keyed(text, "nr_throttled", &use->throttled);
}
