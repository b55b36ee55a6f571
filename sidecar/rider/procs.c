#include "procs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define ENVIRON_MAX (1u << 20)
#define CMDLINE_MAX (64u << 10)
#define PROCS_MAX 65536

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

// ---------------------------------------------------------------- how a process ended
struct rank_end end_from_status(int wait_status)
{
    if (WIFSIGNALED(wait_status))
        return (struct rank_end){END_SIGNAL, WTERMSIG(wait_status)};
    if (WIFEXITED(wait_status))
        return (struct rank_end){END_CODE, WEXITSTATUS(wait_status)};
    return (struct rank_end){END_UNKNOWN, 0};
}

// linux/pidfd.h of 6.15, which libc headers do not have yet: the first version of the structure, 64 bytes.
struct pidfd_info_v0 {
    uint64_t mask, cgroupid;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
#define INFO_EXIT (1u << 3)
#define GET_INFO _IOWR(0xFF, 11, struct pidfd_info_v0)

static bool info_exit(int pidfd, int *status)
{
    struct pidfd_info_v0 info = {.mask = INFO_EXIT};
    if (ioctl(pidfd, GET_INFO, &info) != 0 || !(info.mask & INFO_EXIT))
        return false;
    *status = info.exit_code;
    return true;
}

struct rank_end rank_end_read(const struct rank *r)
{
    // The kernel keeps the status in the pidfd once the process is reaped (6.15); until then the zombie has it. Its parent may
    // reap it between the two questions, so both are asked twice.
    for (int round = 0; round < 2; round++) {
        int status;
        struct stat_line line;
        if (r->pidfd >= 0 && info_exit(r->pidfd, &status))
            return end_from_status(status);
        if (stat_read(r->pid, &line) && line.started == r->started && line.state == 'Z')
            return end_from_status(line.exit_code);
    }
    return (struct rank_end){END_UNKNOWN, 0};
}

bool stat_read(pid_t pid, struct stat_line *out)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    // Asked for every process once a second: as few system calls as can be. The kernel gives the line in one read.
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    char *rest = strrchr(text, ')'); // the name before it may hold anything
    if (!rest)
        return false;
    *out = (struct stat_line){0};
    int field = 3;
    uint64_t code_start = 0, env_start = 0;
    for (char *save = NULL, *word = strtok_r(rest + 1, " \n", &save); word; word = strtok_r(NULL, " \n", &save), field++) {
        uint64_t value = strtoull(word, NULL, 10);
        switch (field) {
        case 3: out->state = *word; break;
        case 4: out->parent = (pid_t)strtol(word, NULL, 10); break;
        case 14: out->user = value; break;
        case 15: out->system = value; break;
        case 20: out->threads = value; break;
        case 22: out->started = value; break;
        case 26: code_start = value; break;
        case 50: env_start = value; break;
        case 52: out->exit_code = (int)strtol(word, NULL, 10); break;
        default: break;
        }
    }
    out->image = code_start * 31 + env_start; // both move with every exec
    return field > 52;
}

// ---------------------------------------------------------------- environments
const char *environ_get(const struct buf *environ, const char *name)
{
    size_t n = strlen(name);
    for (size_t at = 0; at < environ->len;) {
        const char *entry = environ->data + at;
        size_t len = strnlen(entry, environ->len - at);
        // The buffer ends with a NUL that we added, so every entry does.
        if (len > n && entry[n] == '=' && memcmp(entry, name, n) == 0)
            return entry + n + 1;
        at += len + 1;
    }
    return NULL;
}

static bool proc_file(pid_t pid, const char *name, struct buf *out, size_t limit)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    bool ok = read_whole(path, out, limit);
    buf_add(out, "", 1);
    return ok && !out->broken;
}

static bool integer(const struct buf *environ, const char *name, int64_t *out)
{
    const char *text = environ_get(environ, name);
    return text && parse_int(text, out);
}

static void pair_read(struct proc *p)
{
    struct buf env = {0};
    p->pair = false;
    if (proc_file(p->pid, "environ", &env, ENVIRON_MAX)) {
        p->pair = integer(&env, "RANK", &p->rank) && integer(&env, "LOCAL_RANK", &p->local);
        if (env.len <= 1)
            p->image = 0; // in the middle of its exec: look again next time
    }
    buf_free(&env);
}

// ---------------------------------------------------------------- the table
static struct proc *find(struct proc *list, size_t count, pid_t pid)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (list[middle].pid < pid)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && list[low].pid == pid ? &list[low] : NULL;
}

static int by_pid(const void *a, const void *b)
{
    pid_t x = ((const struct proc *)a)->pid, y = ((const struct proc *)b)->pid;
    return (x > y) - (x < y);
}

