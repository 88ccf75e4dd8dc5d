/* SPDX-License-Identifier: MIT */
/*
 * The floor of the exit benchmark: a VM with one vCPU whose every exit goes straight back into KVM_RUN. C, so that what a managed run loop
 * adds can be told from what KVM costs.
 */
#ifndef KVMSHARP_EXIT_FLOOR_H
#define KVMSHARP_EXIT_FLOOR_H

#include <stdint.h>

/*
 * The guest: 64 KiB of memory, real mode, code at EXIT_FLOOR_CODE, CS base 0, DS base EXIT_FLOOR_MMIO (no memory there), ES base
 * EXIT_FLOOR_APIC, BX 0, DX EXIT_FLOOR_PORT, ESI the number of exits, stack below EXIT_FLOOR_STACK, vector EXIT_FLOOR_VECTOR at
 * EXIT_FLOOR_HANDLER.
 */
#define EXIT_FLOOR_MEMORY  0x10000
#define EXIT_FLOOR_CODE    0x1000
#define EXIT_FLOOR_HANDLER 0x1100
#define EXIT_FLOOR_STACK   0x8000
#define EXIT_FLOOR_PORT    0xe0
#define EXIT_FLOOR_MMIO    0xa0000
#define EXIT_FLOOR_APIC    0xfee00000
#define EXIT_FLOOR_VECTOR  0x40

/* What the host does at each exit. */
enum { EXIT_FLOOR_NOTHING, EXIT_FLOOR_IRQFD, EXIT_FLOOR_MSI };

/*
 * Runs the code for batches times per_batch exits and stores the nanoseconds of processor time per exit of each batch.
 * doorbell: a port whose one-byte writes end in the kernel (KVM_IOEVENTFD); 0: none. Returns 0, or -errno; -EPROTO when the guest
 * left for another reason than a port or memory access.
 */
int kvmsharp_exit_floor(const unsigned char *code, uint32_t code_size, uint32_t batches, uint32_t per_batch, uint32_t doorbell, uint32_t interrupt,
                        double *nanoseconds);

#endif
