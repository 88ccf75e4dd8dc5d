/* SPDX-License-Identifier: MIT */
/* JSON lines on the first serial port. */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include "guest.h"

void serial_start(void);
void put_text(const char *text);
void put_number(u64 value);

/* {"name": ... }: line_start opens the line with its kind, each field adds one, line_end sends it. */
void line_start(const char *kind, const char *value);
void field_text(const char *name, const char *value);
void field_number(const char *name, u64 value);
void line_end(void);

/* A byte to the host that says where a measurement begins or ends, or that its end of the network is needed, and its answer. At most a second. */
enum mark { MARK_BEGIN = 0x02, MARK_END = 0x03, MARK_PEER = 0x05 };
void mark(enum mark which, u64 cycles_per_ms);

#endif
