/* SPDX-License-Identifier: MIT */
/*
 * Ends the process in order when the host takes away memory that is mapped, unless another process lent it.
 *
 * Why native: the access that faults may be anywhere in managed code, where the runtime knows no way on and would dump core. The handler
 * only calls write, ioctl, mmap (a bare system call) and _exit, which are async-signal-safe.
 */
#ifndef KVMSHARP_MEMORY_FAULT_H
#define KVMSHARP_MEMORY_FAULT_H

#include <stddef.h>

/*
 * From now on a SIGBUS that an access to memory caused (a mapped file that became shorter, no huge page left, memory that failed) puts a
 * guarded terminal back, says so in one line on standard error and ends the process with this status. Nothing runs on: whatever
 * came to stand in the page's place would reach the guest's disks. A SIGBUS that somebody sent does what it did before.
 * Returns 0, or -errno.
 */
int kvmsharp_memory_fault_init(int status);

/* Most ranges that are lent at a time. */
#define KVMSHARP_MEMORY_LENT_MAX 16384

/*
 * [start, start + length), whole pages of a mapping, is memory that another process lends and may take away. A SIGBUS in it no longer ends the process: the
 * whole range becomes private memory that reads as zero, the eventfd is signalled, and the access goes on. The eventfd must stay open and non-blocking, and the
 * mapping must stay, until it is removed; nobody accesses it while that is done. Any thread.
 * Returns the slot of the range, or -ENOSPC.
 */
int kvmsharp_memory_lent_add(void *start, size_t length, int event);

/* The range is as any memory again. */
void kvmsharp_memory_lent_remove(int slot);

#endif
