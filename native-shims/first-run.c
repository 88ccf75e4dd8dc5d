/*
 * first-run: milliseconds from exec to a VMM's first KVM_RUN.
 *
 *   first-run COMMAND ARGS...
 *
 * The command runs under a seccomp filter that stops nothing but ioctl(KVM_RUN) and tells us of it (SECCOMP_RET_USER_NOTIF); the
 * first such call, of whichever thread, ends the measurement and the command. It runs at full speed until then: a tracer would
 * stop each of its new threads and each of its signals as well. Prints "first_run_ms N.NNN", or exits 1 when the command ended
 * without KVM_RUN.
 *
 * Before it, this program touches some of the free memory: what the hypervisor below this host took back when it became free would
 * else cost whoever comes next milliseconds for each huge page.
 *
 * It is C because the measured time must not include the start of another runtime, and it must sit between fork and exec.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

#define HUGE_PAGE (2ul << 20)
#define TOUCHED (256ul << 20)

static void touch_free_memory(void)
{
    char *memory = mmap(NULL, TOUCHED + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *start = (char *)(((unsigned long)memory + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));

    if (memory == MAP_FAILED)
        return;
    madvise(start, TOUCHED, MADV_HUGEPAGE);
    for (size_t at = 0; at < TOUCHED; at += 4096)
        *(volatile char *)(start + at) = 1;
    munmap(memory, TOUCHED + HUGE_PAGE);
}

/* The time and a descriptor, over a socket. */
struct message {
    double time;
    struct iovec data;
    union { struct cmsghdr head; char space[CMSG_SPACE(sizeof(int))]; } control;
    struct msghdr header;
};

static struct msghdr *prepare(struct message *m)
{
    m->data = (struct iovec) { &m->time, sizeof m->time };
    m->header = (struct msghdr) { .msg_iov = &m->data, .msg_iovlen = 1, .msg_control = &m->control, .msg_controllen = sizeof m->control };
    return &m->header;
}

static void child(int socket, char **argv)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_ioctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_RUN, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };
    struct message m;
    int listener;

    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (listener >= 0) {
        prepare(&m);
        m.control.head = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&m.control.head), &listener, sizeof listener);
        m.time = now_ms();
        /* Both the socket and the listener close on exec. */
        if (sendmsg(socket, &m.header, 0) == sizeof m.time)
            execvp(argv[0], argv);
    }
    perror(argv[0]);
    _exit(127);
}

int main(int argc, char **argv)
{
    struct message m;
    struct pollfd listener = { .events = POLLIN };
    int pair[2], ran;
    double end;
    pid_t pid;

    if (argc < 2) {
        fprintf(stderr, "usage: first-run COMMAND ARGS...\n");
        return 2;
    }
    touch_free_memory();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 || (pid = fork()) < 0) {
        fprintf(stderr, "first-run: cannot start %s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    if (pid == 0)
        child(pair[1], argv + 1);

    close(pair[1]);
    ran = 0;
    if (recvmsg(pair[0], prepare(&m), MSG_CMSG_CLOEXEC) == sizeof m.time && m.header.msg_controllen >= CMSG_LEN(sizeof(int))) {
        memcpy(&listener.fd, CMSG_DATA(&m.control.head), sizeof listener.fd);
        /* POLLHUP: nobody is left under the filter. */
        while (poll(&listener, 1, -1) < 0 && errno == EINTR)
            ;
        end = now_ms();
        ran = listener.revents & POLLIN;
    }
    kill(pid, SIGKILL);
    /* Its memory is free, and its machine gone, before the next measurement. */
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (!ran) {
        fprintf(stderr, "first-run: %s ended without KVM_RUN\n", argv[1]);
        return 1;
    }
    printf("first_run_ms %.3f\n", end - m.time);
    return 0;
}
