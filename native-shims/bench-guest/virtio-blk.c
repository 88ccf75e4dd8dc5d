/* SPDX-License-Identifier: MIT */
/* virtio-blk (virtio 1.3 5.2): each slot is a chain of three descriptors. */
#include "device.h"
#include "virtio.h"

#define CHAIN 3
#define DEVICE_ID 0x1042
#define TRANSITIONAL_ID 0x1001
#define VENDOR_ID 0x1af4

enum { TYPE_IN = 0, TYPE_OUT = 1 };

struct request {
    u32 type;
    u32 reserved;
    u64 sector;
    volatile u8 status;
};

static struct virtio virtio;
static struct request requests[SLOT_LIMIT];
static u8 buffers[SLOT_LIMIT][BUFFER_BYTES] __attribute__((aligned(4096)));

static bool matches(const struct pci_function *f)
{
    return f->vendor_id == VENDOR_ID && (f->device_id == DEVICE_ID || f->device_id == TRANSITIONAL_ID);
}

static const char *start(struct device *d, const struct pci_function *f)
{
    const char *problem = virtio_open(&virtio, f, 0);

    if (!problem)
        problem = virtio_start(&virtio, 1);
    if (problem)
        return problem;
    d->sectors = read32(virtio.device_config) | (u64)read32(virtio.device_config + 4) << 32;
    d->interrupts = virtio.interrupts;
    d->depth = virtio.rings[0].size / CHAIN;
    if (d->depth > SLOT_LIMIT)
        d->depth = SLOT_LIMIT;
    return NULL;
}

static void submit(struct device *d, unsigned int slot, bool write, u64 sector, u32 bytes)
{
    volatile struct descriptor *chain = virtio.rings[0].descriptors + CHAIN * slot;
    struct request *r = &requests[slot];
    u16 head = (u16)(CHAIN * slot);

    (void)d;
    *r = (struct request){ .type = write ? TYPE_OUT : TYPE_IN, .sector = sector, .status = 0xff };
    chain[0].address = (u64)r;
    chain[0].length = 16;
    chain[0].flags = DESCRIPTOR_NEXT;
    chain[0].next = (u16)(head + 1);
    chain[1].address = (u64)buffers[slot];
    chain[1].length = bytes;
    chain[1].flags = (u16)(DESCRIPTOR_NEXT | (write ? 0 : DESCRIPTOR_WRITE));
    chain[1].next = (u16)(head + 2);
    chain[2].address = (u64)&r->status;
    chain[2].length = 1;
    chain[2].flags = DESCRIPTOR_WRITE;
    chain[2].next = 0;
    virtio_offer(&virtio.rings[0], head);
}

static void kick(struct device *d)
{
    (void)d;
    virtio_kick(&virtio.rings[0]);
}

static int completed(struct device *d, bool *failed)
{
    u32 written;
    int head = virtio_take(&virtio.rings[0], &written);

    if (head < 0)
        return -1;
    head /= CHAIN;
    if ((unsigned int)head >= d->depth)
        leave(EXIT_FAILED);
    *failed = requests[head].status != 0;
    return head;
}

static void wait(struct device *d)
{
    (void)d;
    if (virtio_want_interrupt(&virtio.rings[0], true)) {
        wait_for_interrupt();
        end_of_interrupt();
    }
    virtio_want_interrupt(&virtio.rings[0], false);
}

static const struct disk_operations operations = { .submit = submit, .kick = kick, .completed = completed };

const struct driver virtio_blk_driver = {
    .name = "virtio-blk", .kind = KIND_DISK, .matches = matches, .start = start, .wait = wait, .disk = &operations,
};