static struct proc *list_all(size_t *count)
{
    DIR *dir = opendir("/proc");
    struct proc *list = NULL;
    size_t cap = 0;
    *count = 0;
    if (!dir)
        return NULL;
    for (struct dirent *entry; (entry = readdir(dir)) && *count < PROCS_MAX;) {
        uint64_t pid;
        struct stat_line line;
        if (!parse_u64(entry->d_name, strlen(entry->d_name), &pid) || !stat_read((pid_t)pid, &line))
            continue;
        if (line.state == 'Z')
            line.image = 1; // nothing to read there any more
        if (*count == cap) {
            cap = cap ? cap * 2 : 64;
            struct proc *grown = realloc(list, cap * sizeof *list);
            if (!grown)
                break;
            list = grown;
        }
        list[(*count)++] = (struct proc){.pid = (pid_t)pid, .parent = line.parent, .started = line.started, .image = line.image};
    }
    closedir(dir);
    if (list)
        qsort(list, *count, sizeof *list, by_pid);
    return list;
}

static bool below(struct proc *list, size_t count, const struct proc *p, pid_t self)
{
    for (int depth = 0; p && depth < 256; depth++) {
        if (p->parent == self)
            return true;
        if (p->parent <= 1)
            return false;
        p = find(list, count, p->parent);
    }
    return false;
}

static bool known(const struct procs *p, const struct proc *candidate)
{
    for (size_t i = 0; i < p->rank_count; i++)
        if (p->ranks[i].pid == candidate->pid && p->ranks[i].started == candidate->started)
            return true;
    return false;
}

// The pair came from the parent, or from one that died: its worker, not a rank.
static bool inherited(struct procs *p, struct proc *list, size_t count, const struct proc *candidate)
{
    if (candidate->pid == p->child)
        return false;
    if (candidate->pid == p->helper)
        return true;
    if (candidate->parent == p->self)
        return p->ranks_seen > 0;
    const struct proc *parent = find(list, count, candidate->parent);
    return parent && parent->pair && parent->rank == candidate->rank && parent->local == candidate->local;
}

static void begin(struct procs *p, const struct proc *candidate, void (*found)(void *, const struct rank_facts *), void *context)
{
    struct rank_facts facts = {0};
    struct rank *r = &p->ranks[p->rank_count];
    struct stat_line line;
    int64_t number;
    if (p->rank_count == MAX_RANKS) {
        p->ranks_left_out++;
        return;
    }
    int pidfd = (int)syscall(SYS_pidfd_open, candidate->pid, 0);
    bool readable = proc_file(candidate->pid, "environ", &facts.environ, ENVIRON_MAX);
    proc_file(candidate->pid, "cmdline", &facts.cmdline, CMDLINE_MAX);
    double read_at = (double)mono_ms() / 1000;
    // The number may belong to another process by now.
    if (readable && stat_read(candidate->pid, &line) && line.started == candidate->started) {
        *r = (struct rank){.pid = candidate->pid, .pidfd = pidfd, .started = candidate->started, .rank = candidate->rank, .local = candidate->local};
        r->cpu_at = read_at;
        r->cpu_seconds = (double)(line.user + line.system) / (double)sysconf(_SC_CLK_TCK);
        r->has_restart = integer(&facts.environ, "TORCHELASTIC_RESTART_COUNT", &r->restart);
        p->rank_count++;
        p->ranks_seen++;
        facts.rank = r;
        facts.alone = candidate->pid == p->child || (integer(&facts.environ, "LOCAL_WORLD_SIZE", &number) && number == 1);
        found(context, &facts);
    } else if (pidfd >= 0)
        close(pidfd);
    buf_free(&facts.environ);
    buf_free(&facts.cmdline);
}

void procs_scan(struct procs *p, void (*found)(void *, const struct rank_facts *), void *context, void (*ended)(void *, size_t))
{
    size_t count;
    struct proc *list = list_all(&count);
    if (!list)
        return;
    bool *changed = calloc(count, sizeof *changed);
    for (size_t i = 0; changed && i < count; i++) {
        struct proc *now = &list[i], *before = find(p->list, p->count, now->pid);
        now->below = below(list, count, now, p->self);
        if (!now->below || (now->pid == p->child && !p->child_began))
            continue;
        if (before && before->started == now->started && (before->image == now->image || now->image == 1)) {
            now->pair = before->pair;
            now->rank = before->rank;
            now->local = before->local;
            continue;
        }
        pair_read(now);
        changed[i] = true;
    }
    for (size_t i = 0; changed && i < count; i++)
        if (changed[i] && list[i].pair && !known(p, &list[i]) && !inherited(p, list, count, &list[i]))
            begin(p, &list[i], found, context);
    // Without pidfd the end of a rank shows here only.
    for (size_t i = p->rank_count; i-- > 0;) {
        struct stat_line line;
        if (p->ranks[i].pidfd < 0 &&
            (!stat_read(p->ranks[i].pid, &line) || line.started != p->ranks[i].started || line.state == 'Z'))
            ended(context, i);
    }
    free(changed);
    free(p->list);
    p->list = list;
    p->count = count;
}
