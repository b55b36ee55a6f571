#include "leftover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "json.h"

#define SHOWN 20 // streams that are named
#define DEPTH_MAX 6
#define FILES_MAX 20000
#define TIME_MS 800 // of the two seconds that a sidecar surely has
#define FREED_MAX (1u << 20)
#define NAME_MAX_BYTES 150

struct stream {
    char name[NAME_MAX_BYTES + 1];
    uint64_t unsent;
};

struct walk {
    struct stream largest[SHOWN]; // descending
    uint64_t unsent, files, deadline_ms;
    bool partial;
};

// A stream's name is its path with everything unusual percent-encoded. False where it is too long to be shown.
static bool encode(const char *path, char *name)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-";
    size_t n = 0;
    for (; *path; path++) {
        bool usual = strchr(plain, *path) != NULL;
        if (n + (usual ? 1 : 3) > NAME_MAX_BYTES)
            return false;
        n += (size_t)sprintf(name + n, usual ? "%c" : "%%%02X", (unsigned char)*path);
    }
    name[n] = 0;
    return true;
}

static void add(struct walk *w, const char *path, uint64_t unsent)
{
    char name[NAME_MAX_BYTES + 1];
    w->unsent += unsent;
    if (unsent == 0 || unsent <= w->largest[SHOWN - 1].unsent || !encode(path, name))
        return;
    size_t at = SHOWN - 1;
    for (; at > 0 && w->largest[at - 1].unsent < unsent; at--)
        w->largest[at] = w->largest[at - 1];
    strcpy(w->largest[at].name, name);
    w->largest[at].unsent = unsent;
}

// The acknowledged offset of "<path below the start folder>" in the text of a freed file.
static uint64_t freed_offset(const char *freed, const char *path)
{
    uint64_t offset;
    for (const char *line = freed; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        size_t end = strcspn(line, "\n"), digits = strcspn(line, " \n");
        if (digits + 1 < end && strlen(path) == end - digits - 1 && memcmp(line + digits + 1, path, end - digits - 1) == 0 &&
            parse_u64(line, digits, &offset))
            return offset;
    }
    return 0;
}

// name: of the stream so far, "train/0/"; skip: bytes of it in front of what freed files call the path.
static void walk(struct walk *w, int dir, const char *name, size_t skip, const char *freed, int depth)
{
    DIR *list = fdopendir(dir);
    if (!list) {
        close(dir);
        return;
    }
    for (struct dirent *e; (e = readdir(list));) {
        char path[1024];
        struct stat st;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        if (++w->files > FILES_MAX || mono_ms() > w->deadline_ms || snprintf(path, sizeof path, "%s%s", name, e->d_name) >= (int)sizeof path - 1) {
            w->partial = true;
            break;
        }
        if (fstatat(dirfd(list), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
            int below = openat(dirfd(list), e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            strcat(path, "/");
            if (below >= 0)
                walk(w, below, path, skip, freed, depth + 1);
            else
                w->partial = true;
        } else if (S_ISREG(st.st_mode) && (ends_with(path, ".log") || ends_with(path, ".jsonl"))) {
            uint64_t size = (uint64_t)st.st_size, sent = freed_offset(freed, path + skip);
            *strrchr(path, '.') = 0;
            add(w, path, size > sent ? size - sent : 0);
        }
    }
    closedir(list);
}

static void walk_start(struct walk *w, int root, const char *container, const char *start, char *freed)
{
    char path[1024], name[1024];
    snprintf(path, sizeof path, "sidecar/freed/%s.%s", container, start);
    if (read_small(root, path, freed, FREED_MAX) < 0)
        *freed = 0;
    int name_size = snprintf(name, sizeof name, "%s/%s/", container, start);
    snprintf(path, sizeof path, "containers/%s/%s", container, start);
    int dir = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir >= 0)
        walk(w, dir, name, (size_t)name_size, freed, 2);
}

static void walk_containers(struct walk *w, int root, char *freed)
{
    int top = openat(root, "containers", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *containers = top >= 0 ? fdopendir(top) : NULL;
    for (struct dirent *c; containers && (c = readdir(containers));) {
        int at = c->d_name[0] == '.' ? -1 : openat(top, c->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        DIR *starts = at >= 0 ? fdopendir(at) : NULL;
        for (struct dirent *s; starts && (s = readdir(starts));)
            if (s->d_name[0] != '.')
                walk_start(w, root, c->d_name, s->d_name, freed);
        if (starts)
            closedir(starts);
    }
    if (containers)
        closedir(containers);
}

static void message(const struct walk *w, bool was_running, struct json *j)
{
    json_open(j, NULL, '{');
    json_int(j, "outrider", 1);
    json_int(j, "unsentBytes", (int64_t)w->unsent);
    json_int(j, "lostBytes", 0);
    json_open(j, "streams", '{');
    for (size_t i = 0; i < SHOWN && w->largest[i].unsent > 0; i++)
        json_int(j, w->largest[i].name, (int64_t)w->largest[i].unsent);
    json_close(j, '}');
    struct buf reason = {0};
    buf_text(&reason, was_running ? "the collector ended without a last message" : "the collector was down when the pod ended");
    buf_text(&reason, "; unsentBytes is at most this: file sizes above the offsets it had released; what it shed before is not in lostBytes");
    if (w->partial)
        buf_text(&reason, ", not all files were seen");
    json_bytes(j, "reason", reason.data ? reason.data : "", reason.len);
    buf_free(&reason);
    json_close(j, '}');
    buf_add(&j->out, "\n", 1);
}

void leftover_write(const char *volume, bool was_running)
{
    const char *path = getenv("OUTRIDER_TERMINATION_LOG");
    struct stat st;
    int log = open(path && *path ? path : "/dev/termination-log", O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (log < 0 || fstat(log, &st) != 0 || !S_ISREG(st.st_mode)) {
        complain("cannot write the termination message: %s", strerror(errno));
        if (log >= 0)
            close(log);
        return;
    }
    if (st.st_size > 0 && was_running) { // the collector's own, which knows more
        close(log);
        return;
    }
    struct walk w = {.deadline_ms = mono_ms() + TIME_MS};
    struct json j = {0};
    char *freed = malloc(FREED_MAX);
    int root = open(volume, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (freed && root >= 0) {
        walk_containers(&w, root, freed);
        *freed = 0;
        int user = openat(root, "user", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (user >= 0)
            walk(&w, user, "user/", 0, freed, 5);
    } else
        w.partial = true;
    message(&w, was_running, &j);
    if (j.out.broken || ftruncate(log, 0) != 0 || write(log, j.out.data, j.out.len) != (ssize_t)j.out.len)
        complain("cannot write the termination message: %s", strerror(errno));
    buf_free(&j.out);
    free(freed);
    if (root >= 0)
        close(root);
    close(log);
}
