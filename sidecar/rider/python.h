// Which Python a command uses and what is installed there, read from the file system alone.
#pragma once
#include "json.h"

void python_write(struct json *j, const char *const *argv); // member "python", nothing if there is none
