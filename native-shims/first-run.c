/*
 * first-run: milliseconds from exec to a VMM's first KVM_RUN.
 *
 *   first-run COMMAND ARGS...
 *
 * The command runs under a seccomp filter that stops nothing but ioctl(KVM_RUN); the first such stop, in whichever thread,
 * ends the measurement and the command. Every other system call runs at full speed, unlike under strace, so the number is
 * the program's own. Prints "first_run_ms N.NNN", or exits 1 when the command ended without KVM_RUN.
 *
 * It is C because the measured time must not include the start of another runtime, and it must sit between fork and exec.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void child(char **argv)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_RUN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0)
        execvp(argv[0], argv);
    perror(argv[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: first-run COMMAND ARGS...\n");
        return 2;
    }
    pid_t pid = fork();
    if (pid == 0)
        child(argv + 1);

    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status)) {
        fprintf(stderr, "first-run: cannot start %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    ptrace(PTRACE_SETOPTIONS, pid, 0,
           PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK);
    double start = now_ms();
    ptrace(PTRACE_CONT, pid, 0, 0);

    for (;;) {
        pid_t which = waitpid(-1, &status, __WALL);
        if (which < 0)
            break;
        if (!WIFSTOPPED(status))
            continue;
        int event = status >> 16;
        if (event == PTRACE_EVENT_SECCOMP) {
            printf("first_run_ms %.3f\n", now_ms() - start);
            return 0; /* EXITKILL ends the command with us */
        }
        /* New threads start with SIGSTOP and exec raises SIGTRAP: neither is the command's own signal. */
        int signal = WSTOPSIG(status);
        ptrace(PTRACE_CONT, which, 0, (void *)(long)(event || signal == SIGTRAP || signal == SIGSTOP ? 0 : signal));
    }
    fprintf(stderr, "first-run: %s ended without KVM_RUN\n", argv[1]);
    return 1;
}
