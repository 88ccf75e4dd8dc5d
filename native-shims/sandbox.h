/* SPDX-License-Identifier: MIT */
/*
 * Confinement of every thread of this process, each by itself: Linux keeps credentials, namespaces, Landlock domains and seccomp filters per
 * thread, and most of the runtime's threads run no code of ours that could enter them. So a signal is sent to each, as libc does for setuid(2),
 * and its handler does the work with bare system calls.
 */
#ifndef KVMSHARP_SANDBOX_H
#define KVMSHARP_SANDBOX_H

/* What a thread is for. A thread that never said so has the first role. */
#define KVMSHARP_ROLES 4

/* Status of a process that made a call which its role has not. */
#define KVMSHARP_VIOLATION_STATUS 12

/* The signal that makes a thread confine itself: SIGRTMIN + 7. The kick has + 6. */
#define KVMSHARP_CONFINE_OFFSET 7

/* The four namespaces to join, in this order; -1: stay. */
enum { KVMSHARP_NS_MOUNT, KVMSHARP_NS_NET, KVMSHARP_NS_IPC, KVMSHARP_NS_UTS, KVMSHARP_NAMESPACES };

/*
 * The calling thread's role, which it keeps. In a confined process its filter is added to what it inherited from its creator.
 * Returns 0, or -errno.
 */
int kvmsharp_sandbox_role(int role);

/* Sets the filter of a role for kvmsharp_sandbox_enter: instructions of struct sock_filter, copied. Returns 0, or -errno. */
int kvmsharp_sandbox_filter(int role, const void *code, unsigned count);

/*
 * Gives up the calling thread's bounding set of capabilities: early, before it makes the threads that would else do the same each.
 * Returns 0, or -errno.
 */
int kvmsharp_sandbox_bound(void);

/*
 * Confines all threads that there are, the calling one last. Once.
 *
 * tasks: a descriptor of /proc/self/task. namespaces: descriptors to join. root: of the directory that is the root there, or -1. landlock: a ruleset, or -1. user, group: to become, or -1: stay.
 * failed: the thread that could not, if there is one.
 * Returns 0, or -errno: some threads are confined then and the process has to end.
 */
int kvmsharp_sandbox_enter(int tasks, const int *namespaces, int root, int landlock, int user, int group, int *failed);

#endif
