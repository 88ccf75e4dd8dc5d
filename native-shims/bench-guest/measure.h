/* SPDX-License-Identifier: MIT */
/* How long operations took and how many there were: what a result line is made of. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "guest.h"

/* Buckets of the histogram: values below 2^STEP_BITS have one each, every octave above 2^STEP_BITS of them. */
#define STEP_BITS 5
#define BUCKETS   ((64 - STEP_BITS + 1) << STEP_BITS)

struct tally {
    u64 operations;
    u64 bytes;
    u64 errors;
    u64 cycles;
    u64 interrupts;
    u64 shortest, longest;
    u32 histogram[BUCKETS];
};

/* Ticks of the time stamp counter in a millisecond, measured against the 8254 timer. */
u64 measure_tsc(void);

void tally_clear(struct tally *t);
void tally_add(struct tally *t, u64 cycles, u32 bytes);

/* The fields of a line: totals, and the histogram as [lower bound in ns, count] where count is not zero. */
void tally_print(const struct tally *t, u64 cycles_per_ms);

#endif
