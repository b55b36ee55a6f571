// The sidecar's last words where the collector cannot speak them.
#pragma once
#include "util.h"

// Writes the termination message, unless the collector wrote one. `was_running`: it was there when the pod's end began.
void leftover_write(const char *volume, bool was_running);
