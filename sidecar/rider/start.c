#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "wrap.h"

#define STARTS_MAX 1000000
#define TORCH_SPACE (64ull << 20) // a rank dies when torchrun's files do not fit: not begun with less than this

// A folder that the sidecar can read, whatever the trainer's umask is.
static int make_dir(int at, const char *name)
{
    if (mkdirat(at, name, 0755) != 0)
        return -1;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && fchmod(fd, 0755) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int container_dir(const char *path)
{
    // Its parent is the volume's: where that is missing, nothing is made up in the container's own file system.
    int fd = make_dir(AT_FDCWD, path);
    if (fd < 0 && errno == EEXIST)
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd;
}

void start_folder(struct wrap *w, const char *dir)
{
    size_t n = strlen(dir);
    while (n > 1 && dir[n - 1] == '/')
        n--;
    size_t name = n;
    while (name > 0 && dir[name - 1] != '/')
        name--;
    snprintf(w->container, sizeof w->container, "%.*s", (int)(n - name), dir + name);
    w->dir = w->tree.start = -1;
    int parent = container_dir(dir);
    if (parent >= 0) {
        char text[32] = "";
        for (w->start = 0; w->start < STARTS_MAX; w->start++) {
            snprintf(text, sizeof text, "%lld", (long long)w->start);
            w->dir = make_dir(parent, text);
            if (w->dir >= 0 || errno != EEXIST)
                break;
        }
        int error = errno;
        char joined[PATH_MAX], *real = NULL;
        if (w->dir >= 0 && snprintf(joined, sizeof joined, "%s/%s", dir, text) < (int)sizeof joined)
            real = realpath(joined, w->start_path);
        close(parent);
        errno = error;
        if (w->dir >= 0 && !real) {
            close(w->dir);
            w->dir = -1;
        }
    }
    if (w->dir < 0) {
        *w->start_path = 0;
        complain("cannot make a folder in %s: %s. The command runs all the same; its output is only in this log and is not tracked.", dir, strerror(errno));
        return;
    }
    w->tree.start = w->dir;
    char volume[PATH_MAX];
    strcpy(volume, w->start_path);
    for (int up = 0; up < 3; up++) { // <volume>/containers/<container>/<start>
        char *slash = strrchr(volume, '/');
        if (slash)
            *slash = 0;
    }
    if (snprintf(w->tree.freed, sizeof w->tree.freed, "%s/sidecar/freed/%s.%lld", volume, w->container, (long long)w->start) >= (int)sizeof w->tree.freed)
        *w->tree.freed = 0;
}

static const char *torch_role(const struct wrap *w)
{
    for (size_t i = 0; w->argv[i]; i++) {
        if (starts_with(w->argv[i], "--role="))
            return w->argv[i] + strlen("--role=");
        if (strcmp(w->argv[i], "--role") == 0 && w->argv[i + 1])
            return w->argv[i + 1];
    }
    const char *role = getenv("PET_ROLE");
    return role && *role ? role : "default";
}

void start_torch(struct wrap *w)
{
    static const char *const users[] = {"PET_LOG_DIR", "PET_TEE", "PET_REDIRECTS", "TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE"};
    const char *capture = getenv("OUTRIDER_CAPTURE");
    char path[PATH_MAX];
    struct statvfs volume;
    if (w->dir < 0 || (capture && strcmp(capture, "wrap-only") == 0))
        return;
    for (size_t i = 0; i < LENGTH(users); i++)
        if (getenv(users[i]))
            return;
    if (fstatvfs(w->dir, &volume) == 0 && (uint64_t)volume.f_bavail * volume.f_frsize < TORCH_SPACE) {
        event_warning(&w->events, "LittleSpace",
                      "Less than 64 MiB are free on the shared volume, so torchrun keeps no file per rank in this start and lines of ranks "
                      "are not told apart. Free space on the node, or raise the pod's ephemeral-storage.");
        return;
    }
    int torch = make_dir(w->dir, "torch");
    if (torch < 0 || snprintf(path, sizeof path, "%s/torch", w->start_path) >= (int)sizeof path)
        return;
    close(torch);
    if (setenv("PET_LOG_DIR", path, 1) == 0 && setenv("PET_TEE", "3", 1) == 0)
        w->torch = setenv("TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE", PREFIX_TEMPLATE, 1) == 0;
    for (int i = 0; i < 2; i++) {
        w->streams[i].prefix.armed = w->torch;
        snprintf(w->streams[i].prefix.role, ROLE_MAX, "%s", torch_role(w));
    }
}
