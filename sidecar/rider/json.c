#include "json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// Length of the well-formed UTF-8 sequence at p, 0 where there is none (Unicode 15, table 3-7).
static size_t utf8_length(const unsigned char *p, size_t n)
{
    unsigned char low = 0x80, high = 0xBF;
    size_t need;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xC2 && p[0] <= 0xDF)
        need = 2;
    else if (p[0] >= 0xE0 && p[0] <= 0xEF) {
        need = 3;
        low = p[0] == 0xE0 ? 0xA0 : low;
        high = p[0] == 0xED ? 0x9F : high;
    } else if (p[0] >= 0xF0 && p[0] <= 0xF4) {
        need = 4;
        low = p[0] == 0xF0 ? 0x90 : low;
        high = p[0] == 0xF4 ? 0x8F : high;
    } else
        return 0;
    if (n < need || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    return need;
}

static void quoted(struct buf *b, const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text;
    buf_add(b, "\"", 1);
    for (size_t i = 0; i < n;) {
        size_t len = utf8_length(p + i, n - i);
        if (len == 0) {
            buf_text(b, "\xEF\xBF\xBD");
            len = 1;
        } else if (len > 1)
            buf_add(b, p + i, len);
        else if (p[i] == '"' || p[i] == '\\') {
            buf_add(b, "\\", 1);
            buf_add(b, p + i, 1);
        } else if (p[i] < 0x20 || p[i] == 0x7F)
            buf_printf(b, "\\u%04x", p[i]);
        else
            buf_add(b, p + i, 1);
        i += len;
    }
    buf_add(b, "\"", 1);
}

static void member(struct json *j, const char *key)
{
    if (j->comma)
        buf_add(&j->out, ",", 1);
    j->comma = true;
    if (key) {
        quoted(&j->out, key, strlen(key));
        buf_add(&j->out, ":", 1);
    }
}

void json_open(struct json *j, const char *key, char bracket)
{
    member(j, key);
    buf_add(&j->out, &bracket, 1);
    j->comma = false;
}

void json_close(struct json *j, char bracket)
{
    buf_add(&j->out, &bracket, 1);
    j->comma = true;
}

void json_bytes(struct json *j, const char *key, const char *text, size_t n)
{
    member(j, key);
    quoted(&j->out, text, n);
}

void json_text(struct json *j, const char *key, const char *text)
{
    json_bytes(j, key, text, strlen(text));
}

void json_int(struct json *j, const char *key, int64_t value)
{
    member(j, key);
    buf_printf(&j->out, "%lld", (long long)value);
}

void json_number(struct json *j, const char *key, double value)
{
    char text[64];
    if (!isfinite(value)) {
        json_null(j, key);
        return;
    }
    int n = snprintf(text, sizeof text, "%.6f", value);
    if (n < 0 || (size_t)n >= sizeof text) {
        json_null(j, key);
        return;
    }
    while (n > 1 && text[n - 1] == '0' && text[n - 2] != '.')
        n--;
    member(j, key);
    buf_add(&j->out, text, (size_t)n);
}

void json_null(struct json *j, const char *key)
{
    member(j, key);
    buf_text(&j->out, "null");
}
