/* SPDX-License-Identifier: MIT */
#include "measure.h"
#include "output.h"

/* Channel 2 of the 8254, its gate and its output (port 0x61, bits 0 and 5); 1193182 Hz. */
enum { TIMER_CHANNEL = 0x42, TIMER_MODE = 0x43, TIMER_GATE = 0x61 };
#define TIMER_HZ    1193182u
#define TIMER_TICKS 59659u
#define TIMER_MODE_ONE_SHOT 0xb0

u64 measure_tsc(void)
{
    u8 gate = (u8)(in8(TIMER_GATE) & ~3);
    u64 start;

    out8(TIMER_GATE, gate);
    out8(TIMER_MODE, TIMER_MODE_ONE_SHOT);
    out8(TIMER_CHANNEL, TIMER_TICKS & 0xff);
    out8(TIMER_CHANNEL, TIMER_TICKS >> 8);
    out8(TIMER_GATE, gate | 1);
    start = now();
    while (!(in8(TIMER_GATE) & 0x20))
        ;
    return (now() - start) * TIMER_HZ / TIMER_TICKS / 1000;
}

static unsigned int bucket_of(u64 value)
{
    unsigned int octave;

    if (value < 1u << STEP_BITS)
        return (unsigned int)value;
    octave = 63u - (unsigned int)__builtin_clzll(value) - STEP_BITS;
    return (octave << STEP_BITS) + (unsigned int)(value >> octave);
}

static u64 lower_bound(unsigned int bucket)
{
    unsigned int octave = bucket >> STEP_BITS;

    if (octave < 2)
        return bucket;
    octave--;
    return (u64)(bucket - (octave << STEP_BITS)) << octave;
}

void tally_clear(struct tally *t)
{
    *t = (struct tally){ .shortest = ~0ull };
}

void tally_add(struct tally *t, u64 cycles, u32 bytes)
{
    t->operations++;
    t->bytes += bytes;
    if (cycles < t->shortest)
        t->shortest = cycles;
    if (cycles > t->longest)
        t->longest = cycles;
    t->histogram[bucket_of(cycles)]++;
}

/* Good for three hours at 5 GHz before the product overflows a measurement's 64 bits; measurements take seconds. */
static u64 nanoseconds(u64 cycles, u64 cycles_per_ms)
{
    return cycles / cycles_per_ms * 1000000 + cycles % cycles_per_ms * 1000000 / cycles_per_ms;
}

void tally_print(const struct tally *t, u64 cycles_per_ms)
{
    bool first = true;

    field_number("operations", t->operations);
    field_number("bytes", t->bytes);
    field_number("errors", t->errors);
    field_number("ns", nanoseconds(t->cycles, cycles_per_ms));
    field_number("interrupts", t->interrupts);
    if (t->operations == 0)
        return;
    field_number("min", nanoseconds(t->shortest, cycles_per_ms));
    field_number("max", nanoseconds(t->longest, cycles_per_ms));
    put_text(",\"histogram\":[");
    for (unsigned int i = 0; i < BUCKETS; i++) {
        if (t->histogram[i] == 0)
            continue;
        put_text(first ? "[" : ",[");
        first = false;
        put_number(nanoseconds(lower_bound(i), cycles_per_ms));
        put_text(",");
        put_number(t->histogram[i]);
        put_text("]");
    }
    put_text("]");
}
