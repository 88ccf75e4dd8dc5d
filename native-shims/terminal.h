/* SPDX-License-Identifier: MIT */
/*
 * Puts a raw terminal back when the process aborts.
 *
 * Why native: abort() is how the .NET runtime ends a process that cannot go on, and nothing managed runs after it. The handler
 * only calls ioctl, sigaction and raise, which are async-signal-safe.
 */
#ifndef KVMSHARP_TERMINAL_H
#define KVMSHARP_TERMINAL_H

/*
 * From now on SIGABRT first gives the terminal fd the settings in mode (struct termios of the kernel, 36 bytes, copied), then ends
 * the process as it would have. One terminal at a time; a negative fd ends the watch. fd must stay open until then.
 * Returns 0, or -errno.
 */
int kvmsharp_terminal_guard(int fd, const void *mode);

/* Gives a guarded terminal its settings back. Async-signal-safe. */
void kvmsharp_terminal_restore(void);

#endif
