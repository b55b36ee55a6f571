#include "prefix.h"

#include <string.h>

enum match { NO, YES, MORE }; // MORE: the input ended before it could be told

// "<open><digits>]:" at text; *length and *number are set on YES.
static enum match token(const char *text, size_t n, const char *open, size_t *length, int64_t *number)
{
    size_t m = strlen(open);
    if (memcmp(text, open, n < m ? n : m) != 0)
        return NO;
    if (n <= m)
        return MORE;
    size_t i = m;
    int64_t value = 0;
    while (i < n && i < m + 9 && text[i] >= '0' && text[i] <= '9')
        value = value * 10 + (text[i++] - '0');
    if (i == n)
        return MORE;
    if (i == m || text[i] != ']')
        return NO;
    if (++i == n)
        return MORE;
    if (text[i] != ':')
        return NO;
    *length = i + 1;
    *number = value;
    return YES;
}

static enum match prefix_at(struct prefix *p, const char *text, size_t n, size_t *length)
{
    int64_t number;
    enum match modern = token(text, n, "[outrider:", length, &number);
    if (modern == YES) {
        *p->template_seen = true;
        p->in_file = !p->exists(p->context, -1);
        return YES;
    }
    if (*p->template_seen || (p->middle && !p->rank_line))
        return modern;
    char open[ROLE_MAX + 2] = "[";
    strcat(open, p->role);
    enum match old = token(text, n, open, length, &number);
    if (old == YES) {
        // The role is a common word: without the rank's own file this is ordinary text.
        if (!p->exists(p->context, number))
            return modern;
        p->in_file = false;
        return YES;
    }
    return modern == MORE ? MORE : old;
}

// "99-99": 9 stands for a digit, L for a glog level, all else for itself.
static bool shape(const char *text, size_t n, const char *pattern)
{
    size_t m = strlen(pattern);
    if (n < m)
        return false;
    for (size_t i = 0; i < m; i++) {
        char c = text[i], want = pattern[i];
        if (want == '9' ? c < '0' || c > '9' : want == 'L' ? !strchr("IWEF", c) : c != want)
            return false;
    }
    return true;
}

// Where a log line of torchrun itself begins in a rank's text: "E1121 10:00:00.", "[2023-11-21 10:00:00,000] torch." or
// "ERROR:torch.". It does where a rank ended in the middle of a line, typically in a progress bar; the rank's own log lines begin with
// it, or behind "[rank0]:". Returns n where there is none. A wrong guess puts a copy of a rank's text into our file.
static size_t own_begin(const char *text, size_t n, char before)
{
    static const char *const levels[] = {"INFO", "WARNING", "ERROR", "CRITICAL"};
    for (const char *colon = text; (colon = memchr(colon, ':', (size_t)(text + n - colon))); colon++) {
        size_t k = (size_t)(colon - text), at = n;
        if (k >= 8 && shape(text + k - 8, n - k + 8, "L9999 99:99:99."))
            at = k - 8;
        for (size_t i = 0; i < LENGTH(levels); i++) {
            size_t m = strlen(levels[i]);
            if (k >= m && memcmp(text + k - m, levels[i], m) == 0 && shape(text + k, n - k, ":torch."))
                at = k - m;
        }
        char previous = at == 0 ? before : at < n ? text[at - 1] : ' ';
        if (previous && previous != ' ' && previous != ':')
            return at;
    }
    return n;
}

static void pass(struct prefix *p, const char *bytes, size_t n, struct buf *console, struct buf *file)
{
    if (n == 0)
        return;
    if (p->rank_line && !p->in_file) {
        bool dated = p->last && shape(bytes, n, "[9999-99-99 99:99:99,999] torch.");
        size_t own = dated ? 0 : own_begin(bytes, n, p->last);
        if (own < n) {
            buf_add(console, bytes, own);
            bytes += own;
            n -= own;
            p->rank_line = false;
        }
        p->last = bytes[n - 1];
    }
    buf_add(console, bytes, n);
    if (!p->rank_line || p->in_file)
        buf_add(file, bytes, n);
    p->middle = bytes[n - 1] != '\n';
    if (!p->middle)
        p->rank_line = false;
}

static void scan(struct prefix *p, const char *text, size_t n, struct buf *console, struct buf *file)
{
    size_t at = 0; // first byte not passed on yet
    while (at < n) {
        const char *newline = memchr(text + at, '\n', n - at);
        size_t end = newline ? (size_t)(newline - text) + 1 : n;
        const char *bracket = memchr(text + at, '[', end - at);
        if (!bracket) {
            pass(p, text + at, end - at, console, file);
            at = end;
            continue;
        }
        size_t q = (size_t)(bracket - text), length = 0;
        pass(p, text + at, q - at, console, file);
        at = q;
        enum match m = prefix_at(p, text + q, n - q, &length);
        if (m == YES) {
            p->rank_line = true;
            p->middle = true;
            p->last = 0;
            at += length;
        } else if (m == MORE && n - q <= sizeof p->hold && p->launched(p->context)) {
            memcpy(p->hold, text + q, n - q);
            p->held = n - q;
            return;
        } else {
            // Up to the next bracket, which may be another prefix.
            const char *next = memchr(text + q + 1, '[', end - q - 1);
            at = next ? (size_t)(next - text) : end;
            pass(p, text + q, at - q, console, file);
        }
    }
}

void prefix_feed(struct prefix *p, const char *bytes, size_t n, struct buf *console, struct buf *file)
{
    if (p->held == 0) {
        scan(p, bytes, n, console, file);
        return;
    }
    struct buf joined = {0};
    buf_add(&joined, p->hold, p->held);
    buf_add(&joined, bytes, n);
    if (joined.broken) { // no memory: fail open, as it came
        pass(p, p->hold, p->held, console, file);
        pass(p, bytes, n, console, file);
    } else {
        p->held = 0;
        scan(p, joined.data, joined.len, console, file);
    }
    buf_free(&joined);
}

void prefix_end(struct prefix *p, struct buf *console, struct buf *file)
{
    pass(p, p->hold, p->held, console, file);
    p->held = 0;
}
