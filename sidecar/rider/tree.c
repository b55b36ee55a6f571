#include "tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FREED_MAX (1u << 20) // bytes of the collector's file that are looked at
#define PAGE 4096u
#define STEP (256u << 10) // a hole grows by at least this much: fewer extents
#define TORCH_MARGIN (4u << 20) // torchrun's own reader may still be this far behind

static int open_dir(int at, const char *name)
{
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static DIR *list_dir(int at, const char *name)
{
    int fd = open_dir(at, name);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

static bool hidden(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static bool attempt_number(const char *name, int64_t *out)
{
    return starts_with(name, "attempt_") && parse_int(name + 8, out) && *out >= 0;
}

// ---------------------------------------------------------------- readable for the sidecar
// Only what is ours: a folder that another user put there is that user's business. For the group too: where the pod has an fsGroup,
// the sidecar is in the files' group, and then the bits for others are not asked.
static void open_up(int fd, mode_t bits)
{
    static bool told;
    struct stat st;
    if (fstat(fd, &st) != 0 || (st.st_mode & bits) == bits || st.st_uid != geteuid())
        return;
    if (fchmod(fd, (st.st_mode & 07777) | bits) != 0 && !told) {
        told = true;
        complain("cannot open torchrun's log files for the sidecar: %s. Output of ranks is only in this log.", strerror(errno));
    }
}

static void open_rank(int attempt, const char *name)
{
    static const char *const files[] = {"stdout.log", "stderr.log", "error.json"};
    int dir = open_dir(attempt, name);
    if (dir < 0)
        return;
    open_up(dir, 0055);
    for (size_t i = 0; i < LENGTH(files); i++) {
        struct stat st;
        if (fstatat(dir, files[i], &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 0044) == 0044 || st.st_nlink != 1)
            continue;
        int fd = openat(dir, files[i], O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd < 0)
            continue;
        open_up(fd, 0044);
        close(fd);
    }
    close(dir);
}

static void open_attempt(int launch, const char *name)
{
    DIR *dir = list_dir(launch, name);
    if (!dir)
        return;
    open_up(dirfd(dir), 0055);
    for (struct dirent *e; (e = readdir(dir));)
        if (!hidden(e->d_name))
            open_rank(dirfd(dir), e->d_name);
    closedir(dir);
}

// Only the two newest attempts: the older ones were opened while they were new.
static void open_launch(DIR *launch)
{
    int64_t newest = -1, n;
    open_up(dirfd(launch), 0055);
    for (struct dirent *a; (a = readdir(launch));)
        if (attempt_number(a->d_name, &n) && n > newest)
            newest = n;
    rewinddir(launch);
    for (struct dirent *a; (a = readdir(launch));)
        if (attempt_number(a->d_name, &n) && n >= newest - 1)
            open_attempt(dirfd(launch), a->d_name);
}

void tree_open_torch(const struct tree *t)
{
    DIR *torch = t->start >= 0 ? list_dir(t->start, "torch") : NULL;
    if (!torch)
        return;
    for (struct dirent *l; (l = readdir(torch));) {
        DIR *launch = hidden(l->d_name) ? NULL : list_dir(dirfd(torch), l->d_name);
        if (!launch)
            continue;
        open_launch(launch);
        closedir(launch);
    }
    closedir(torch);
}

bool tree_has_launch(const struct tree *t)
{
    DIR *torch = t->start >= 0 ? list_dir(t->start, "torch") : NULL;
    bool found = false;
    if (!torch)
        return false;
    for (struct dirent *e; !found && (e = readdir(torch));)
        found = !hidden(e->d_name);
    closedir(torch);
    return found;
}

static bool attempt_has(int launch, const char *attempt, int64_t local, const char *name)
{
    DIR *dir = list_dir(launch, attempt);
    bool found = false;
    if (!dir)
        return false;
    for (struct dirent *e; !found && (e = readdir(dir));) {
        int64_t n;
        char path[320];
        struct stat st;
        if (!parse_int(e->d_name, &n) || n < 0 || (local >= 0 && n != local))
            continue;
        snprintf(path, sizeof path, "%s/%s", e->d_name, name);
        found = fstatat(dirfd(dir), path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
    }
    closedir(dir);
    return found;
}

bool tree_rank_file(const struct tree *t, int64_t local, const char *name)
{
    DIR *torch = t->start >= 0 ? list_dir(t->start, "torch") : NULL;
    bool found = false;
    if (!torch)
        return false;
    for (struct dirent *l; !found && (l = readdir(torch));) {
        DIR *launch = hidden(l->d_name) ? NULL : list_dir(dirfd(torch), l->d_name);
        if (!launch)
            continue;
        for (struct dirent *a; !found && (a = readdir(launch));) {
            int64_t n;
            found = attempt_number(a->d_name, &n) && attempt_has(dirfd(launch), a->d_name, local, name);
        }
        closedir(launch);
    }
    closedir(torch);
    return found;
}

// ---------------------------------------------------------------- holes
// Opens a path below the start folder one name at a time: no links, no "..", only files of our own UID with one name.
static int open_below(int start, char *path, struct stat *st)
{
    int at = dup(start);
    for (char *save = NULL, *name = strtok_r(path, "/", &save); name && at >= 0;) {
        char *next = strtok_r(NULL, "/", &save);
        int fd = hidden(name) ? -1
                 : next       ? open_dir(at, name)
                              : openat(at, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        close(at);
        at = fd;
        name = next;
    }
    if (at >= 0 && (fstat(at, st) != 0 || !S_ISREG(st->st_mode) || st->st_uid != geteuid() || st->st_nlink != 1)) {
        close(at);
        return -1;
    }
    return at;
}

static uint64_t hash(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}

static struct tree_file *remembered(struct tree *t, uint64_t path)
{
    for (size_t i = 0; i < t->file_count; i++)
        if (t->files[i].path == path)
            return &t->files[i];
    if (t->file_count == TREE_FILES)
        t->file_count = 0; // forgetting only costs punching the same holes again
    t->files[t->file_count] = (struct tree_file){.path = path};
    return &t->files[t->file_count++];
}

static int punch(struct tree *t, const char *path, uint64_t offset, uint64_t margin)
{
    struct tree_file *file = remembered(t, hash(path));
    uint64_t until = offset > margin ? (offset - margin) / PAGE * PAGE : 0;
    if (until < file->punched + STEP)
        return 0;
    char copy[1024];
    struct stat st;
    snprintf(copy, sizeof copy, "%s", path);
    int fd = open_below(t->start, copy, &st);
    if (fd < 0)
        return 0;
    int error = 0;
    // Never beyond what is there: a claimed offset larger than the file is nonsense.
    if (offset <= (uint64_t)st.st_size) {
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)file->punched, (off_t)(until - file->punched)) == 0)
            file->punched = until;
        else
            error = errno;
    }
    close(fd);
    return error;
}

// Ours at the top, torchrun's below torch/: nothing else is ever punched.
static bool torch_log(const char *path)
{
    if (!starts_with(path, "torch/") || strstr(path, "//"))
        return false;
    return ends_with(path, "/stdout.log") || ends_with(path, "/stderr.log");
}

static int freed_line(struct tree *t, char *line, struct sink *const *own, size_t own_count)
{
    size_t digits = strcspn(line, " ");
    uint64_t offset;
    if (line[digits] != ' ' || !parse_u64(line, digits, &offset) || offset > INT64_MAX)
        return 0;
    const char *path = line + digits + 1;
    if (strlen(path) >= 1024)
        return 0;
    for (size_t i = 0; i < own_count; i++) {
        struct sink *s = own[i];
        if (strcmp(path, s->name) != 0)
            continue;
        if (offset > s->size)
            return 0;
        s->freed = offset > s->freed ? offset : s->freed;
        return punch(t, path, offset, 0);
    }
    // events.jsonl is left alone: it is small, and its reserve must not be given away.
    return torch_log(path) ? punch(t, path, offset, TORCH_MARGIN) : 0;
}

int tree_punch(struct tree *t, struct sink *const *own, size_t own_count)
{
    struct stat st;
    int error = 0;
    if (t->start < 0 || !*t->freed || lstat(t->freed, &st) != 0 || !S_ISREG(st.st_mode))
        return 0;
    uint64_t changed = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
    if (changed == t->freed_changed && st.st_ino == t->freed_inode && (uint64_t)st.st_size == t->freed_size)
        return 0;
    char *text = malloc(FREED_MAX);
    if (!text)
        return 0;
    ssize_t n = read_small(AT_FDCWD, t->freed, text, FREED_MAX);
    if (n > 0 && memchr(text, 0, (size_t)n) == NULL)
        for (char *line = text, *newline; (newline = strchr(line, '\n')); line = newline + 1) {
            *newline = 0;
            int failed = freed_line(t, line, own, own_count);
            error = failed ? failed : error;
        }
    free(text);
    t->freed_changed = changed;
    t->freed_inode = st.st_ino;
    t->freed_size = (uint64_t)st.st_size;
    if (!error || t->cannot_punch)
        return 0;
    t->cannot_punch = true;
    return error;
}
