/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "sandbox.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

/* The names of system calls by number, from the kernel's headers. */
#include "syscall-names.h"

/* include/linux/sched.h: threads of the kernel inside this process (io_uring, vhost). They run no code of ours and take no signal. */
#define PF_IO_WORKER 0x10ul
#define PF_USER_WORKER 0x4000ul

#define MAX_THREADS 4096
#define ANSWER_MS 5000
#define LOOK_MS 2 /* for threads that have ended instead */

static const char *const role_names[KVMSHARP_ROLES] = { "runtime", "control", "vcpu", "io" };
static struct sock_fprog filters[KVMSHARP_ROLES];
static __thread int own_role;
/* Read before the filter is there, so that no role needs the call for it. */
static __thread char own_name[16];
static atomic_int entered;

/* The orders of a call of kvmsharp_sandbox_enter. */
static int order_namespaces[KVMSHARP_NAMESPACES] = { -1, -1, -1, -1 };
static int order_root = -1, order_landlock = -1, order_user = -1, order_group = -1, order_unfiltered;

/* The threads that have an order. `result` is PENDING, then 0 or -errno; `answers` counts up with each, and is waited for. */
enum { PENDING = 1 };
static struct { int tid; atomic_int result; } asked[MAX_THREADS];
static atomic_int asked_count, answers;

static char *append(char *to, const char *end, const char *text)
{
    while (*text && to < end)
        *to++ = *text++;
    return to;
}

static char *append_number(char *to, const char *end, unsigned long number)
{
    char digits[24];
    int n = sizeof digits;

    digits[--n] = 0;
    do
        digits[--n] = '0' + number % 10;
    while (number /= 10);
    return append(to, end, digits + n);
}

/* The kernel refused a call of this thread: says which, leaves the terminal in order, and ends the process. */
static void on_violation(int signal, siginfo_t *info, void *context)
{
    char line[256];
    const char *end = line + sizeof line - 1;
    unsigned number = info->si_syscall;
    const char *name = number < sizeof syscall_names / sizeof *syscall_names ? syscall_names[number] : NULL;
    char *to = line;

    (void)signal;
    to = append(to, end, "kvmsharp: the sandbox ended the program: thread '");
    to = append(to, end, own_name);
    to = append(to, end, "' (role ");
    to = append(to, end, role_names[own_role]);
    to = append(to, end, ") made the system call ");
    to = append(to, end, name ? name : "of an unknown name");
    to = append(to, end, " (number ");
    to = append_number(to, end, number);
    to = append(to, end, ")");
    if (number == SYS_ioctl) {
        to = append(to, end, " with request ");
        to = append_number(to, end, (unsigned)((ucontext_t *)context)->uc_mcontext.gregs[REG_RSI]);
    }
    to = append(to, end, info->si_arch == 0xC000003Eu ? "\n" : " of a foreign architecture\n");
    syscall(SYS_write, STDERR_FILENO, line, to - line);
    kvmsharp_terminal_restore();
    syscall(SYS_exit_group, KVMSHARP_VIOLATION_STATUS);
}

static int add_filter(int role)
{
    syscall(SYS_prctl, PR_GET_NAME, own_name, 0, 0, 0);
    if (filters[role].len == 0)
        return 0;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filters[role]) < 0 ? -errno : 0;
}

static int join_namespaces(void)
{
    static const int kinds[KVMSHARP_NAMESPACES] = { CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS };

    for (int i = 0; i < KVMSHARP_NAMESPACES; i++) {
        if (order_namespaces[i] < 0)
            continue;
        /* Root and working directory are shared by threads, and who shares them cannot change mounts. */
        if (i == KVMSHARP_NS_MOUNT && syscall(SYS_unshare, CLONE_FS) < 0)
            return -errno;
        if (syscall(SYS_setns, order_namespaces[i], kinds[i]) < 0)
            return -errno;
    }
    /* Joining leads to the first root of the namespace, which lies below the new one where this process was in a chroot. */
    if (order_root >= 0 && (syscall(SYS_fchdir, order_root) < 0 || syscall(SYS_chroot, ".") < 0))
        return -errno;
    return 0;
}

