// The three things this program does.
#pragma once

int supervise_main(int argc, char **argv); // rider supervise -- COMMAND…: PID 1 of the sidecar
int wait_main(int argc, char **argv); // rider wait [--timeout SECONDS]: the sidecar's postStart hook
int wrap_main(int argc, char **argv); // rider wrap DIR -- COMMAND…: around the trainer's command
