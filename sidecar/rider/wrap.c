// rider wrap DIR -- CMD…: runs CMD, passes its output on and keeps a copy of it, sees its ranks, keeps its exit code.
//
// One process, one loop over poll. Whatever fails on our side, the command runs: before the fork everything that fails ends in
// running the command in our place.
#include "wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define YOUNG_MS 30000 // new processes are looked for often in the beginning
#define TICK_YOUNG_MS 250
#define TICK_MS 1000
#define HOUSE_MS 1000 // freed offsets
#define LOSS_MS 5000
#define INFO_WAIT_MS 300
#define CONSOLE_STALL_MS 5000 // at the end: no byte taken for so long
#define CONSOLE_END_MS 30000 // at the end: in all
#define ASKED_TO_STOP_MS 1000 // the same after a SIGTERM

#define SLOT_SIGNALS 0
#define SLOT_PIPES 1
#define SLOT_CONSOLES 3
#define SLOT_INFO 5
#define SLOT_EXEC 6
#define SLOT_RANKS 7

static struct wrap W; // large; one a process
static sigset_t old_mask;
static struct sigaction old_pipe, old_xfsz;

// ---------------------------------------------------------------- the command
static _Noreturn void run_command(const char *const *argv)
{
    sigaction(SIGPIPE, &old_pipe, NULL);
    sigaction(SIGXFSZ, &old_xfsz, NULL);
    sigprocmask(SIG_SETMASK, &old_mask, NULL);
    execvp(argv[0], (char *const *)(uintptr_t)argv);
    int error = errno;
    if (error == ENOENT || error == ENOTDIR)
        complain("cannot run %s: not found (%s). Check the container's command, its PATH, and the interpreter that a script names.", argv[0], strerror(error));
    else
        complain("cannot run %s: %s. Check that it is an executable file for this machine.", argv[0], strerror(error));
    _exit(error == ENOENT || error == ENOTDIR ? 127 : 126);
}

// Signals that are passed on: all but those that stop or describe ourselves.
static void forwarded(sigset_t *set)
{
    static const int ours[] = {SIGPIPE, SIGXFSZ, SIGTSTP, SIGTTIN, SIGTTOU, SIGCONT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGXCPU};
    sigfillset(set);
    for (size_t i = 0; i < LENGTH(ours); i++)
        sigdelset(set, ours[i]);
}

// A missing descriptor 0, 1 or 2 would otherwise be the next file that is opened. The command finds 0 closed as we did.
static void fill_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= 2);
    if (fd >= 0)
        close(fd);
}

static bool start_command(struct wrap *w, const int *ends)
{
    int exec_pipe[2] = {-1, -1};
    pid_t parent = getpid();
    if (pipe2(exec_pipe, O_CLOEXEC) != 0)
        return false;
    w->child = fork();
    if (w->child != 0)
        close(exec_pipe[1]);
    if (w->child < 0) {
        close(exec_pipe[0]);
        return false;
    }
    if (w->child > 0) {
        w->exec_pipe = exec_pipe[0];
        return true;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) // it died before the line above
        _exit(128 + SIGKILL);
    if (dup2(ends[0], 1) < 0 || dup2(ends[1], 2) < 0)
        _exit(126);
    run_command(w->argv);
}

// ---------------------------------------------------------------- what happens
static void reap(struct wrap *w)
{
    int status;
    for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
        for (size_t i = 0; i < w->procs.rank_count; i++)
            if (w->procs.ranks[i].pid == pid) {
                report_rank_end(w, i, end_from_status(status));
                break;
            }
        if (pid == w->child)
            w->status = status;
        if (pid == w->info_pid)
            w->info_pid = 0;
    }
}

// Returns true if it was asked to stop.
static bool on_signals(struct wrap *w, int fd)
{
    struct signalfd_siginfo info;
    bool stop = false;
    while (read(fd, &info, sizeof info) == (ssize_t)sizeof info) {
        int number = (int)info.ssi_signo;
        stop |= number == SIGTERM || number == SIGINT;
        if (number == SIGCHLD)
            reap(w);
        // What the terminal sends, it sends to the command too.
        else if (w->status == NO_STATUS && info.ssi_code != SI_KERNEL)
            kill(w->child, number);
    }
    return stop;
}

static void on_rank_end(void *context, size_t index)
{
    struct wrap *w = context;
    report_rank_end(w, index, rank_end_read(&w->procs.ranks[index]));
}

static void ranks_ended(struct wrap *w)
{
    for (size_t i = w->procs.rank_count; i-- > 0;) {
        struct pollfd one = {.fd = w->procs.ranks[i].pidfd, .events = POLLIN};
        if (one.fd >= 0 && poll(&one, 1, 0) == 1)
            on_rank_end(w, i);
    }
}

