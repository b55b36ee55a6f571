#include "rider.h"

#include <stdio.h>
#include <string.h>

static const char USAGE[] = "usage: rider supervise -- COMMAND [ARGUMENT…]   PID 1 of the sidecar: installs itself, keeps the collector running\n"
                            "       rider wait [--timeout SECONDS]           until the rider is installed on the shared volume\n"
                            "       rider wrap DIR -- COMMAND [ARGUMENT…]    runs a command, records its output, its ranks and its end below DIR\n";

int main(int argc, char **argv)
{
    const char *verb = argc > 1 ? argv[1] : "";
    if (strcmp(verb, "supervise") == 0)
        return supervise_main(argc - 1, argv + 1);
    if (strcmp(verb, "wait") == 0)
        return wait_main(argc - 1, argv + 1);
    if (strcmp(verb, "wrap") == 0)
        return wrap_main(argc - 1, argv + 1);
    fputs(USAGE, strcmp(verb, "--help") == 0 ? stdout : stderr);
    return strcmp(verb, "--help") == 0 ? 0 : 2;
}
