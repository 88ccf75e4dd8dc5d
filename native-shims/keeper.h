/* SPDX-License-Identifier: MIT */
/*
 * A process beside the confined one that keeps what only works by path: it removes files that the program made, and connects to sockets again.
 * Which ones they are is said before the program is confined and cannot be changed afterwards.
 *
 * Why native: it is made by fork without exec from a process that has threads, so it must do with system calls alone.
 *
 * Messages are those of a SOCK_SEQPACKET pair: one byte of command and its argument; the answer is an int, 0 or more, or -errno.
 *
 *   K PATH   keep a file (as it is now) to be removed: its index
 *   C PATH   a unix stream socket to connect to later: its index
 *   S        from now on only the next two; not answered
 *   R INDEX  (int) remove the file if it is still the one that was there at K
 *   O INDEX  (int) connect; the descriptor comes with the answer 0
 *
 * When the program ends, however it does, what is left of its files is removed and the keeper ends.
 */
#ifndef KVMSHARP_KEEPER_H
#define KVMSHARP_KEEPER_H

/* Starts the keeper. Returns the program's end of the socket pair, close-on-exec, or -errno. */
int kvmsharp_keeper_start(void);

#endif
