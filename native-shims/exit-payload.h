/* SPDX-License-Identifier: MIT */
/*
 * What the guest of the exit benchmark runs, the same bytes for the C floor and for KvmSharp. Real mode, loaded at EXIT_PAYLOAD_ADDRESS of a
 * guest with 64 KiB of memory; CS base 0, DS base EXIT_PAYLOAD_MMIO (no memory there), BX = 0, DX = EXIT_PAYLOAD_PORT, ECX = number of writes.
 * Halts at the end.
 */
#ifndef KVMSHARP_EXIT_PAYLOAD_H
#define KVMSHARP_EXIT_PAYLOAD_H

#define EXIT_PAYLOAD_ADDRESS 0x1000
#define EXIT_PAYLOAD_MEMORY  0x10000
#define EXIT_PAYLOAD_PORT    0xe0
#define EXIT_PAYLOAD_MMIO    0xa0000

static const unsigned char exit_payload_pio[] = {
    0xee,             /* again: out dx, al    */
    0x66, 0x49,       /*        dec ecx       */
    0x75, 0xfb,       /*        jnz again     */
    0xf4,             /*        hlt           */
};

static const unsigned char exit_payload_mmio[] = {
    0x66, 0x89, 0x07, /* again: mov [bx], eax */
    0x66, 0x49,       /*        dec ecx       */
    0x75, 0xf9,       /*        jnz again     */
    0xf4,             /*        hlt           */
};

#endif
