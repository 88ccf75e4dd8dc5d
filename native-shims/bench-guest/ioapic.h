/* SPDX-License-Identifier: MIT */
/* The I/O APIC at its usual place: lines that are no messages. */
#ifndef BENCH_IOAPIC_H
#define BENCH_IOAPIC_H

#include "guest.h"

#define IOAPIC_PINS 24

enum ioapic_trigger { IOAPIC_EDGE, IOAPIC_LEVEL };

/* Sends a pin to DEVICE_VECTOR of the first processor, or masks it. */
void ioapic_route(unsigned int pin, enum ioapic_trigger trigger, bool enabled);

#endif
