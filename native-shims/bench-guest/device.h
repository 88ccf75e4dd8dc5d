/* SPDX-License-Identifier: MIT */
/* What a driver offers to the workloads, and the table of drivers. */
#ifndef BENCH_DEVICE_H
#define BENCH_DEVICE_H

#include "pci.h"

#define SLOT_LIMIT   64
#define BUFFER_BYTES 65536
#define FRAME_BYTES  2048

enum device_kind { KIND_DISK, KIND_NET };

struct device;

/* A request is a slot below depth with a buffer of its own. */
struct disk_operations {
    void (*submit)(struct device *d, unsigned int slot, bool write, u64 sector, u32 bytes);
    /* Lets the device know of what was submitted since. */
    void (*kick)(struct device *d);
    /* The slot of a request that is done; -1: none. */
    int (*completed)(struct device *d, bool *failed);
};

struct net_operations {
    /* Frames to send lie in slots below depth, received ones where receive says. */
    u8 *(*frame)(struct device *d, unsigned int slot);
    void (*send)(struct device *d, unsigned int slot, u32 bytes);
    void (*kick)(struct device *d);
    int (*sent)(struct device *d);
    /* A frame that came in, its slot and length; -1: none. recycle gives the slot back, to be kicked with the rest. */
    int (*receive)(struct device *d, u8 **frame, u32 *bytes);
    void (*recycle)(struct device *d, unsigned int slot);
};

struct driver {
    const char *name;
    enum device_kind kind;
    bool (*matches)(const struct pci_function *f);
    /* Null, or what is wrong. */
    const char *(*start)(struct device *d, const struct pci_function *f);
    /* From now on completion is waited for by interrupt, or is not. Null where wait says it each time. */
    void (*listen)(struct device *d, bool by_interrupt);
    /* Halts until the device has interrupted, unless there is something to complete already. */
    void (*wait)(struct device *d);
    const struct disk_operations *disk;
    const struct net_operations *net;
};

struct device {
    const struct driver *driver;
    struct pci_function place;
    void *state;
    unsigned int depth;
    bool interrupts;
    u64 sectors;
    u8 mac[6];
};

extern const struct driver e1000_driver, ide_driver, virtio_blk_driver, virtio_net_driver;

#endif
