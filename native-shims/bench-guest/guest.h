/* SPDX-License-Identifier: MIT */
/* What every file of the bench guest uses: types, ports, registers in memory, time. */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

/* Interrupts handled so far (entry.S). */
extern volatile u32 interrupts;

/* The vector that devices send. */
#define DEVICE_VECTOR 0x40
#define LOCAL_APIC    0xfee00000ul

static inline void out8(u16 port, u8 value) { __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out16(u16 port, u16 value) { __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port)); }
static inline void out32(u16 port, u32 value) { __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port)); }

static inline u8 in8(u16 port)
{
    u8 value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline u16 in16(u16 port)
{
    u16 value;

    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline u32 in32(u16 port)
{
    u32 value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

/* Plain moves with a known width: an emulated access is one instruction. */
static inline u8 read8(u64 address) { return *(volatile u8 *)address; }
static inline u16 read16(u64 address) { return *(volatile u16 *)address; }
static inline u32 read32(u64 address) { return *(volatile u32 *)address; }
static inline void write8(u64 address, u8 value) { *(volatile u8 *)address = value; }
static inline void write16(u64 address, u16 value) { *(volatile u16 *)address = value; }
static inline void write32(u64 address, u32 value) { *(volatile u32 *)address = value; }

static inline u64 now(void)
{
    u32 low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (u64)high << 32 | low;
}

static inline void pause(void) { __asm__ volatile("pause" : : : "memory"); }

/* Stores become visible to the device before later loads: the one order that x86 does not keep by itself. */
static inline void full_fence(void) { __asm__ volatile("lock orl $0, -4(%%rsp)" : : : "memory", "cc"); }
static inline void compiler_fence(void) { __asm__ volatile("" : : : "memory"); }

/* Halts until an interrupt has been handled; one that came before counts. The caller acknowledges it: its device first, then this. */
static inline void wait_for_interrupt(void) { __asm__ volatile("hlt" : : : "memory"); }
static inline void end_of_interrupt(void) { write32(LOCAL_APIC + 0xb0, 0); }

/* Ends the machine with a status through the debug-exit device. */
enum exit_status { EXIT_OK = 0, EXIT_FAILED = 0x20 };
__attribute__((noreturn)) void leave(enum exit_status status);

#endif
