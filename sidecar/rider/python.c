#include "python.h"

#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PACKAGES_BYTES (28u << 10) // an event has at most 64 KiB
#define SITES_MAX 8

static bool is_python(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    return starts_with(name, "python") && strspn(name + 6, "0123456789.") == strlen(name + 6);
}

static bool executable(const char *path)
{
    return access(path, X_OK) == 0;
}

// Looks a command up as execvp does.
static bool look_up(const char *name, char *out)
{
    const char *path = getenv("PATH");
    if (strchr(name, '/'))
        return snprintf(out, PATH_MAX, "%s", name) < PATH_MAX && executable(out);
    while (path && *path) {
        size_t n = strcspn(path, ":");
        if (n > 0 && snprintf(out, PATH_MAX, "%.*s/%s", (int)n, path, name) < PATH_MAX && executable(out))
            return true;
        path += n + (path[n] == ':');
    }
    return false;
}

// The interpreter in the first line of a script such as torchrun, also as "#!/usr/bin/env python3" and as the
// "#!/bin/sh" + "'''exec' /long/path/python" that pip writes for long paths.
static bool script_python(const char *script, char *out)
{
    char text[1024], program[PATH_MAX];
    if (!look_up(script, program) || read_small_follow(program, text, sizeof text) <= 0 || !starts_with(text, "#!"))
        return false;
    char *second = strchr(text, '\n');
    if (second && starts_with(second, "\n'''exec' "))
        memmove(text, second + strlen("\n'''exec' ") - 2, strlen(second + strlen("\n'''exec' ") - 2) + 1);
    char *word = text + 2 + strspn(text + 2, " \t\"");
    size_t n = strcspn(word, " \t\r\n\"");
    char *rest = word + n + (word[n] != 0);
    word[n] = 0;
    if (ends_with(word, "/env")) {
        word = rest;
        word[strcspn(word, " \t\r\n")] = 0;
    }
    return is_python(word) && look_up(word, out);
}

static bool find_python(const char *const *argv, char *out)
{
    for (size_t i = 0; argv[i] && i < 8; i++)
        if (is_python(argv[i]) ? look_up(argv[i], out) : i == 0 && script_python(argv[i], out))
            return true;
    return look_up("python3", out) || look_up("python", out);
}

// "key = value" of pyvenv.cfg.
static bool setting(const char *text, const char *key, char *out, size_t cap)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, key, n) != 0)
            continue;
        const char *value = line + n + strspn(line + n, " \t");
        if (*value++ != '=')
            continue;
        value += strspn(value, " \t");
        snprintf(out, cap, "%.*s", (int)strcspn(value, "\r\n"), value);
        return true;
    }
    return false;
}

static bool parent_dir(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    *slash = 0;
    return true;
}

struct python {
    char path[PATH_MAX]; // as found
    char real[PATH_MAX]; // without links
    char prefix[PATH_MAX], base[PATH_MAX]; // differ in a virtual environment; base "" = its packages are not visible
    char version[64], minor[32]; // "3.11.7" where known, "3.11"
};

// "3.11" out of lib/python3.11 below the prefix, where the program's own name does not tell.
static void minor_from_lib(struct python *p, const char *prefix)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/lib", prefix) >= (int)sizeof path)
        return;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && !*p->minor && (e = readdir(dir));)
        if (starts_with(e->d_name, "python3.") && is_python(e->d_name))
            snprintf(p->minor, sizeof p->minor, "%.31s", e->d_name + 6);
    if (dir)
        closedir(dir);
}

// Conda names the full version in conda-meta/python-3.10.13-<build>.json.
static void version_from_conda(struct python *p)
{
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/conda-meta", p->prefix) >= (int)sizeof path)
        return;
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        if (starts_with(e->d_name, "python-") && isdigit((unsigned char)e->d_name[7]))
            snprintf(p->version, sizeof p->version, "%.*s", (int)strspn(e->d_name + 7, "0123456789."), e->d_name + 7);
    if (dir)
        closedir(dir);
}

