#include "info.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "python.h"
#include "redact.h"

#define ENV_BYTES (16u << 10)

extern char **environ;

// Variables that say how a training process was set up; all others stay in the pod.
static const char *const ENV_PREFIXES[] = {
    "PET_", "TORCH", "PYTORCH_", "NCCL_", "CUDA_", "NVIDIA_", "OMP_", "MKL_", "KMP_", "GOMP_", "GLOO_", "UCX_", "FI_", "XLA_", "TPU_",
    "TF_", "JAX_", "ROCR_", "HIP_", "NEURON_", "HABANA_", "ACCELERATE_", "DEEPSPEED_", "TRITON_", "OMPI_", "PMI_", "SLURM_",
    "PYTHON", "CONDA_", "LC_", "JOB_COMPLETION_", "OUTRIDER_",
};
static const char *const ENV_NAMES[] = {
    "RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "NODE_RANK", "MASTER_ADDR", "MASTER_PORT", "VIRTUAL_ENV",
    "PATH", "LD_LIBRARY_PATH", "LD_PRELOAD", "LANG", "TZ", "HF_HOME", "TOKENIZERS_PARALLELISM", "WANDB_MODE", "WANDB_PROJECT",
};

static bool wanted(const char *name)
{
    for (size_t i = 0; i < LENGTH(ENV_PREFIXES); i++)
        if (starts_with(name, ENV_PREFIXES[i]))
            return true;
    for (size_t i = 0; i < LENGTH(ENV_NAMES); i++)
        if (strcmp(name, ENV_NAMES[i]) == 0)
            return true;
    return false;
}

static void write_env(struct json *j)
{
    size_t left = ENV_BYTES;
    json_open(j, "env", '{');
    for (char **e = environ; *e; e++) {
        const char *equals = strchr(*e, '=');
        char name[128];
        size_t n = equals ? (size_t)(equals - *e) : 0;
        if (n == 0 || n >= sizeof name)
            continue;
        memcpy(name, *e, n);
        name[n] = 0;
        size_t size = strlen(*e) < 1100 ? strlen(*e) : 1100;
        if (!wanted(name) || size > left)
            continue;
        left -= size;
        json_redacted(j, name, name, equals + 1);
    }
    json_close(j, '}');
}

static void write_os(struct json *j)
{
    char text[4096];
    struct utsname u;
    if (read_small_follow("/etc/os-release", text, sizeof text) > 0) {
        const char *name = starts_with(text, "PRETTY_NAME=") ? text : strstr(text, "\nPRETTY_NAME=");
        if (name) {
            name = strchr(name, '=') + 1;
            name += strspn(name, "\"'");
            json_bytes(j, "os", name, strcspn(name, "\"'\n"));
        }
    }
    if (uname(&u) == 0) {
        json_text(j, "kernel", u.release);
        json_text(j, "arch", u.machine);
    }
}

static void write_cpu(struct json *j)
{
    struct buf text = {0};
    json_open(j, "cpu", '{');
    if (read_whole("/proc/cpuinfo", &text, 16384)) {
        buf_add(&text, "", 1);
        const char *model = text.broken ? NULL : strstr(text.data, "model name");
        model = model ? strchr(model, ':') : NULL;
        if (model && model[1])
            json_bytes(j, "model", model + 2, strcspn(model + 2, "\n"));
    }
    buf_free(&text);
    json_int(j, "count", sysconf(_SC_NPROCESSORS_ONLN));
    json_close(j, '}');
    struct sysinfo memory;
    if (sysinfo(&memory) == 0)
        json_int(j, "memoryBytes", (int64_t)memory.totalram * memory.mem_unit);
}

static void write_cgroup(struct json *j, const struct cgroup *group)
{
    uint64_t bytes;
    double cores;
    if (!group->version)
        return;
    json_open(j, "cgroup", '{');
    json_int(j, "version", group->version);
    if (cgroup_memory_limit(group, &bytes))
        json_int(j, "memoryLimitBytes", (int64_t)bytes);
    if (cgroup_cpu_limit(group, &cores))
        json_number(j, "cpuLimit", cores);
    json_close(j, '}');
}

