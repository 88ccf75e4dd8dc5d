/* SPDX-License-Identifier: MIT */
/* virtio-net (virtio 1.3 5.1) without offloads: a slot is a descriptor, header and frame in one buffer. */
#include "device.h"
#include "virtio.h"

#define DEVICE_ID 0x1041
#define TRANSITIONAL_ID 0x1000
#define VENDOR_ID 0x1af4
#define FEATURE_MAC (1ull << 5)
#define HEADER 12

enum { RECEIVE = 0, TRANSMIT = 1 };

static struct virtio virtio;
static u8 received[RING_LIMIT][FRAME_BYTES] __attribute__((aligned(4096)));
static u8 sending[SLOT_LIMIT][FRAME_BYTES] __attribute__((aligned(4096)));

static bool matches(const struct pci_function *f)
{
    return f->vendor_id == VENDOR_ID && (f->device_id == DEVICE_ID || f->device_id == TRANSITIONAL_ID);
}

static void recycle(struct device *d, unsigned int slot)
{
    (void)d;
    virtio_offer(&virtio.rings[RECEIVE], (u16)slot);
}

static const char *start(struct device *d, const struct pci_function *f)
{
    const char *problem = virtio_open(&virtio, f, FEATURE_MAC);

    if (!problem)
        problem = virtio_start(&virtio, VIRTIO_QUEUES);
    if (problem)
        return problem;
    for (unsigned int i = 0; i < sizeof d->mac; i++)
        d->mac[i] = read8(virtio.device_config + i);
    d->interrupts = virtio.interrupts;
    d->depth = virtio.rings[TRANSMIT].size < SLOT_LIMIT ? virtio.rings[TRANSMIT].size : SLOT_LIMIT;
    for (u16 i = 0; i < virtio.rings[RECEIVE].size; i++) {
        volatile struct descriptor *buffer = virtio.rings[RECEIVE].descriptors + i;

        buffer->address = (u64)received[i];
        buffer->length = FRAME_BYTES;
        buffer->flags = DESCRIPTOR_WRITE;
        recycle(d, i);
    }
    virtio_kick(&virtio.rings[RECEIVE]);
    return NULL;
}

static u8 *frame(struct device *d, unsigned int slot)
{
    (void)d;
    return sending[slot] + HEADER;
}

static void send(struct device *d, unsigned int slot, u32 bytes)
{
    volatile struct descriptor *buffer = virtio.rings[TRANSMIT].descriptors + slot;

    (void)d;
    buffer->address = (u64)sending[slot];
    buffer->length = HEADER + bytes;
    buffer->flags = 0;
    virtio_offer(&virtio.rings[TRANSMIT], (u16)slot);
}

static void kick(struct device *d)
{
    (void)d;
    virtio_kick(&virtio.rings[RECEIVE]);
    virtio_kick(&virtio.rings[TRANSMIT]);
}

static int sent(struct device *d)
{
    u32 written;
    int slot = virtio_take(&virtio.rings[TRANSMIT], &written);

    if (slot >= (int)d->depth)
        leave(EXIT_FAILED);
    return slot;
}

static int receive(struct device *d, u8 **data, u32 *bytes)
{
    u32 written;
    int slot = virtio_take(&virtio.rings[RECEIVE], &written);

    (void)d;
    if (slot < 0)
        return -1;
    if (slot >= virtio.rings[RECEIVE].size || written < HEADER || written > FRAME_BYTES)
        leave(EXIT_FAILED);
    *data = received[slot] + HEADER;
    *bytes = written - HEADER;
    return slot;
}

static void wait(struct device *d)
{
    bool idle = virtio_want_interrupt(&virtio.rings[RECEIVE], true);

    (void)d;
    if (virtio_want_interrupt(&virtio.rings[TRANSMIT], true) && idle) {
        wait_for_interrupt();
        end_of_interrupt();
    }
    virtio_want_interrupt(&virtio.rings[RECEIVE], false);
    virtio_want_interrupt(&virtio.rings[TRANSMIT], false);
}

static const struct net_operations operations = {
    .frame = frame, .send = send, .kick = kick, .sent = sent, .receive = receive, .recycle = recycle,
};

const struct driver virtio_net_driver = {
    .name = "virtio-net", .kind = KIND_NET, .matches = matches, .start = start, .wait = wait, .net = &operations,
};
