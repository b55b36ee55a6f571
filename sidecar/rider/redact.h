// Keeps secrets out of what is recorded about a container.
#pragma once
#include "json.h"

#define ARGV_BYTES (16u << 10) // recorded of one command line

bool secret_name(const char *name); // HF_TOKEN, --api-key, model.password …
// Writes argv as a JSON array: values of secret names and user info in URLs become ***.
void json_argv(struct json *j, const char *key, const char *const *argv, size_t argc);
void json_redacted(struct json *j, const char *key, const char *name, const char *value); // one variable
