/* SPDX-License-Identifier: MIT */
/*
 * The signal that takes a vCPU thread out of KVM_RUN.
 *
 * Why native: a signal handler must be async-signal-safe, and managed code is not. The handler itself does nothing; its only effect is
 * that ioctl(KVM_RUN) returns -1 with EINTR. That is why it must exist at all (SIG_IGN would not interrupt the call, SIG_DFL would end
 * the process) and why it is installed without SA_RESTART.
 *
 * Why not SIGRTMIN: the .NET runtime uses libc's SIGRTMIN to suspend its own threads.
 */
#ifndef KVMSHARP_KICK_H
#define KVMSHARP_KICK_H

/* Distance from libc's SIGRTMIN, which is a run-time value: libc keeps the kernel's first real-time signals for itself. */
#define KVMSHARP_KICK_OFFSET 6

/*
 * Installs the no-op handler for the kick signal. Idempotent; any thread, before the first kick.
 * Returns the signal's number, or -errno.
 */
int kvmsharp_kick_init(void);

/*
 * Unblocks the kick signal in the calling thread: the mask is inherited from whoever started the process, and a blocked kick
 * is a vCPU that cannot be stopped. Called once by each vCPU thread. Returns the thread's kernel id, or -errno.
 */
int kvmsharp_kick_enter_thread(void);

/*
 * Sends the kick to one thread of this process. Any thread. Returns 0, or -errno; -ESRCH when that thread has ended.
 * The caller has set kvm_run.immediate_exit first, so that a kick which lands just before KVM_RUN is not lost.
 */
int kvmsharp_kick(int tid);

/*
 * KVM_RUN on a vCPU. Returns 0, or -errno. It is C because a managed system call clears and fetches errno around every call;
 * here errno is read only when the call failed.
 */
int kvmsharp_vcpu_run(int vcpu);

#endif
