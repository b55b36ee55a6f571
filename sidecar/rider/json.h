// Builds one JSON object in memory: commas, escapes and invalid UTF-8 are taken care of.
#pragma once
#include "util.h"

struct json {
    struct buf out;
    bool comma; // the next member needs one
};
void json_open(struct json *j, const char *key, char bracket); // key NULL at the top and in arrays; bracket '{' or '['
void json_close(struct json *j, char bracket); // '}' or ']'
void json_bytes(struct json *j, const char *key, const char *text, size_t n); // a string of any bytes
void json_text(struct json *j, const char *key, const char *text);
void json_int(struct json *j, const char *key, int64_t value);
void json_number(struct json *j, const char *key, double value); // finite; 6 digits behind the point at most
void json_null(struct json *j, const char *key);
