/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "terminal.h"

#include <asm/termbits.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>

_Static_assert(sizeof(struct termios) == 36, "the caller passes the kernel's struct termios");

enum { MAX_INTERRUPTIONS = 64 };

static struct termios saved;
static volatile sig_atomic_t guarded = -1;

void kvmsharp_terminal_restore(void)
{
    /* A signal must not leave it raw; one that keeps coming does. */
    for (int i = 0; i < MAX_INTERRUPTIONS && guarded >= 0 && ioctl(guarded, TCSETS, &saved) < 0 && errno == EINTR; i++)
        ;
}

static void on_abort(int number)
{
    struct sigaction action = { .sa_handler = SIG_DFL };

    kvmsharp_terminal_restore();
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
    raise(number);
}

int kvmsharp_terminal_guard(int fd, const void *mode)
{
    struct sigaction action = { .sa_handler = on_abort };

    guarded = -1;
    if (fd < 0)
        return 0;
    memcpy(&saved, mode, sizeof saved);
    guarded = fd;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGABRT, &action, NULL) < 0 ? -errno : 0;
}
