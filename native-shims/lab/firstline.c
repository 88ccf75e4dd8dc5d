/*
 * Times a program from its exec to the first line of output that holds a pattern, both read on this machine's own clock.
 * firstline [--timeout S] [--pty] [--echo] PATTERN -- COMMAND...
 * prints "firstline_ms N exit_ms M status S" (exit_ms: until the program ended by itself). --kill ends it at the line instead.
 */
#define _GNU_SOURCE
#include "labtool.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

int firstline_main(int argc, char **argv)
{
    static char text[256 * 1024];
    size_t used = 0;
    int timeout_s = 120, at = 1, output = -1, status = 0;
    bool terminal = false, echo = false, end_at_line = false;
    const char *pattern;
    for (; at < argc && strncmp(argv[at], "--", 2) == 0 && argv[at][2]; at++) {
        if (strcmp(argv[at], "--timeout") == 0 && at + 1 < argc)
            timeout_s = atoi(argv[++at]);
        else if (strcmp(argv[at], "--pty") == 0)
            terminal = true;
        else if (strcmp(argv[at], "--echo") == 0)
            echo = true;
        else if (strcmp(argv[at], "--kill") == 0)
            end_at_line = true;
        else
            fail("firstline: unknown option %s", argv[at]);
    }
    if (at + 2 >= argc || strcmp(argv[at + 1], "--") != 0)
        fail("firstline: expected PATTERN -- COMMAND...");
    pattern = argv[at];
    char **command = argv + at + 2;

    int pipes[2];
    int64_t begin, seen = -1;
    pid_t child;
    if (terminal) {
        struct termios raw;
        memset(&raw, 0, sizeof raw);
        cfmakeraw(&raw);
        begin = monotonic_us();
        child = forkpty(&output, NULL, &raw, NULL);
    } else {
        if (pipe2(pipes, O_CLOEXEC) < 0)
            fail("no pipe");
        output = pipes[0];
        begin = monotonic_us();
        child = fork();
        if (child == 0) {
            int null = open("/dev/null", O_RDONLY);
            dup2(null, 0);
            dup2(pipes[1], 1);
            dup2(pipes[1], 2);
        }
    }
    if (child == 0) {
        execvp(command[0], command);
        fprintf(stderr, "firstline: cannot run %s\n", command[0]);
        _exit(127);
    }
    if (!terminal)
        close(pipes[1]);
    for (;;) {
        struct pollfd wait = {.fd = output, .events = POLLIN};
        if (monotonic_us() - begin > (int64_t)timeout_s * 1000000) {
            fprintf(stderr, "firstline: nothing within %d s\n", timeout_s);
            kill(child, SIGKILL);
            break;
        }
        if (poll(&wait, 1, 200) <= 0)
            continue;
        if (used > sizeof text - 8192) { /* keep the tail: a pattern may lie across two reads */
            memmove(text, text + used - 4096, 4096);
            used = 4096;
        }
        ssize_t got = read(output, text + used, 4096);
        if (got <= 0)
            break;
        if (echo && write(2, text + used, (size_t)got) < 0)
            echo = false;
        size_t from = used > strlen(pattern) ? used - strlen(pattern) : 0;
        used += (size_t)got;
        if (seen < 0 && memmem(text + from, used - from, pattern, strlen(pattern))) {
            seen = monotonic_us();
            if (end_at_line)
                kill(child, SIGKILL);
        }
    }
    waitpid(child, &status, 0);
    int64_t end = monotonic_us();
    if (seen < 0) {
        printf("firstline_ms none exit_ms %.1f status %d\n", (double)(end - begin) / 1000, exit_status(status));
        return 1;
    }
    printf("firstline_ms %.1f exit_ms %.1f status %d\n", (double)(seen - begin) / 1000, (double)(end - begin) / 1000, exit_status(status));
    return 0;
}
