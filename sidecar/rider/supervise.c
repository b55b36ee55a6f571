// rider supervise: PID 1 of the sidecar. rider wait: its postStart hook.
//
// A trainer container starts only after the hook returned, and it starts with the program that this process installs. So
// installing comes first, and this process stays whatever becomes of the collector: a broken collector costs data, never a pod.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "leftover.h"
#include "rider.h"
#include "util.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MOST_MS 30000
#define STEADY_MS 60000 // a collector that ran so long starts from the first back-off again
#define INSTALL_AGAIN_MS 1000
#define POLL_NS 2000000

static const char *volume(void)
{
    const char *dir = getenv("OUTRIDER_DIR");
    return dir && *dir ? dir : "/outrider";
}

// ---------------------------------------------------------------- installing
static bool folder(int root, const char *name, mode_t mode)
{
    struct stat st;
    if (mkdirat(root, name, 0700) != 0 && errno != EEXIST)
        return false;
    int fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return false;
    // A folder of another user's is left as it is: the volume is open to all containers of the pod.
    bool ok = fstat(fd, &st) == 0 && ((st.st_mode & 07777) == mode || st.st_uid != geteuid() || fchmod(fd, mode) == 0);
    int error = errno;
    close(fd);
    errno = error;
    return ok;
}

static bool copy(int from, int to)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = read(from, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0;
        for (ssize_t at = 0; at < n;) {
            ssize_t put = write(to, chunk + at, (size_t)(n - at));
            if (put < 0 && errno != EINTR)
                return false;
            at += put > 0 ? put : 0;
        }
    }
}

// Written beside its place and renamed into it: a trainer that runs the old file keeps it, and nobody sees half of the new.
static bool install_program(int root)
{
    char name[64];
    snprintf(name, sizeof name, "bin/rider.%d", (int)getpid());
    int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (from < 0)
        return false;
    unlinkat(root, name, 0); // of a predecessor with our number
    int to = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
    bool ok = to >= 0 && copy(from, to) && fchmod(to, 0755) == 0;
    int error = errno;
    close(from);
    if (to >= 0)
        close(to);
    if (ok) {
        ok = renameat(root, name, root, "bin/rider") == 0;
        error = errno;
    }
    if (!ok)
        unlinkat(root, name, 0);
    errno = error;
    return ok;
}

