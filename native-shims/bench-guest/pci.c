/* SPDX-License-Identifier: MIT */
#include "pci.h"

#define ADDRESS 0xcf8
#define DATA    0xcfc
#define MAPPED  (8ull << 30)
/* More capabilities than fit into configuration space: a list that goes round. */
#define CAPABILITY_LIMIT 48

static void select(const struct pci_function *f, unsigned int offset)
{
    out32(ADDRESS, 0x80000000u | (u32)f->device << 11 | (u32)f->function << 8 | (offset & 0xfc));
}

u32 pci_read32(const struct pci_function *f, unsigned int offset)
{
    select(f, offset);
    return in32(DATA);
}

u16 pci_read16(const struct pci_function *f, unsigned int offset)
{
    select(f, offset);
    return in16((u16)(DATA + (offset & 2)));
}

u8 pci_read8(const struct pci_function *f, unsigned int offset)
{
    select(f, offset);
    return in8((u16)(DATA + (offset & 3)));
}

void pci_write16(const struct pci_function *f, unsigned int offset, u16 value)
{
    select(f, offset);
    out16((u16)(DATA + (offset & 2)), value);
}

bool pci_probe(unsigned int device, unsigned int function, struct pci_function *found)
{
    u32 id;

    *found = (struct pci_function){ .device = (u8)device, .function = (u8)function };
    if (function != 0) {
        struct pci_function first = *found;

        first.function = 0;
        if (!(pci_read8(&first, PCI_HEADER_TYPE) & 0x80))
            return false;
    }
    id = pci_read32(found, 0);
    found->vendor_id = (u16)id;
    found->device_id = (u16)(id >> 16);
    return found->vendor_id != 0xffff;
}

u64 pci_bar(const struct pci_function *f, unsigned int bar)
{
    u32 low = pci_read32(f, PCI_BARS + 4 * bar);
    u64 address;

    if (low & 1)
        return low & ~3u;
    address = low & ~15u;
    if (low & 4)
        address |= (u64)pci_read32(f, PCI_BARS + 4 * (bar + 1)) << 32;
    return address < MAPPED ? address : 0;
}

unsigned int pci_capability(const struct pci_function *f, unsigned int after, u8 kind)
{
    unsigned int offset = pci_read8(f, after ? after + 1 : PCI_CAPABILITIES);

    for (int i = 0; offset != 0 && i < CAPABILITY_LIMIT; i++) {
        if (pci_read8(f, offset) == kind)
            return offset;
        offset = pci_read8(f, offset + 1);
    }
    return 0;
}

bool pci_enable_msix(const struct pci_function *f, unsigned int count)
{
    unsigned int capability = pci_capability(f, 0, PCI_CAP_MSIX);
    u32 place;
    u64 table;

    if (!capability || count > (pci_read16(f, capability + 2) & 0x7ffu) + 1)
        return false;
    place = pci_read32(f, capability + 4);
    table = pci_bar(f, place & 7);
    if (!table)
        return false;
    table += place & ~7u;
    pci_write16(f, capability + 2, 0x8000);
    for (unsigned int i = 0; i < count; i++) {
        write32(table + 16 * i, LOCAL_APIC);
        write32(table + 16 * i + 4, 0);
        write32(table + 16 * i + 8, DEVICE_VECTOR);
        write32(table + 16 * i + 12, 0);
    }
    return true;
}
