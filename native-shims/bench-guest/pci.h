/* SPDX-License-Identifier: MIT */
/* PCI configuration through ports 0xcf8 and 0xcfc (PCI 3.0 3.2.2.3.2): bus 0, every function. */
#ifndef BENCH_PCI_H
#define BENCH_PCI_H

#include "guest.h"

struct pci_function {
    u8 device;
    u8 function;
    u16 vendor_id;
    u16 device_id;
};

enum {
    PCI_COMMAND = 0x04, PCI_CLASS = 0x08, PCI_HEADER_TYPE = 0x0e, PCI_BARS = 0x10, PCI_CAPABILITIES = 0x34, PCI_INTERRUPT_LINE = 0x3c,
};
enum { PCI_COMMAND_IO = 1, PCI_COMMAND_MEMORY = 2, PCI_COMMAND_MASTER = 4 };
enum { PCI_CAP_VENDOR = 0x09, PCI_CAP_MSIX = 0x11 };

u32 pci_read32(const struct pci_function *f, unsigned int offset);
u16 pci_read16(const struct pci_function *f, unsigned int offset);
u8 pci_read8(const struct pci_function *f, unsigned int offset);
void pci_write16(const struct pci_function *f, unsigned int offset, u16 value);

/* The function at a place, if there is one. */
bool pci_probe(unsigned int device, unsigned int function, struct pci_function *found);

/* Address of a BAR in memory or port space; 0 when it has none, or lies beyond what is mapped. */
u64 pci_bar(const struct pci_function *f, unsigned int bar);

/* Offset of the next capability of a kind behind another (0: from the start); 0 when there is none. */
unsigned int pci_capability(const struct pci_function *f, unsigned int after, u8 kind);

/* Routes MSI-X entries 0 to count - 1 to DEVICE_VECTOR of the first processor and turns MSI-X on. False without MSI-X. */
bool pci_enable_msix(const struct pci_function *f, unsigned int count);

#endif
