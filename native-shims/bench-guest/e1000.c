/* SPDX-License-Identifier: MIT */
/*
 * Intel 82540EM (PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual): legacy descriptors, no offloads, no
 * throttling. Its pin is the I/O APIC's input that the interrupt line register names: firmware, or the machine, has put it there.
 */
#include "device.h"
#include "ioapic.h"

#define VENDOR_ID 0x8086
#define DEVICE_ID 0x100e
#define RING 256
/* Looks at CTRL before the reset counts as failed. */
#define PATIENCE 100000

enum {
    CTRL = 0x0000, ICR = 0x00c0, ITR = 0x00c4, IMS = 0x00d0, IMC = 0x00d8, RCTL = 0x0100, TCTL = 0x0400, TIPG = 0x0410,
    RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818,
    TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818, RAL0 = 0x5400, RAH0 = 0x5404,
};
enum { CTRL_FULL_DUPLEX = 1 << 0, CTRL_SET_LINK_UP = 1 << 6, CTRL_RESET = 1 << 26 };
enum { CAUSE_TX_DONE = 1 << 0, CAUSE_RX_OVERRUN = 1 << 6, CAUSE_RX = 1 << 7 };
enum { RCTL_ENABLE = 1 << 1, RCTL_UNICAST_ALL = 1 << 3, RCTL_BROADCAST = 1 << 15, RCTL_STRIP_CRC = 1 << 26 };
enum { TCTL_ENABLE = 1 << 1, TCTL_PAD = 1 << 3, TCTL_COLLISIONS = 0x0f << 4 | 0x40 << 12 };
/* Gaps between frames for copper (13.4.34). */
#define TIPG_COPPER (10 | 8 << 10 | 6 << 20)
enum { TX_END = 1, TX_INSERT_CRC = 2, TX_REPORT = 8 };
enum { DONE = 1, RX_END = 2 };

struct tx_descriptor {
    u64 address;
    u16 length;
    u8 checksum_offset;
    u8 command;
    u8 status;
    u8 checksum_start;
    u16 special;
};

struct rx_descriptor {
    u64 address;
    u16 length;
    u16 checksum;
    u8 status;
    u8 errors;
    u16 special;
};

static volatile struct tx_descriptor tx_ring[RING] __attribute__((aligned(4096)));
static volatile struct rx_descriptor rx_ring[RING] __attribute__((aligned(4096)));
static u8 received[RING][FRAME_BYTES] __attribute__((aligned(4096)));
static u8 sending[SLOT_LIMIT][FRAME_BYTES] __attribute__((aligned(4096)));
/* The slot that a transmit descriptor was used for. */
static u8 slots[RING];
static u64 registers;
static unsigned int pin;
/* Positions in the rings; told: the tails that the device knows. */
static unsigned int tx_next, tx_told, tx_taken, rx_next, rx_tail, rx_told;

static bool matches(const struct pci_function *f)
{
    return f->vendor_id == VENDOR_ID && f->device_id == DEVICE_ID;
}

static bool reset(void)
{
    u32 control = CTRL_RESET;

    write32(registers + IMC, ~0u);
    write32(registers + CTRL, CTRL_RESET);
    for (int i = 0; i < PATIENCE && (control & CTRL_RESET); i++)
        control = read32(registers + CTRL);
    write32(registers + IMC, ~0u);
    (void)read32(registers + ICR);
    return !(control & CTRL_RESET);
}

static void start_receiver(void)
{
    for (unsigned int i = 0; i < RING; i++) {
        rx_ring[i].address = (u64)received[i];
        rx_ring[i].status = 0;
    }
    write32(registers + RDBAL, (u32)(u64)rx_ring);
    write32(registers + RDBAH, 0);
    write32(registers + RDLEN, sizeof rx_ring);
    write32(registers + RDH, 0);
    write32(registers + RCTL, RCTL_ENABLE | RCTL_UNICAST_ALL | RCTL_BROADCAST | RCTL_STRIP_CRC);
    /* The descriptor at the tail is not the device's. */
    rx_next = 0;
    rx_tail = rx_told = RING - 1;
    write32(registers + RDT, rx_tail);
}