static bool describe(struct python *p)
{
    char path[PATH_MAX], text[4096], value[64];
    if (!realpath(p->path, p->real))
        return false;
    const char *name = strrchr(p->real, '/') + 1;
    if (is_python(name) && strchr(name, '.'))
        snprintf(p->minor, sizeof p->minor, "%.31s", name + 6);
    strcpy(p->base, p->real);
    if (!parent_dir(p->base) || !parent_dir(p->base))
        return false;
    strcpy(p->prefix, p->path);
    if (!parent_dir(p->prefix) || !parent_dir(p->prefix))
        strcpy(p->prefix, p->base);
    if (snprintf(path, sizeof path, "%s/pyvenv.cfg", p->prefix) < (int)sizeof path && read_small_follow(path, text, sizeof text) > 0) {
        if (setting(text, "version", p->version, sizeof p->version) || setting(text, "version_info", p->version, sizeof p->version)) {
            char *dot = strchr(p->version, '.');
            if (!*p->minor && dot)
                snprintf(p->minor, sizeof p->minor, "%.*s", (int)(dot - p->version + 1 + (long)strspn(dot + 1, "0123456789")), p->version);
        }
        if (!setting(text, "include-system-site-packages", value, sizeof value) || strcmp(value, "true") != 0)
            *p->base = 0;
    } else
        strcpy(p->prefix, p->base);
    if (!*p->minor)
        minor_from_lib(p, *p->base ? p->base : p->prefix);
    if (!*p->version)
        version_from_conda(p);
    if (!*p->version)
        strcpy(p->version, p->minor);
    return true;
}

struct seen {
    uint64_t hashes[4096];
    size_t count, left; // bytes that may still be written
};

// The first of several folders wins, as it does for Python. False also when the list is full.
static bool fresh(struct seen *seen, const char *name)
{
    uint64_t h = 14695981039346656037u;
    for (; *name; name++)
        h = (h ^ (unsigned char)tolower((unsigned char)*name)) * 1099511628211u;
    for (size_t i = 0; i < seen->count; i++)
        if (seen->hashes[i] == h)
            return false;
    if (seen->count == LENGTH(seen->hashes))
        return false;
    seen->hashes[seen->count++] = h;
    return true;
}

// "numpy-1.26.4.dist-info" -> name and version. Names have no "-" there.
static void write_site(struct json *j, const char *site, struct seen *seen)
{
    static const char *const ends[] = {".dist-info", ".egg-info"};
    DIR *dir = opendir(site);
    for (struct dirent *e; dir && (e = readdir(dir));)
        for (size_t i = 0; i < LENGTH(ends); i++) {
            const char *dash = strchr(e->d_name, '-');
            if (!ends_with(e->d_name, ends[i]) || !dash || dash == e->d_name)
                continue;
            char name[256], version[256];
            size_t n = strlen(e->d_name) - strlen(ends[i]);
            size_t cut = (size_t)(dash - e->d_name);
            if (cut >= n)
                continue;
            snprintf(name, sizeof name, "%.*s", (int)cut, e->d_name);
            snprintf(version, sizeof version, "%.*s", (int)(n - cut - 1), dash + 1);
            char *python = strstr(version, "-py"); // of eggs
            if (python)
                *python = 0;
            size_t size = strlen(name) + strlen(version) + 6;
            if (size > seen->left || !fresh(seen, name))
                continue;
            seen->left -= size;
            json_text(j, name, version);
        }
    if (dir)
        closedir(dir);
}

void python_write(struct json *j, const char *const *argv)
{
    static const char *const shapes[] = {"%s/lib/python%s/site-packages", "%s/lib64/python%s/site-packages", "%s/lib/python%s/dist-packages",
                                         "%s/local/lib/python%s/dist-packages", "%s/lib/python3/dist-packages%.0s"};
    struct python p = {0};
    char sites[SITES_MAX + 8][PATH_MAX], path[PATH_MAX];
    size_t count = 0;
    struct seen known = {.left = PACKAGES_BYTES};
    if (!find_python(argv, p.path) || !describe(&p))
        return;
    json_open(j, "python", '{');
    json_text(j, "path", p.path);
    if (*p.version)
        json_text(j, "version", p.version);
    json_open(j, "packages", '{');
    for (int round = 0; round < 2; round++) {
        const char *prefix = round == 0 ? p.prefix : p.base;
        if (!*prefix || (round == 1 && strcmp(p.prefix, p.base) == 0))
            continue;
        for (size_t i = 0; i < LENGTH(shapes) && count < LENGTH(sites); i++) {
            if (snprintf(path, sizeof path, shapes[i], prefix, p.minor) >= (int)sizeof path || !realpath(path, sites[count]))
                continue;
            bool twice = false; // lib64 is often a link to lib
            for (size_t k = 0; k < count; k++)
                twice |= strcmp(sites[k], sites[count]) == 0;
            if (!twice)
                write_site(j, sites[count++], &known);
        }
    }
    json_close(j, '}');
    json_close(j, '}');
}