static void scan(struct wrap *w)
{
    procs_scan(&w->procs, report_rank_start, w, on_rank_end);
    if (w->torch)
        tree_open_torch(&w->tree);
}

static void on_exec(struct wrap *w)
{
    close(w->exec_pipe);
    w->exec_pipe = -1;
    w->procs.child_began = true;
    scan(w);
}

static void give_back(struct wrap *w)
{
    struct sink *const own[] = {&w->streams[0].file, &w->streams[1].file, &w->samples};
    int error = tree_punch(&w->tree, own, LENGTH(own));
    if (!error)
        return;
    char text[256];
    snprintf(text, sizeof text, "Acknowledged log data cannot be given back to the volume (%s): it stays until the pod ends. Use a node file system with hole punching, such as ext4 or xfs.", strerror(error));
    event_warning(&w->events, "PunchUnsupported", text);
}

// ---------------------------------------------------------------- the loop
struct schedule {
    uint64_t scan, sample, house, loss, interval; // milliseconds
};

static void on_time(struct wrap *w, struct schedule *at)
{
    uint64_t now = mono_ms();
    if (now >= at->scan) {
        scan(w);
        at->scan = now + (now < w->young_until_ms ? TICK_YOUNG_MS : TICK_MS);
    }
    if (now >= at->sample) {
        sample(&w->sampler, &w->procs, &w->samples);
        at->sample = now + at->interval;
    }
    if (now >= at->house) {
        give_back(w);
        events_flush(&w->events);
        at->house = now + HOUSE_MS;
    }
    if (now >= at->loss) {
        report_losses(w, false);
        at->loss = now + LOSS_MS;
    }
}

static int wait_ms(const struct schedule *at)
{
    uint64_t next = at->scan < at->sample ? at->scan : at->sample, now = mono_ms();
    // Freed offsets and losses go with the next scan: they are no reason to wake up.
    return next > now ? (int)(next - now < 60000 ? next - now : 60000) : 0;
}

static void once(struct wrap *w, int signals, const struct schedule *at)
{
    static struct pollfd fds[SLOT_RANKS + MAX_RANKS];
    size_t n = SLOT_RANKS + w->procs.rank_count;
    fds[SLOT_SIGNALS] = (struct pollfd){.fd = signals, .events = POLLIN};
    for (int i = 0; i < 2; i++) {
        struct stream *s = &w->streams[i];
        bool full = s->console.pending.len > 0; // the reader of the log is slow: so is the command, as without us
        fds[SLOT_PIPES + i] = (struct pollfd){.fd = full ? -1 : s->pipe, .events = POLLIN};
        fds[SLOT_CONSOLES + i] = (struct pollfd){.fd = full ? s->console.fd : -1, .events = POLLOUT};
    }
    fds[SLOT_INFO] = (struct pollfd){.fd = w->info_pipe, .events = POLLIN};
    fds[SLOT_EXEC] = (struct pollfd){.fd = w->exec_pipe, .events = POLLIN};
    for (size_t i = 0; i < w->procs.rank_count; i++)
        fds[SLOT_RANKS + i] = (struct pollfd){.fd = w->procs.ranks[i].pidfd, .events = POLLIN};
    if (poll(fds, n, wait_ms(at)) <= 0)
        return;
    // From the last to the first: reporting an end moves the last rank into the gap. Before the signals, so that indices hold.
    for (size_t i = w->procs.rank_count; i-- > 0;)
        if (fds[SLOT_RANKS + i].fd >= 0 && fds[SLOT_RANKS + i].revents)
            on_rank_end(w, i);
    for (int i = 0; i < 2; i++) {
        if (fds[SLOT_CONSOLES + i].revents)
            console_flush(&w->streams[i].console);
        if (fds[SLOT_PIPES + i].revents)
            stream_read(&w->streams[i], CHUNK);
    }
    if (fds[SLOT_INFO].revents)
        report_info_read(w);
    if (fds[SLOT_EXEC].revents)
        on_exec(w);
    if (fds[SLOT_SIGNALS].revents)
        on_signals(w, signals);
}

// ---------------------------------------------------------------- the end
// What is in the pipes now, and no more: a process that lives on may hold them and go on writing.
static void drain(struct wrap *w)
{
    for (int i = 0; i < 2; i++) {
        struct stream *s = &w->streams[i];
        int there = 0;
        if (s->pipe >= 0 && ioctl(s->pipe, FIONREAD, &there) == 0 && there > 0)
            stream_read(s, (size_t)there);
        stream_close(s);
    }
}