static void start_transmitter(void)
{
    write32(registers + TDBAL, (u32)(u64)tx_ring);
    write32(registers + TDBAH, 0);
    write32(registers + TDLEN, sizeof tx_ring);
    write32(registers + TDH, 0);
    write32(registers + TDT, 0);
    write32(registers + TIPG, TIPG_COPPER);
    write32(registers + TCTL, TCTL_ENABLE | TCTL_PAD | TCTL_COLLISIONS);
    tx_next = tx_told = tx_taken = 0;
}

static const char *start(struct device *d, const struct pci_function *f)
{
    u32 low, high;

    pci_write16(f, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    registers = pci_bar(f, 0);
    if (!registers)
        return "its registers are not in reach";
    if (!reset())
        return "its reset does not end";
    write32(registers + CTRL, CTRL_SET_LINK_UP | CTRL_FULL_DUPLEX);
    write32(registers + ITR, 0);
    low = read32(registers + RAL0);
    high = read32(registers + RAH0);
    for (unsigned int i = 0; i < sizeof d->mac; i++)
        d->mac[i] = (u8)(i < 4 ? low >> 8 * i : high >> 8 * (i - 4));
    start_receiver();
    start_transmitter();
    pin = pci_read8(f, PCI_INTERRUPT_LINE);
    d->interrupts = pin < IOAPIC_PINS;
    d->depth = SLOT_LIMIT;
    return NULL;
}

static void listen(struct device *d, bool by_interrupt)
{
    (void)d;
    write32(registers + IMC, ~0u);
    (void)read32(registers + ICR);
    ioapic_route(pin, IOAPIC_LEVEL, by_interrupt);
    if (by_interrupt)
        write32(registers + IMS, CAUSE_TX_DONE | CAUSE_RX_OVERRUN | CAUSE_RX);
}

static u8 *frame(struct device *d, unsigned int slot)
{
    (void)d;
    return sending[slot];
}

static void send(struct device *d, unsigned int slot, u32 bytes)
{
    volatile struct tx_descriptor *t = tx_ring + tx_next;

    (void)d;
    t->address = (u64)sending[slot];
    t->length = (u16)bytes;
    t->command = TX_END | TX_INSERT_CRC | TX_REPORT;
    t->status = 0;
    slots[tx_next] = (u8)slot;
    tx_next = (tx_next + 1) % RING;
}

static void kick(struct device *d)
{
    (void)d;
    compiler_fence();
    if (rx_tail != rx_told)
        write32(registers + RDT, rx_told = rx_tail);
    if (tx_next != tx_told)
        write32(registers + TDT, tx_told = tx_next);
}

static int sent(struct device *d)
{
    int slot;

    (void)d;
    if (tx_taken == tx_told || !(tx_ring[tx_taken].status & DONE))
        return -1;
    slot = slots[tx_taken];
    tx_taken = (tx_taken + 1) % RING;
    return slot;
}

static int receive(struct device *d, u8 **data, u32 *bytes)
{
    unsigned int slot = rx_next;

    (void)d;
    if (!(rx_ring[slot].status & DONE))
        return -1;
    compiler_fence();
    if (rx_ring[slot].length > FRAME_BYTES || !(rx_ring[slot].status & RX_END))
        leave(EXIT_FAILED);
    *data = received[slot];
    *bytes = rx_ring[slot].length;
    rx_next = (rx_next + 1) % RING;
    return (int)slot;
}

/* In the order in which they were received. */
static void recycle(struct device *d, unsigned int slot)
{
    (void)d;
    rx_ring[slot].status = 0;
    rx_tail = slot;
}

/* Reading the causes takes the pin's level back, so that the end of the interrupt does not bring it again. */
static void wait(struct device *d)
{
    (void)d;
    wait_for_interrupt();
    (void)read32(registers + ICR);
    end_of_interrupt();
}

static const struct net_operations operations = {
    .frame = frame, .send = send, .kick = kick, .sent = sent, .receive = receive, .recycle = recycle,
};

const struct driver e1000_driver = {
    .name = "e1000", .kind = KIND_NET, .matches = matches, .start = start, .listen = listen, .wait = wait, .net = &operations,
};