static void write_gpus(struct json *j)
{
    static const char root[] = "/proc/driver/nvidia/gpus";
    DIR *dir = opendir(root);
    if (!dir)
        return;
    json_open(j, "gpus", '[');
    for (struct dirent *e; (e = readdir(dir));) {
        char path[320], text[2048];
        snprintf(path, sizeof path, "%s/%s/information", root, e->d_name);
        if (e->d_name[0] == '.' || read_small_follow(path, text, sizeof text) <= 0)
            continue;
        const char *model = strstr(text, "Model:");
        if (!model)
            continue;
        model += strlen("Model:");
        model += strspn(model, " \t");
        json_open(j, NULL, '{');
        json_bytes(j, "model", model, strcspn(model, "\n"));
        json_close(j, '}');
    }
    json_close(j, ']');
    closedir(dir);
}

// ---------------------------------------------------------------- git
static bool commit_name(const char *text)
{
    size_t n = strspn(text, "0123456789abcdef");
    return (n == 40 || n == 64) && (text[n] == 0 || isspace((unsigned char)text[n]));
}

static bool ref_value(const char *git, const char *ref, char *out, size_t cap)
{
    char path[PATH_MAX];
    struct buf packed = {0};
    if (snprintf(path, sizeof path, "%s/%s", git, ref) < (int)sizeof path && read_small_follow(path, out, cap) > 0 && commit_name(out))
        return true;
    bool found = false;
    if (snprintf(path, sizeof path, "%s/packed-refs", git) < (int)sizeof path && read_whole(path, &packed, 4u << 20)) {
        buf_add(&packed, "", 1);
        size_t n = strlen(ref);
        for (const char *line = packed.broken ? NULL : packed.data; line && !found; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
            size_t id = strspn(line, "0123456789abcdef");
            found = line[id] == ' ' && commit_name(line) && strncmp(line + id + 1, ref, n) == 0 && strchr("\n\r", line[id + 1 + n]) && id < cap;
            if (found) {
                memcpy(out, line, id);
                out[id] = 0;
            }
        }
    }
    buf_free(&packed);
    return found;
}

// The folder with the repository of `dir`, and the one with its shared refs (they differ in a work tree).
static bool git_dir(const char *dir, char *git, char *common)
{
    char path[PATH_MAX], text[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/.git", dir) >= (int)sizeof path)
        return false;
    if (read_small_follow(path, text, sizeof text) > 0 && starts_with(text, "gitdir: ")) {
        text[strcspn(text, "\r\n")] = 0;
        const char *to = text + strlen("gitdir: ");
        if (snprintf(git, PATH_MAX, *to == '/' ? "%.0s%s" : "%s/%s", dir, to) >= PATH_MAX)
            return false;
    } else
        strcpy(git, path);
    strcpy(common, git);
    if (snprintf(path, sizeof path, "%s/commondir", git) < (int)sizeof path && read_small_follow(path, text, sizeof text) > 0) {
        text[strcspn(text, "\r\n")] = 0;
        if (snprintf(common, PATH_MAX, *text == '/' ? "%.0s%s" : "%s/%s", git, text) >= PATH_MAX)
            return false;
    }
    return true;
}

static void write_git(struct json *j)
{
    char dir[PATH_MAX], git[PATH_MAX], common[PATH_MAX], path[PATH_MAX], head[1024], id[256];
    if (!getcwd(dir, sizeof dir))
        return;
    for (;;) {
        if (git_dir(dir, git, common) && snprintf(path, sizeof path, "%s/HEAD", git) < (int)sizeof path &&
            read_small_follow(path, head, sizeof head) > 0)
            break;
        char *slash = strrchr(dir, '/');
        if (!slash || slash == dir)
            return;
        *slash = 0;
    }
    head[strcspn(head, "\r\n")] = 0;
    const char *commit = head;
    if (starts_with(head, "ref: ")) {
        const char *ref = head + strlen("ref: ");
        if (!starts_with(ref, "refs/") || strstr(ref, "..") || !ref_value(common, ref, id, sizeof id))
            return;
        id[strcspn(id, "\r\n")] = 0;
        commit = id;
    }
    if (!commit_name(commit))
        return;
    json_open(j, "git", '{');
    json_text(j, "commit", commit);
    json_close(j, '}');
}

void info_write(struct json *j, const struct cgroup *group, const char *const *argv)
{
    write_os(j);
    write_cpu(j);
    write_cgroup(j, group);
    write_gpus(j);
    write_git(j);
    write_env(j);
    python_write(j, argv);
}