static bool install(void)
{
    static const struct {
        const char *name;
        mode_t mode;
    } folders[] = {{"bin", 0755}, {"containers", 01777}, {"user", 01777}, {"sidecar", 0711}, {"sidecar/freed", 0755}};
    int root = open(volume(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *what = "open the volume";
    bool ok = root >= 0;
    for (size_t i = 0; ok && i < LENGTH(folders); i++) {
        what = folders[i].name;
        ok = folder(root, folders[i].name, folders[i].mode);
    }
    if (ok) {
        what = "bin/rider";
        ok = install_program(root);
    }
    if (!ok)
        complain("cannot install on %s (%s): %s. The pod's containers wait for it; trying again.", volume(), what, strerror(errno));
    if (root >= 0)
        close(root);
    return ok;
}

// ---------------------------------------------------------------- the collector
static pid_t start(char **argv, const sigset_t *mask)
{
    pid_t parent = getpid(), pid = fork();
    if (pid != 0) {
        if (pid < 0)
            complain("cannot start the collector: fork: %s", strerror(errno));
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(128 + SIGKILL);
    sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(argv[0], argv);
    complain("cannot run the collector %s: %s", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

struct supervisor {
    char **argv;
    sigset_t caught, inherited;
    pid_t collector; // 0: not running
    uint64_t started_ms, start_at_ms, backoff_ms;
    bool installed, stopping;
    bool was_running; // when this process was told to stop
    uint64_t install_at_ms, install_pause_ms;
};

static void ended(struct supervisor *s, int status)
{
    uint64_t ran = mono_ms() - s->started_ms;
    s->collector = 0;
    if (s->stopping)
        return;
    if (ran >= STEADY_MS)
        s->backoff_ms = BACKOFF_FIRST_MS;
    complain("the collector ended (%s %d) after %.1f s; starting it again in %.1f s", WIFSIGNALED(status) ? "signal" : "exit code",
             WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), (double)ran / 1000, (double)s->backoff_ms / 1000);
    s->start_at_ms = mono_ms() + s->backoff_ms;
    s->backoff_ms = s->backoff_ms * 2 < BACKOFF_MOST_MS ? s->backoff_ms * 2 : BACKOFF_MOST_MS;
}

static void reap(struct supervisor *s)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
        if (pid == s->collector)
            ended(s, status);
}

static void wait_signal(struct supervisor *s, uint64_t until_ms)
{
    uint64_t now = mono_ms(), ms = until_ms > now ? until_ms - now : 0;
    struct timespec time = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    siginfo_t info;
    int number;
    // A process that was stopped and goes on finds the call interrupted (musl hides it): what is pending comes first.
    do
        number = sigtimedwait(&s->caught, &info, until_ms == UINT64_MAX ? NULL : &time);
    while (number < 0 && errno == EINTR);
    if ((number == SIGTERM || number == SIGINT) && !s->stopping) {
        s->stopping = true;
        s->was_running = s->collector > 0; // asked before the signal is passed on: the collector may be gone a moment later
    }
    if (number > 0 && number != SIGCHLD && s->collector > 0)
        kill(s->collector, number);
    reap(s);
}

static uint64_t next_ms(const struct supervisor *s)
{
    uint64_t next = s->installed ? UINT64_MAX : s->install_at_ms;
    return s->collector == 0 && s->start_at_ms < next ? s->start_at_ms : next;
}

static void work(struct supervisor *s)
{
    uint64_t now = mono_ms();
    if (!s->installed && now >= s->install_at_ms) {
        s->installed = install();
        s->install_at_ms = mono_ms() + s->install_pause_ms;
        s->install_pause_ms = s->install_pause_ms * 2 < BACKOFF_MOST_MS ? s->install_pause_ms * 2 : BACKOFF_MOST_MS;
    }
    if (s->collector == 0 && now >= s->start_at_ms) {
        pid_t pid = start(s->argv, &s->inherited);
        s->collector = pid > 0 ? pid : 0;
        s->started_ms = mono_ms();
        s->start_at_ms = s->started_ms + BACKOFF_MOST_MS; // of a fork that failed
    }
}

int supervise_main(int argc, char **argv)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGCHLD, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT};
    struct supervisor s = {.backoff_ms = BACKOFF_FIRST_MS, .install_pause_ms = INSTALL_AGAIN_MS};
    if (argc < 3 || strcmp(argv[1], "--") != 0) {
        complain("usage: rider supervise -- COMMAND [ARGUMENT…]");
        return 2;
    }
    s.argv = argv + 2;
    sigemptyset(&s.caught);
    for (size_t i = 0; i < LENGTH(signals); i++)
        sigaddset(&s.caught, signals[i]);
    sigprocmask(SIG_BLOCK, &s.caught, &s.inherited);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    while (!s.stopping) {
        work(&s);
        wait_signal(&s, next_ms(&s));
    }
    while (s.collector > 0)
        wait_signal(&s, UINT64_MAX);
    leftover_write(volume(), s.was_running);
    return 0;
}

// ---------------------------------------------------------------- the hook
int wait_main(int argc, char **argv)
{
    double seconds = 10;
    char path[4096];
    struct stat st;
    if (argc == 3 && strcmp(argv[1], "--timeout") == 0 ? !parse_seconds(argv[2], &seconds) : argc != 1) {
        complain("usage: rider wait [--timeout SECONDS]");
        return 2;
    }
    if (snprintf(path, sizeof path, "%s/bin/rider", volume()) >= (int)sizeof path) {
        complain("the path in OUTRIDER_DIR is too long");
        return 2;
    }
    uint64_t end = mono_ms() + (uint64_t)(seconds * 1000);
    for (;;) {
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0)
            return 0;
        if (mono_ms() >= end)
            break;
        struct timespec pause = {0, POLL_NS};
        nanosleep(&pause, NULL);
    }
    complain("%s was not installed within %g s: the sidecar's first process could not write to the volume, see its log. The pod's containers wait until it can.", path, seconds);
    return 1;
}
