/* SPDX-License-Identifier: MIT */
#include "virtio.h"

enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_DEVICE = 4 };
/* Offsets in a capability (virtio 1.3 4.1.4). */
enum { CAP_TYPE = 3, CAP_BAR = 4, CAP_OFFSET = 8, CAP_MULTIPLIER = 16 };
/* Offsets in the common configuration (virtio 1.3 4.1.4.3). */
enum {
    DEVICE_FEATURE_SELECT = 0, DEVICE_FEATURE = 4, DRIVER_FEATURE_SELECT = 8, DRIVER_FEATURE = 12, CONFIG_MSIX = 16, STATUS = 20,
    QUEUE_SELECT = 22, QUEUE_SIZE = 24, QUEUE_MSIX = 26, QUEUE_ENABLE = 28, QUEUE_NOTIFY_OFF = 30, QUEUE_DESCRIPTORS = 32, QUEUE_AVAILABLE = 40, QUEUE_USED = 48,
};
enum { ACKNOWLEDGE = 1, DRIVER = 2, DRIVER_OK = 4, FEATURES_OK = 8 };
enum { AVAILABLE_NO_INTERRUPT = 1, USED_NO_NOTIFY = 1 };

#define FEATURE_EVENT_IDX (1ull << 29)
#define FEATURE_VERSION_1 (1ull << 32)
#define NO_VECTOR 0xffff
/* Devices times queues that there is memory for. */
#define RING_MEMORY 16

/* 16-bit words: flags, index, entries, event (virtio 1.3 2.7.6, 2.7.8). A used entry is four words. */
struct ring_memory {
    struct descriptor descriptors[RING_LIMIT];
    u16 available[3 + RING_LIMIT];
    u16 used[3 + 4 * RING_LIMIT] __attribute__((aligned(4096)));
} __attribute__((aligned(4096)));

static struct ring_memory memory[RING_MEMORY];
static unsigned int memory_taken;

static void find_structures(struct virtio *v)
{
    const struct pci_function *f = &v->function;

    for (unsigned int at = 0; (at = pci_capability(f, at, PCI_CAP_VENDOR)) != 0;) {
        u8 type = pci_read8(f, at + CAP_TYPE);
        u64 bar = pci_bar(f, pci_read8(f, at + CAP_BAR) & 7u), address;

        if (!bar)
            continue;
        address = bar + pci_read32(f, at + CAP_OFFSET);
        if (type == CAP_COMMON) {
            v->common = address;
        } else if (type == CAP_DEVICE) {
            v->device_config = address;
        } else if (type == CAP_NOTIFY) {
            v->notify = address;
            v->notify_multiplier = pci_read32(f, at + CAP_MULTIPLIER);
        }
    }
}

static void add_status(struct virtio *v, u8 bits)
{
    write8(v->common + STATUS, read8(v->common + STATUS) | bits);
}

static u64 read_features(struct virtio *v)
{
    u64 features = 0;

    for (u32 word = 0; word < 2; word++) {
        write32(v->common + DEVICE_FEATURE_SELECT, word);
        features |= (u64)read32(v->common + DEVICE_FEATURE) << 32 * word;
    }
    return features;
}

const char *virtio_open(struct virtio *v, const struct pci_function *f, u64 wanted)
{
    u64 offered;

    *v = (struct virtio){ .function = *f };
    pci_write16(f, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    find_structures(v);
    if (!v->common || !v->notify)
        return "its structures are not in reach";
    write8(v->common + STATUS, 0);
    while (read8(v->common + STATUS) != 0)
        pause();
    add_status(v, ACKNOWLEDGE);
    add_status(v, DRIVER);
    offered = read_features(v);
    if (!(offered & FEATURE_VERSION_1))
        return "it is not a modern device";
    v->features = offered & (wanted | FEATURE_VERSION_1 | FEATURE_EVENT_IDX);
    for (u32 word = 0; word < 2; word++) {
        write32(v->common + DRIVER_FEATURE_SELECT, word);
        write32(v->common + DRIVER_FEATURE, (u32)(v->features >> 32 * word));
    }
    add_status(v, FEATURES_OK);
    return read8(v->common + STATUS) & FEATURES_OK ? NULL : "it refuses the features it offers";
}

static void write64(u64 address, u64 value)
{
    write32(address, (u32)value);
    write32(address + 4, (u32)(value >> 32));
}

static const char *start_ring(struct virtio *v, u16 index)
{
    struct virtio_ring *ring = &v->rings[index];
    struct ring_memory *m;
    u16 size;

    write16(v->common + QUEUE_SELECT, index);
    size = read16(v->common + QUEUE_SIZE);
    if (size == 0)
        return "a queue is missing";
    if (memory_taken == RING_MEMORY)
        return "there are too many devices";
    m = &memory[memory_taken++];
    *ring = (struct virtio_ring){
        .descriptors = m->descriptors, .available = m->available, .used = m->used, .index = index,
        .size = size > RING_LIMIT ? RING_LIMIT : size, .by_index = (v->features & FEATURE_EVENT_IDX) != 0,
    };
    write16(v->common + QUEUE_SIZE, ring->size);
    if (v->interrupts) {
        write16(v->common + QUEUE_MSIX, 0);
        if (read16(v->common + QUEUE_MSIX) == NO_VECTOR)
            return "it takes no interrupt vector";
    }
    write64(v->common + QUEUE_DESCRIPTORS, (u64)m->descriptors);
    write64(v->common + QUEUE_AVAILABLE, (u64)m->available);
    write64(v->common + QUEUE_USED, (u64)m->used);
    ring->doorbell = v->notify + (u64)read16(v->common + QUEUE_NOTIFY_OFF) * v->notify_multiplier;
    write16(v->common + QUEUE_ENABLE, 1);
    return NULL;
}

const char *virtio_start(struct virtio *v, unsigned int count)
{
    v->interrupts = pci_enable_msix(&v->function, 1);
    for (u16 i = 0; i < count; i++) {
        const char *problem = start_ring(v, i);

        if (problem)
            return problem;
        virtio_want_interrupt(&v->rings[i], false);
    }
    add_status(v, DRIVER_OK);
    return NULL;
}

void virtio_offer(struct virtio_ring *ring, u16 head)
{
    ring->available[2 + ring->next % ring->size] = head;
    ring->next++;
}

void virtio_kick(struct virtio_ring *ring)
{
    u16 next = ring->next, told = ring->told;
    bool wanted;

    if (next == told)
        return;
    compiler_fence();
    ring->available[1] = next;
    full_fence();
    if (ring->by_index)
        wanted = (u16)(next - ring->used[2 + 4 * ring->size] - 1) < (u16)(next - told);
    else
        wanted = !(ring->used[0] & USED_NO_NOTIFY);
    ring->told = next;
    if (wanted)
        write16(ring->doorbell, ring->index);
}

int virtio_take(struct virtio_ring *ring, u32 *written)
{
    volatile u16 *entry;

    if (ring->used[1] == ring->taken)
        return -1;
    compiler_fence();
    entry = ring->used + 2 + 4 * (ring->taken % ring->size);
    *written = *(volatile u32 *)(entry + 2);
    ring->taken++;
    return entry[0];
}

bool virtio_want_interrupt(struct virtio_ring *ring, bool want)
{
    if (ring->by_index)
        ring->available[2 + ring->size] = want ? ring->taken : (u16)(ring->taken - 1);
    else
        ring->available[0] = want ? 0 : AVAILABLE_NO_INTERRUPT;
    full_fence();
    return ring->used[1] == ring->taken;
}
