/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "memory-fault.h"
#include "terminal.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Memory of another process, which may take it away. A slot is free, about to be filled, or filled. */
enum { SLOT_FREE, SLOT_BUSY, SLOT_READY };
static struct lent {
    int state;
    int event;
    uintptr_t start;
    size_t length;
} lent[KVMSHARP_MEMORY_LENT_MAX];
static int lent_end; /* No slot from here on was ever used. */

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

/* Nonzero: the access can go on, in zeros. */
static int replace_lent(uintptr_t address)
{
    int end = __atomic_load_n(&lent_end, __ATOMIC_ACQUIRE);

    for (int i = 0; i < end; i++) {
        struct lent *range = &lent[i];
        uint64_t one = 1;

        if (__atomic_load_n(&range->state, __ATOMIC_ACQUIRE) != SLOT_READY || address - range->start >= range->length)
            continue;
        /* Two threads may come here at once: the later one's zeros are as good. */
        if (mmap((void *)range->start, range->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
            return 0;
        if (write(range->event, &one, sizeof one) < 0) {
            /* The counter is full: somebody looks already. */
        }
        return 1;
    }
    return 0;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    char line[256], *at = line;
    int memory_failed = info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO;
    int saved_errno;

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

    saved_errno = errno;
    if (replace_lent((uintptr_t)info->si_addr)) {
        errno = saved_errno;
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

int kvmsharp_memory_lent_add(void *start, size_t length, int event)
{
    for (int i = 0; i < KVMSHARP_MEMORY_LENT_MAX; i++) {
        int expected = SLOT_FREE, end;

        if (!__atomic_compare_exchange_n(&lent[i].state, &expected, SLOT_BUSY, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            continue;
        lent[i].start = (uintptr_t)start;
        lent[i].length = length;
        lent[i].event = event;
        end = __atomic_load_n(&lent_end, __ATOMIC_RELAXED);
        while (end <= i && !__atomic_compare_exchange_n(&lent_end, &end, i + 1, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
            ;
        __atomic_store_n(&lent[i].state, SLOT_READY, __ATOMIC_RELEASE);
        return i;
    }
    return -ENOSPC;
}

void kvmsharp_memory_lent_remove(int slot)
{
    __atomic_store_n(&lent[slot].state, SLOT_FREE, __ATOMIC_RELEASE);
}
