// container.info: what the container is, found without running anything in it.
#pragma once
#include "cgroup.h"
#include "json.h"

// Adds the members of the event after "ts" and "type". May read many small files: call it in a process of its own.
void info_write(struct json *j, const struct cgroup *group, const char *const *argv);
