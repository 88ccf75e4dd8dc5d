/* SPDX-License-Identifier: MIT */
/*
 * Ends the process in order when the host takes away memory that is mapped.
 *
 * Why native: the access that faults may be anywhere in managed code, where the runtime knows no way on and would dump core. The handler
 * only calls write, ioctl and _exit, which are async-signal-safe.
 */
#ifndef KVMSHARP_MEMORY_FAULT_H
#define KVMSHARP_MEMORY_FAULT_H

/*
 * From now on a SIGBUS that an access to memory caused (a mapped file that became shorter, no huge page left, memory that failed) puts a
 * guarded terminal back, says so in one line on standard error and ends the process with this status. Nothing runs on: whatever
 * came to stand in the page's place would reach the guest's disks. A SIGBUS that somebody sent does what it did before.
 * Returns 0, or -errno.
 */
int kvmsharp_memory_fault_init(int status);

#endif
