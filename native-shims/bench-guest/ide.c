/* SPDX-License-Identifier: MIT */
/*
 * The first disk of a PIIX3's primary channel, by bus-master DMA (ATA/ATAPI-7; Programming Interface for Bus Master IDE Controller 1.0).
 * One request at a time, its completion told by the bus master's interrupt bit or by IRQ 14.
 */
#include "device.h"
#include "ioapic.h"

#define VENDOR_ID 0x8086
#define DEVICE_ID 0x7010
#define BUS_MASTER_BAR 4
#define PIN 14
#define SECTOR 512
/* What a channel without drives reads: nobody answers, or the lines are pulled up but for bit 7, or all are. */
#define NOBODY(status) ((status) == 0 || (status) == 0x7f || (status) == 0xff)
/* A region must not cross this. */
#define REGION_BYTES 65536
/* Looks at the status before the drive counts as dead: each is an exit, so seconds. */
#define PATIENCE 100000

enum { PORT_DATA = 0x1f0, PORT_COUNT = 0x1f2, PORT_LBA = 0x1f3, PORT_DEVICE = 0x1f6, PORT_COMMAND = 0x1f7, PORT_CONTROL = 0x3f6 };
enum { STATUS_ERROR = 0x01, STATUS_DATA = 0x08, STATUS_FAULT = 0x20, STATUS_READY = 0x40, STATUS_BUSY = 0x80 };
enum { COMMAND_READ_DMA = 0xc8, COMMAND_WRITE_DMA = 0xca, COMMAND_IDENTIFY = 0xec };
enum { DEVICE_LBA = 0xe0 };
enum { MASTER_COMMAND = 0, MASTER_STATUS = 2, MASTER_TABLE = 4 };
enum { MASTER_START = 1, MASTER_TO_MEMORY = 8, MASTER_FAILED = 2, MASTER_INTERRUPT = 4 };
enum { IDENTIFY_WORDS = 256, IDENTIFY_SECTORS = 60 };
#define REGION_LAST 0x80000000u

struct region {
    u32 address;
    u32 flags_and_bytes;
};

static volatile struct region region __attribute__((aligned(8)));
static u8 buffer[REGION_BYTES] __attribute__((aligned(REGION_BYTES)));
static u16 bus_master;
static bool flying, by_interrupt;
static u32 interrupts_before;

/* The controller belongs to the chipset of some machines, disks or not. */
static bool matches(const struct pci_function *f)
{
    u8 status;

    if (f->vendor_id != VENDOR_ID || f->device_id != DEVICE_ID)
        return false;
    out8(PORT_DEVICE, DEVICE_LBA);
    status = in8(PORT_COMMAND);
    return !NOBODY(status);
}

static u8 wait_ready(u8 wanted)
{
    u8 status = STATUS_BUSY;

    for (int i = 0; i < PATIENCE && (status & (STATUS_BUSY | wanted)) != wanted; i++)
        status = in8(PORT_COMMAND);
    return status;
}

static const char *start(struct device *d, const struct pci_function *f)
{
    u16 identity[IDENTIFY_WORDS];

    pci_write16(f, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
    bus_master = (u16)pci_bar(f, BUS_MASTER_BAR);
    if (!bus_master)
        return "it has no bus master";
    out8(PORT_DEVICE, DEVICE_LBA);
    out8(PORT_CONTROL, 0);
    if ((wait_ready(STATUS_READY) & (STATUS_BUSY | STATUS_READY)) != STATUS_READY)
        return "its first disk is not ready";
    out8(PORT_COMMAND, COMMAND_IDENTIFY);
    if ((wait_ready(STATUS_DATA) & (STATUS_BUSY | STATUS_DATA | STATUS_ERROR)) != STATUS_DATA)
        return "its first disk does not identify itself";
    for (int i = 0; i < IDENTIFY_WORDS; i++)
        identity[i] = in16(PORT_DATA);
    d->sectors = identity[IDENTIFY_SECTORS] | (u64)identity[IDENTIFY_SECTORS + 1] << 16;
    d->interrupts = true;
    d->depth = 1;
    region.address = (u32)(u64)buffer;
    out32(bus_master + MASTER_TABLE, (u32)(u64)&region);
    return NULL;
}

static void listen(struct device *d, bool wanted)
{
    (void)d;
    by_interrupt = wanted;
    ioapic_route(PIN, IOAPIC_EDGE, wanted);
}

static void submit(struct device *d, unsigned int slot, bool write, u64 sector, u32 bytes)
{
    u8 direction = write ? 0 : MASTER_TO_MEMORY;

    (void)d;
    (void)slot;
    region.flags_and_bytes = REGION_LAST | (bytes & (REGION_BYTES - 1));
    compiler_fence();
    interrupts_before = interrupts;
    out8(bus_master + MASTER_COMMAND, direction);
    out8(bus_master + MASTER_STATUS, MASTER_FAILED | MASTER_INTERRUPT);
    out8(PORT_COUNT, (u8)(bytes / SECTOR));
    for (int i = 0; i < 3; i++)
        out8((u16)(PORT_LBA + i), (u8)(sector >> 8 * i));
    out8(PORT_DEVICE, (u8)(DEVICE_LBA | (sector >> 24 & 15)));
    out8(PORT_COMMAND, write ? COMMAND_WRITE_DMA : COMMAND_READ_DMA);
    out8(bus_master + MASTER_COMMAND, direction | MASTER_START);
    flying = true;
}

/* Each register goes to the drive as it is written. */
static void kick(struct device *d)
{
    (void)d;
}

static int completed(struct device *d, bool *failed)
{
    u8 status;

    (void)d;
    if (!flying || (by_interrupt && interrupts == interrupts_before))
        return -1;
    status = in8(bus_master + MASTER_STATUS);
    if (!(status & MASTER_INTERRUPT))
        return -1;
    out8(bus_master + MASTER_COMMAND, 0);
    *failed = (in8(PORT_COMMAND) & (STATUS_ERROR | STATUS_FAULT)) || (status & MASTER_FAILED);
    flying = false;
    return 0;
}

static void wait(struct device *d)
{
    (void)d;
    wait_for_interrupt();
    end_of_interrupt();
}

static const struct disk_operations operations = { .submit = submit, .kick = kick, .completed = completed };

const struct driver ide_driver = {
    .name = "ide", .kind = KIND_DISK, .matches = matches, .start = start, .listen = listen, .wait = wait, .disk = &operations,
};
