/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "kick.h"

#include <errno.h>
#include <pthread.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int kick_signal(void)
{
    return SIGRTMIN + KVMSHARP_KICK_OFFSET;
}

static void on_kick(int signal)
{
    (void)signal;
}

int kvmsharp_kick_init(void)
{
    struct sigaction action = { .sa_handler = on_kick };

    sigemptyset(&action.sa_mask);
    if (kick_signal() > SIGRTMAX)
        return -EINVAL;
    if (sigaction(kick_signal(), &action, NULL) < 0)
        return -errno;
    return kick_signal();
}

int kvmsharp_kick_enter_thread(void)
{
    sigset_t set;
    int error;

    sigemptyset(&set);
    sigaddset(&set, kick_signal());
    error = pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    return error ? -error : (int)syscall(SYS_gettid);
}

int kvmsharp_kick(int tid)
{
    return syscall(SYS_tgkill, getpid(), tid, kick_signal()) < 0 ? -errno : 0;
}

int kvmsharp_vcpu_run(int vcpu)
{
    return ioctl(vcpu, KVM_RUN, 0) < 0 ? -errno : 0;
}
