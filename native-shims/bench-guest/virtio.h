/* SPDX-License-Identifier: MIT */
/* A modern virtio-pci device with split rings (virtio 1.3 2.7, 4.1) and, where it is offered, notification suppression by index. */
#ifndef BENCH_VIRTIO_H
#define BENCH_VIRTIO_H

#include "pci.h"

#define RING_LIMIT    256
#define VIRTIO_QUEUES 2

struct descriptor {
    u64 address;
    u32 length;
    u16 flags;
    u16 next;
};

enum { DESCRIPTOR_NEXT = 1, DESCRIPTOR_WRITE = 2 };

struct virtio_ring {
    volatile struct descriptor *descriptors;
    volatile u16 *available;
    volatile u16 *used;
    u64 doorbell;
    u16 index;
    u16 size;
    u16 next;       /* available index to come */
    u16 told;       /* available index of the last kick */
    u16 taken;      /* used index that was taken last */
    bool by_index;
};

struct virtio {
    struct pci_function function;
    u64 common, device_config, notify;
    u32 notify_multiplier;
    u64 features;
    bool interrupts;
    struct virtio_ring rings[VIRTIO_QUEUES];
};

/* Resets the device and negotiates VERSION_1, EVENT_IDX and what of wanted is offered. Null, or what is wrong. */
const char *virtio_open(struct virtio *v, const struct pci_function *f, u64 wanted);

/* Sets up queues 0 to count - 1 and starts the device. */
const char *virtio_start(struct virtio *v, unsigned int count);

/* Offers the chain that begins at a descriptor; virtio_kick tells the device of all that were offered since the last. */
void virtio_offer(struct virtio_ring *ring, u16 head);
void virtio_kick(struct virtio_ring *ring);

/* The head of a chain that came back and what was written into it; -1: none. */
int virtio_take(struct virtio_ring *ring, u32 *written);

/* Whether interrupts are wanted from the next chain that comes back on; true: and there is none to take yet. */
bool virtio_want_interrupt(struct virtio_ring *ring, bool want);

#endif
