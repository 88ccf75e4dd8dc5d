/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "memory-fault.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static struct sigaction previous;
static int exit_status;

static char *append(char *at, const char *text)
{
    size_t length = strlen(text);

    memcpy(at, text, length);
    return at + length;
}

static char *append_address(char *at, uintptr_t address)
{
    static const char digits[] = "0123456789abcdef";

    for (int shift = 60; shift >= 0; shift -= 4)
        *at++ = digits[(address >> shift) & 15];
    return at;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    char line[256], *at = line;
    int memory_failed = info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO;

    if (info->si_code <= 0) {
        /* Sent by somebody. It comes again once this handler returns, if nobody else wanted it. */
        if (previous.sa_flags & SA_SIGINFO) {
            previous.sa_sigaction(number, info, context);
        } else if (previous.sa_handler != SIG_IGN && previous.sa_handler != SIG_DFL) {
            previous.sa_handler(number);
        } else if (previous.sa_handler == SIG_DFL) {
            sigaction(number, &previous, NULL);
            raise(number);
        }
        return;
    }

    kvmsharp_terminal_restore();
    at = append(at, "kvmsharp: the host took memory away at 0x");
    at = append_address(at, (uintptr_t)info->si_addr);
    at = append(at, memory_failed ? ": its hardware failed there\n"
                                  : ": the file behind it was made shorter, or huge pages or a limit of the host are used up\n");
    if (write(STDERR_FILENO, line, (size_t)(at - line)) < 0) {
        /* There is nobody else to tell. */
    }
    _exit(exit_status);
}

int kvmsharp_memory_fault_init(int status)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    exit_status = status;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGBUS, &action, &previous) < 0 ? -errno : 0;
}
