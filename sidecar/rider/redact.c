#include "redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const char *const SECRETS[] = {"key", "token", "secret", "passw", "credential"};

bool secret_name(const char *name)
{
    // --tokenizer and --max-tokens say what a model does; redacting them would hide the experiment.
    if (has_word(name, "tokeniz"))
        return false;
    for (size_t i = 0; i < LENGTH(SECRETS); i++)
        if (has_word(name, SECRETS[i]))
            return true;
    return false;
}

static bool number(const char *text, size_t n)
{
    if (n == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)text[i]) && text[i] != '_')
            return false;
    return true;
}

// A counter such as max_tokens=2048 is no secret.
static bool hide(const char *name, const char *value, size_t n)
{
    return n > 0 && secret_name(name) && !(has_word(name, "tokens") && number(value, n));
}

// Copies value; "scheme://user:pass@host" becomes "scheme://***@host".
static void add_value(struct buf *out, const char *value, size_t n)
{
    size_t at = 0;
    while (at < n) {
        const char *p = memmem(value + at, n - at, "://", 3);
        if (!p)
            break;
        size_t begin = (size_t)(p - value) + 3, end = begin, user = 0;
        while (end < n && !isspace((unsigned char)value[end]) && !strchr("/?#'\"", value[end])) {
            if (value[end] == '@')
                user = end;
            end++;
        }
        buf_add(out, value + at, begin - at);
        if (user)
            buf_text(out, "***");
        at = user ? user : begin;
    }
    buf_add(out, value + at, n - at);
}

static bool separator(char c)
{
    return isspace((unsigned char)c) || strchr("'\"`;&|(){},?", c) != NULL;
}

// Where the value of the name that ends at `at` begins: name=v, name:v, "name": "v", name = v. 0 if none follows.
static size_t value_at(const char *arg, size_t n, size_t at)
{
    size_t i = at;
    if (i < n && (arg[i] == '"' || arg[i] == '\''))
        i++;
    while (i < n && arg[i] == ' ')
        i++;
    if (i >= n || (arg[i] != '=' && arg[i] != ':'))
        return 0;
    bool loose = i > at || arg[i] == ':'; // "NAME= command" sets nothing and runs a command
    for (i++; loose && i < n && arg[i] == ' '; i++)
        ;
    return i;
}

static size_t value_end(const char *arg, size_t n, size_t at)
{
    if (at < n && (arg[at] == '"' || arg[at] == '\'')) {
        const char *close = memchr(arg + at + 1, arg[at], n - at - 1);
        return close ? (size_t)(close - arg) + 1 : n;
    }
    while (at < n && !separator(arg[at]))
        at++;
    return at;
}

// One argument may be a whole script (`sh -c "HF_TOKEN=… python …"`): every word in it is looked at.
// *expect: the word before was a secret's flag, the next word is its value.
static void add_argument(struct buf *out, const char *arg, size_t n, bool *expect)
{
    for (size_t at = 0; at < n;) {
        size_t begin = at;
        while (at < n && separator(arg[at]))
            at++;
        size_t word = at;
        while (at < n && !separator(arg[at]) && arg[at] != '=' && arg[at] != ':')
            at++;
        if (n - at > 3 && memcmp(arg + at, "://", 3) == 0) // a URL is one word
            at = value_end(arg, n, at);
        char name[128];
        size_t len = at - word < sizeof name - 1 ? at - word : sizeof name - 1;
        memcpy(name, arg + word, len);
        name[len] = 0;
        size_t value = value_at(arg, n, at), end = value ? value_end(arg, n, value) : 0;
        buf_add(out, arg + begin, word - begin);
        if (value && hide(name, arg + value, end - value)) {
            bool quoted = arg[value] == '"' || arg[value] == '\'';
            buf_add(out, arg + word, value - word + quoted);
            buf_text(out, "***");
            buf_add(out, arg + end - quoted, quoted);
            at = end;
            *expect = false;
        } else if (*expect && at > word && arg[word] != '-' && !number(arg + word, at - word)) {
            buf_text(out, "***");
            at = value_end(arg, n, at);
            *expect = false;
        } else {
            add_value(out, arg + word, at - word);
            if (at < n && (arg[at] == '=' || arg[at] == ':'))
                buf_add(out, arg + at++, 1);
            else if (at > word)
                *expect = arg[word] == '-' && secret_name(name);
        }
    }
}

void json_argv(struct json *j, const char *key, const char *const *argv, size_t argc)
{
    size_t left = ARGV_BYTES;
    bool expect = false;
    json_open(j, key, '[');
    for (size_t i = 0; i < argc; i++) {
        struct buf out = {0};
        size_t n = strlen(argv[i]);
        if (n > left) {
            json_text(j, NULL, "… (cut)");
            break;
        }
        left -= n;
        add_argument(&out, argv[i], n, &expect);
        json_bytes(j, NULL, out.data ? out.data : "", out.len);
        buf_free(&out);
    }
    json_close(j, ']');
}

void json_redacted(struct json *j, const char *key, const char *name, const char *value)
{
    struct buf out = {0};
    bool expect = false;
    size_t n = strlen(value);
    if (n > 1024)
        n = 1024;
    if (hide(name, value, n))
        buf_text(&out, "***");
    else
        add_argument(&out, value, n, &expect);
    json_bytes(j, key, out.data ? out.data : "", out.len);
    buf_free(&out);
}
