/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define MAX_PATHS 64
#define MAX_PATH 4096

/* The keeper's own: its end of the pair is its only descriptor. */
enum { PAIR = 0 };

enum use { UNUSED, FILE_TO_REMOVE, SOCKET_TO_CONNECT };

static struct {
    enum use use;
    dev_t device;
    ino_t inode;
    char path[MAX_PATH];
} kept[MAX_PATHS];
static int kept_count, sealed;

static int add(enum use use, const char *path, size_t length)
{
    struct stat found = { 0 };
    int i = kept_count;

    if (sealed)
        return -EPERM;
    if (i == MAX_PATHS)
        return -ENOSPC;
    if (length == 0 || length >= (use == SOCKET_TO_CONNECT ? sizeof ((struct sockaddr_un *)0)->sun_path : MAX_PATH))
        return -ENAMETOOLONG;
    memcpy(kept[i].path, path, length);
    kept[i].path[length] = 0;
    if (use == FILE_TO_REMOVE && lstat(kept[i].path, &found) < 0)
        return -errno;
    kept[i].use = use;
    kept[i].device = found.st_dev;
    kept[i].inode = found.st_ino;
    return kept_count++;
}

static int remove_file(int i)
{
    struct stat found;

    if (i < 0 || i >= kept_count || kept[i].use != FILE_TO_REMOVE)
        return -EINVAL;
    kept[i].use = UNUSED;
    if (lstat(kept[i].path, &found) < 0)
        return -errno;
    if (found.st_dev != kept[i].device || found.st_ino != kept[i].inode)
        return -ESTALE;
    return unlink(kept[i].path) < 0 ? -errno : 0;
}

static int connect_socket(int i)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd, error;

    if (i < 0 || i >= kept_count || kept[i].use != SOCKET_TO_CONNECT)
        return -EINVAL;
    memcpy(address.sun_path, kept[i].path, strlen(kept[i].path));
    /* Not blocking, or a listener with a full queue would hold up whoever asks; what it gets blocks. */
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 && fcntl(fd, F_SETFL, 0) == 0)
        return fd;
    error = -errno;
    close(fd);
    return error;
}

static void answer(int result, int descriptor)
{
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = { .head = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS } };
    struct iovec bytes = { &result, sizeof result };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };

    if (descriptor >= 0) {
        memcpy(CMSG_DATA(&control.head), &descriptor, sizeof descriptor);
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(sizeof(int));
    }
    sendmsg(PAIR, &message, MSG_NOSIGNAL);
}

static void obey(const char *message, size_t length)
{
    int index = -1, result;

    if (length == 1 + sizeof index)
        memcpy(&index, message + 1, sizeof index);
    switch (message[0]) {
    case 'K':
        answer(add(FILE_TO_REMOVE, message + 1, length - 1), -1);
        break;
    case 'C':
        answer(add(SOCKET_TO_CONNECT, message + 1, length - 1), -1);
        break;
    case 'S':
        sealed = 1;
        break;
    case 'R':
        answer(remove_file(index), -1);
        break;
    case 'O':
        result = connect_socket(index);
        answer(result < 0 ? result : 0, result);
        if (result >= 0)
            close(result);
        break;
    default:
        answer(-EINVAL, -1);
    }
}

/* Of root's capabilities only what paths need, for those who have them; and only the calls that follow. */
static void shed(void)
{
    static const int calls[] = {
        __NR_recvfrom, __NR_sendmsg, __NR_newfstatat, __NR_lstat, __NR_unlink, __NR_socket, __NR_connect, __NR_fcntl, __NR_close, __NR_exit_group,
        __NR_rt_sigreturn,
    };
    enum { CALLS = sizeof calls / sizeof *calls };
    struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
    const unsigned paths = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
    struct sock_filter code[4 + CALLS + 2];
    struct sock_fprog program = { .filter = code };
    int n = 0;

    if (syscall(SYS_capget, &head, data) == 0) {
        data[0].effective &= paths;
        data[0].permitted &= paths;
        data[0].inheritable = data[1].effective = data[1].permitted = data[1].inheritable = 0;
        syscall(SYS_capset, &head, data);
    }
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < CALLS; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], CALLS - i, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = n;
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static void keep(int pair)
{
    static char message[1 + MAX_PATH];
    struct sigaction ignored = { .sa_handler = SIG_IGN };
    sigset_t none;
    ssize_t length;

    /* In a session of its own, so that no key of a terminal reaches it; it ends with the program, not before. */
    setsid();
    for (int signal = 1; signal < 32; signal++)
        sigaction(signal, &ignored, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_NAME, "kvmsharp-keeper", 0, 0, 0);
    if (dup2(pair, PAIR) < 0 || syscall(SYS_close_range, PAIR + 1, ~0u, 0) < 0)
        _exit(1);
    shed();
    for (;;) {
        length = recv(PAIR, message, sizeof message, 0);
        if (length < 0 && errno == EINTR)
            continue;
        if (length <= 0)
            break;
        obey(message, (size_t)length);
    }
    for (int i = 0; i < kept_count; i++)
        remove_file(i);
    _exit(0);
}

int kvmsharp_keeper_start(void)
{
    int pair[2];
    long child;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    /* Not fork(): its handlers would run, and the program would be told of a child's end. */
    child = syscall(SYS_clone, 0, 0, 0, 0, 0);
    if (child == 0)
        keep(pair[1]);
    close(pair[1]);
    if (child > 0)
        return pair[0];
    close(pair[0]);
    return -EAGAIN;
}
