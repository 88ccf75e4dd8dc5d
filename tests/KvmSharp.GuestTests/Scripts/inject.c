/* SPDX-License-Identifier: MIT */
/*
 * inject: has a thread of a running program make a system call, as one would that was taken over.
 *
 *   inject PID THREAD-NAME CALL [ARGUMENT...]
 *
 * THREAD-NAME is as in /proc/PID/task/TID/comm; "main" is the thread that PID names. Arguments are numbers, or text, which is put on the thread's stack.
 * Prints "returned N", or "ended N" with the status with which the program ended of it.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

static int die(const char *what)
{
    fprintf(stderr, "inject: %s: %s\n", what, strerror(errno));
    exit(2);
}

static int find_thread(const char *pid, const char *name)
{
    char path[300], comm[32];
    struct dirent *entry;
    DIR *tasks;

    if (strcmp(name, "main") == 0)
        return atoi(pid);
    snprintf(path, sizeof path, "/proc/%s/task", pid);
    tasks = opendir(path);
    while (tasks && (entry = readdir(tasks))) {
        FILE *file;

        snprintf(path, sizeof path, "/proc/%s/task/%s/comm", pid, entry->d_name);
        file = fopen(path, "r");
        if (!file)
            continue;
        if (fgets(comm, sizeof comm, file) && strcspn(comm, "\n") == strlen(name) && strncmp(comm, name, strlen(name)) == 0)
            return atoi(entry->d_name);
        fclose(file);
    }
    errno = ESRCH;
    return die(name);
}

int main(int argc, char **argv)
{
    struct user_regs_struct before, call;
    unsigned long long *argument[] = { &call.rdi, &call.rsi, &call.rdx, &call.r10, &call.r8, &call.r9 };
    int status, tid;

    if (argc < 4)
        return 2;
    tid = find_thread(argv[1], argv[2]);
    if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0 || waitpid(tid, &status, __WALL) != tid)
        die("stop the thread");
    if (ptrace(PTRACE_GETREGS, tid, 0, &before) < 0)
        die("read the registers");
    call = before;
    /* A thread that waits is behind the instruction "syscall" of its wait. */
    if ((ptrace(PTRACE_PEEKTEXT, tid, before.rip - 2, 0) & 0xffff) != 0x050f) {
        errno = EBUSY;
        die("the thread is not in a system call");
    }
    call.rip = before.rip - 2;
    call.rax = atoi(argv[3]);
    call.orig_rax = -1;
    for (int i = 0; i < 6; i++) {
        char *end = "", *text = i + 4 < argc ? argv[i + 4] : "0";

        *argument[i] = strtoull(text, &end, 0);
        if (*end) {
            unsigned long long at = before.rsp - 4096 - i * 256;

            *argument[i] = at;
            for (size_t done = 0; done <= strlen(text); done += sizeof(long)) {
                long word = 0;

                strncpy((char *)&word, text + done, sizeof word);
                ptrace(PTRACE_POKEDATA, tid, at + done, word);
            }
        }
    }
    if (ptrace(PTRACE_SETREGS, tid, 0, &call) < 0 || ptrace(PTRACE_SINGLESTEP, tid, 0, 0) < 0)
        die("make the call");
    for (;;) {
        if (waitpid(tid, &status, __WALL) != tid) {
            /* A thread that is not the first one does not tell the status of the program. */
            printf("ended\n");
            return 0;
        }
        if (WIFEXITED(status) || WIFSIGNALED(status)) {
            printf("ended\n");
            return 0;
        }
        if (WSTOPSIG(status) == SIGSYS) {
            ptrace(PTRACE_CONT, tid, 0, SIGSYS);
            continue;
        }
        if (WSTOPSIG(status) == SIGTRAP)
            break;
        ptrace(PTRACE_SINGLESTEP, tid, 0, 0);
    }
    if (ptrace(PTRACE_GETREGS, tid, 0, &call) < 0)
        die("read the result");
    printf("returned %lld\n", (long long)call.rax);
    ptrace(PTRACE_SETREGS, tid, 0, &before);
    ptrace(PTRACE_DETACH, tid, 0, 0);
    return 0;
}