/* Reading is cheap; each drop makes new credentials. EINVAL: beyond the last capability that this kernel knows. */
int kvmsharp_sandbox_bound(void)
{
    int capability, has;

    for (capability = 0; (has = syscall(SYS_prctl, PR_CAPBSET_READ, capability, 0, 0, 0)) >= 0; capability++) {
        if (has && syscall(SYS_prctl, PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
            return -errno;
    }
    return errno == EINVAL ? 0 : -errno;
}

/* Another user without any capability, and none to be had. Bare calls: libc's would concern all threads. */
static int drop_privileges(void)
{
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0, 0, 0 } };

    if (order_user >= 0) {
        int error = kvmsharp_sandbox_bound();

        if (error)
            return error;
        if (syscall(SYS_setgroups, 0, NULL) < 0 || syscall(SYS_setresgid, order_group, order_group, order_group) < 0
            || syscall(SYS_setresuid, order_user, order_user, order_user) < 0)
            return -errno;
    }
    /* EINVAL: a kernel without ambient capabilities has none to clear. */
    if (syscall(SYS_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
        return -errno;
    return syscall(SYS_capset, &head, none) < 0 ? -errno : 0;
}

/* The first half, after which a thread can still look at others. */
static int leave(void)
{
    int error = join_namespaces();

    return error ? error : drop_privileges();
}

static int close_off(void)
{
    if (syscall(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    if (order_landlock >= 0 && syscall(SYS_landlock_restrict_self, order_landlock, 0) < 0)
        return -errno;
    return add_filter(own_role);
}

static int confine(void)
{
    int error = leave();

    return error ? error : close_off();
}

/* Made a moment ago by a thread that was confined already: it has everything from there. */
static int has_inherited(void)
{
    return order_unfiltered && syscall(SYS_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
}

static void on_confine(int signal)
{
    int saved = errno;
    int tid = syscall(SYS_gettid), i = atomic_load(&asked_count);

    (void)signal;
    while (i > 0 && asked[i - 1].tid != tid)
        i--;
    if (i == 0 || atomic_load(&asked[i - 1].result) != PENDING)
        return;
    atomic_store(&asked[i - 1].result, has_inherited() ? 0 : confine());
    atomic_fetch_add(&answers, 1);
    syscall(SYS_futex, &answers, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    errno = saved;
}

/* One of the kernel's own threads, by the flags in /proc/self/task/TID/stat (the 9th field). */
static int is_kernel_worker(int tasks, const char *tid)
{
    char path[32], text[512], *at;
    unsigned long flags = 0;
    char *to = append(append(path, path + 24, tid), path + 30, "/stat");
    int fd, skip;
    ssize_t got;

    *to = 0;
    fd = openat(tasks, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    got = read(fd, text, sizeof text - 1);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    /* The name may hold anything; the last parenthesis ends it. */
    at = strrchr(text, ')');
    for (skip = 0; at && skip < 7; skip++)
        at = strchr(at + 1, ' ');
    if (at)
        flags = strtoul(at, NULL, 10);
    return (flags & (PF_IO_WORKER | PF_USER_WORKER)) != 0;
}

/* Has a thread confine itself, while others do the same; one of the kernel's own is only noted. 0, also for one that has ended, or -errno. */
static int order(int tid, int signal, int is_worker)
{
    int i = atomic_load(&asked_count);

    if (i == MAX_THREADS)
        return -E2BIG;
    asked[i].tid = tid;
    atomic_store(&asked[i].result, is_worker ? 0 : PENDING);
    atomic_store(&asked_count, i + 1);
    if (is_worker || syscall(SYS_tgkill, getpid(), tid, signal) == 0)
        return 0;
    atomic_store(&asked[i].result, 0);
    return errno == ESRCH ? 0 : -errno;
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

/* Returns when all that were asked have answered or ended: 0, or -errno of one of them. */
static int await_answers(int *failed)
{
    const struct timespec look = { 0, LOOK_MS * 1000000L };
    const long limit = now_ms() + ANSWER_MS;

    for (int i = 0; i < atomic_load(&asked_count);) {
        int seen = atomic_load(&answers), result = atomic_load(&asked[i].result);

        if (result == PENDING && syscall(SYS_tgkill, getpid(), asked[i].tid, 0) < 0)
            result = 0;
        if (result == PENDING && now_ms() >= limit)
            result = -ETIMEDOUT;
        if (result < 0) {
            *failed = asked[i].tid;
            return result;
        }
        if (result == 0)
            i++;
        else
            syscall(SYS_futex, &answers, FUTEX_WAIT_PRIVATE, seen, &look, NULL, 0);
    }
    return 0;
}

static int is_known(int tid)
{
    for (int i = atomic_load(&asked_count); i > 0; i--) {
        if (asked[i - 1].tid == tid)
            return 1;
    }
    return 0;
}

struct entry {
    unsigned long inode, offset;
    unsigned short length;
    unsigned char type;
    char name[];
};

/* One pass over the threads. The number of those that were new and are asked, or -errno. */
static int order_new_threads(int tasks, int signal, int *failed)
{
    char buffer[4096] __attribute__((aligned(8)));
    int self = syscall(SYS_gettid), fresh = 0;
    long got;

    if (lseek(tasks, 0, SEEK_SET) < 0)
        return -errno;
    while ((got = syscall(SYS_getdents64, tasks, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got; at += ((struct entry *)(buffer + at))->length) {
            const struct entry *entry = (const struct entry *)(buffer + at);
            int tid = atoi(entry->name), error;

            if (tid <= 0 || tid == self || is_known(tid))
                continue;
            fresh++;
            error = order(tid, signal, is_kernel_worker(tasks, entry->name));
            if (error) {
                *failed = tid;
                return error;
            }
        }
    }
    return got < 0 ? -errno : fresh;
}

int kvmsharp_sandbox_role(int role)
{
    if (role < 0 || role >= KVMSHARP_ROLES)
        return -EINVAL;
    own_role = role;
    return atomic_load(&entered) ? add_filter(role) : 0;
}

int kvmsharp_sandbox_filter(int role, const void *code, unsigned count)
{
    struct sock_filter *copy;

    if (role < 0 || role >= KVMSHARP_ROLES || count == 0 || count > BPF_MAXINSNS || filters[role].len != 0)
        return -EINVAL;
    copy = malloc(count * sizeof *copy);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, code, count * sizeof *copy);
    filters[role].filter = copy;
    filters[role].len = (unsigned short)count;
    return 0;
}

int kvmsharp_sandbox_enter(int tasks, const int *namespaces, int root, int landlock, int user, int group, int *failed)
{
    struct sigaction violation = { .sa_sigaction = on_violation, .sa_flags = SA_SIGINFO };
    struct sigaction confinement = { .sa_handler = on_confine, .sa_flags = SA_RESTART };
    const int signal = SIGRTMIN + KVMSHARP_CONFINE_OFFSET;
    int result, own;

    *failed = 0;
    if (atomic_load(&entered))
        return -EALREADY;
    sigfillset(&violation.sa_mask);
    sigfillset(&confinement.sa_mask);
    /* A violation inside the handler of another signal, too, has to be told. */
    sigdelset(&confinement.sa_mask, SIGSYS);
    if (sigaction(SIGSYS, &violation, NULL) < 0 || sigaction(signal, &confinement, NULL) < 0)
        return -errno;
    memcpy(order_namespaces, namespaces, sizeof order_namespaces);
    order_root = root;
    order_landlock = landlock;
    order_user = user;
    order_group = group;
    order_unfiltered = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_DISABLED;

    result = order_new_threads(tasks, signal, failed);
    /* Beside the others. */
    own = leave();
    /* Again until nobody new is there: a thread may have been made by one that was not confined yet. */
    while (result > 0 && (result = await_answers(failed)) == 0)
        result = order_new_threads(tasks, signal, failed);
    if (result < 0)
        return result;
    confinement.sa_handler = SIG_IGN;
    sigaction(signal, &confinement, NULL);
    atomic_store(&entered, 1);
    result = own ? own : close_off();
    if (result)
        *failed = syscall(SYS_gettid);
    return result;
}
