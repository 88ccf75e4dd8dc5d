/* SPDX-License-Identifier: MIT */
#ifndef BENCH_WORKLOAD_H
#define BENCH_WORKLOAD_H

#include "device.h"

/* How long and what for; from the command line. */
struct plan {
    u64 cycles_per_ms;
    u64 warmup_ms;
    u64 measure_ms;
    bool marks;       /* tell the host when measurements begin and end */
    bool peer;        /* a host at the other end of the network answers and sends */
};

/* Every workload of the device's kind, with polled and with interrupt completion: a JSON line each. */
void run_workloads(struct device *d, const struct plan *plan);

#endif
