/* SPDX-License-Identifier: MIT */
/* Intel 82093AA 3.0: an index and a data register, two words for each pin. */
#include "ioapic.h"

#define INDEX 0xfec00000ul
#define DATA  (INDEX + 0x10)

enum { REDIRECTIONS = 0x10 };
enum { TRIGGER_LEVEL = 1 << 15, MASKED = 1 << 16 };

void ioapic_route(unsigned int pin, enum ioapic_trigger trigger, bool enabled)
{
    if (pin >= IOAPIC_PINS)
        return;
    write32(INDEX, REDIRECTIONS + 2 * pin + 1);
    write32(DATA, 0);
    write32(INDEX, REDIRECTIONS + 2 * pin);
    write32(DATA, DEVICE_VECTOR | (trigger == IOAPIC_LEVEL ? TRIGGER_LEVEL : 0) | (enabled ? 0 : MASKED));
}