static void finish_consoles(struct wrap *w, int signals)
{
    uint64_t began = mono_ms(), moved = began, end = began + CONSOLE_END_MS;
    size_t left = SIZE_MAX;
    for (;;) {
        struct pollfd fds[3] = {{.fd = signals, .events = POLLIN}};
        size_t now_left = 0;
        for (int i = 0; i < 2; i++) {
            struct console *c = &w->streams[i].console;
            console_flush(c);
            now_left += c->pending.len;
            fds[1 + i] = (struct pollfd){.fd = c->pending.len ? c->fd : -1, .events = POLLOUT};
        }
        uint64_t now = mono_ms();
        if (now_left < left)
            moved = now;
        left = now_left;
        if (left == 0 || now >= end || now >= moved + CONSOLE_STALL_MS)
            break;
        poll(fds, 3, 100);
        if (on_signals(w, signals) && mono_ms() + ASKED_TO_STOP_MS < end)
            end = mono_ms() + ASKED_TO_STOP_MS;
    }
    for (int i = 0; i < 2; i++) {
        struct console *c = &w->streams[i].console;
        c->discarded += c->pending.len;
        c->pending.len = 0;
    }
}

static void finish_info(struct wrap *w)
{
    uint64_t end = mono_ms() + INFO_WAIT_MS;
    while (w->info_pipe >= 0 && mono_ms() < end) {
        struct pollfd one = {.fd = w->info_pipe, .events = POLLIN};
        poll(&one, 1, (int)(end - mono_ms()) + 1);
        report_info_read(w);
    }
    if (w->info_pid > 0)
        kill(w->info_pid, SIGKILL);
}

static _Noreturn void leave(int status)
{
    if (WIFEXITED(status))
        _exit(WEXITSTATUS(status));
    int number = WTERMSIG(status);
    if (getpid() != 1) { // PID 1 cannot be killed by its own signal
        struct rlimit none = {0, 0};
        struct sigaction plain = {.sa_handler = SIG_DFL};
        sigset_t set;
        setrlimit(RLIMIT_CORE, &none); // the command's core was written already
        sigaction(number, &plain, NULL);
        sigemptyset(&set);
        sigaddset(&set, number);
        kill(getpid(), number);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    _exit(128 + number);
}

static void finish(struct wrap *w, int signals)
{
    drain(w);
    ranks_ended(w);
    if (w->torch)
        tree_open_torch(&w->tree);
    sample(&w->sampler, &w->procs, &w->samples);
    report_losses(w, false);
    report_container_exit(w);
    finish_consoles(w, signals);
    finish_info(w);
    report_losses(w, true);
}

int wrap_main(int argc, char **argv)
{
    struct wrap *w = &W;
    int ends[2];
    sigset_t caught;
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (argc < 4 || strcmp(argv[2], "--") != 0) {
        complain("usage: rider wrap DIR -- COMMAND [ARGUMENT…]");
        return 2;
    }
    fill_descriptors();
    w->argv = (const char *const *)(argv + 3);
    w->status = NO_STATUS;
    forwarded(&caught);
    sigprocmask(SIG_BLOCK, &caught, &old_mask);
    sigaction(SIGPIPE, &ignore, &old_pipe);
    sigaction(SIGXFSZ, &ignore, &old_xfsz); // a file that grows too large is a loss to count, not an end
    int signals = signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK);
    if (signals < 0 || !stream_open(w, 0, &ends[0]) || !stream_open(w, 1, &ends[1])) {
        complain("cannot watch the command: %s. It runs without.", strerror(errno));
        run_command(w->argv);
    }
    start_folder(w, argv[1]);
    events_open(&w->events, w->dir, "events.jsonl");
    stream_files(w);
    start_torch(w);
    sample_begin(&w->sampler, w->container);
    cgroup_oom_kills(&w->sampler.group, &w->oom_kills);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!start_command(w, ends)) {
        complain("cannot watch the command: %s. It runs without.", strerror(errno));
        run_command(w->argv);
    }
    close(ends[0]);
    close(ends[1]);
    w->procs.self = getpid();
    w->procs.child = w->child;
    report_container_start(w);
    report_info_begin(w);

    double seconds = 10;
    const char *interval = getenv("OUTRIDER_METRICS_INTERVAL");
    if (interval && !parse_seconds(interval, &seconds))
        seconds = 10;
    struct schedule at = {.scan = mono_ms() + TICK_YOUNG_MS, .interval = (uint64_t)(seconds * 1000)};
    at.interval = at.interval < 100 ? 100 : at.interval;
    at.sample = mono_ms() + at.interval;
    w->young_until_ms = mono_ms() + YOUNG_MS;
    while (w->status == NO_STATUS) {
        on_time(w, &at);
        once(w, signals, &at);
    }
    finish(w, signals);
    leave(w->status);
}
