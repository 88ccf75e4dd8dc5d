/* SPDX-License-Identifier: MIT */
#include "workload.h"
#include "measure.h"
#include "output.h"

#define SECTOR 512
/* For local experiments (IEEE 802), so that no host's stack takes our frames for its own. */
#define ETHER_TYPE 0x88b5
#define HEADER_BYTES 14

enum action { READ_RANDOM, READ_SEQUENTIAL, WRITE_RANDOM, SEND, ROUND_TRIP, RECEIVE };

struct workload {
    const char *name;
    enum device_kind kind;
    enum action action;
    u32 bytes;
    unsigned int depth;
};

static const struct workload workloads[] = {
    { "read-4k", KIND_DISK, READ_RANDOM, 4096, 1 },
    { "read-4k-deep", KIND_DISK, READ_RANDOM, 4096, 16 },
    { "read-64k", KIND_DISK, READ_SEQUENTIAL, 65536, 4 },
    { "write-4k", KIND_DISK, WRITE_RANDOM, 4096, 1 },
    { "send-64", KIND_NET, SEND, 64, SLOT_LIMIT },
    { "send-1514", KIND_NET, SEND, 1514, SLOT_LIMIT },
    { "round-trip", KIND_NET, ROUND_TRIP, 64, 1 },
    { "receive-64", KIND_NET, RECEIVE, 64, SLOT_LIMIT },
};

static struct tally tally;
static u64 began[SLOT_LIMIT];
static u64 next_sector;
static u64 random_state = 0x9e3779b97f4a7c15ull;

/* xorshift64: where the next access goes. */
static u64 random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static u64 choose_sector(const struct device *d, const struct workload *w)
{
    u64 places = d->sectors * SECTOR / w->bytes, place;

    place = w->action == READ_SEQUENTIAL ? next_sector++ % places : random() % places;
    return place * (w->bytes / SECTOR);
}

static void idle(struct device *d, bool interrupts)
{
    if (!interrupts) {
        pause();
        return;
    }
    d->driver->wait(d);
}

/* Keeps depth requests in flight; what comes back at once is kicked at once. */
static void run_disk(struct device *d, const struct workload *w, unsigned int depth, bool by_interrupt, u64 cycles)
{
    const struct disk_operations *disk = d->driver->disk;
    u64 start = now(), end = start + cycles;
    unsigned int flying = 0;
    bool write = w->action == WRITE_RANDOM;

    for (; flying < depth; flying++) {
        began[flying] = now();
        disk->submit(d, flying, write, choose_sector(d, w), w->bytes);
    }
    disk->kick(d);
    while (flying > 0) {
        bool failed = false;
        int slot = disk->completed(d, &failed);
        u64 t;

        if (slot < 0) {
            disk->kick(d);
            idle(d, by_interrupt);
            continue;
        }
        t = now();
        tally.errors += failed;
        tally_add(&tally, t - began[slot], w->bytes);
        if (t >= end) {
            flying--;
            continue;
        }
        began[slot] = t;
        disk->submit(d, (unsigned int)slot, write, choose_sector(d, w), w->bytes);
        if (depth == 1)
            disk->kick(d);
    }
    tally.cycles = now() - start;
}

static void write_frame(struct device *d, unsigned int slot, enum action action)
{
    static const u8 destination[6] = { 0x02, 0, 0, 0, 0, 1 };
    u8 *frame = d->driver->net->frame(d, slot);

    for (unsigned int i = 0; i < 6; i++) {
        frame[i] = destination[i];
        frame[6 + i] = d->mac[i];
    }
    frame[12] = ETHER_TYPE >> 8;
    frame[13] = ETHER_TYPE & 0xff;
    frame[HEADER_BYTES] = (u8)action;
}

/* Frames of ours that came in; the others are the host's own and only go back. */
static unsigned int take_received(struct device *d, enum action action)
{
    const struct net_operations *net = d->driver->net;
    unsigned int count = 0;
    u8 *frame;
    u32 bytes;
    int slot;

    while (count < SLOT_LIMIT && (slot = net->receive(d, &frame, &bytes)) >= 0) {
        if (bytes > HEADER_BYTES && frame[12] == ETHER_TYPE >> 8 && frame[13] == (ETHER_TYPE & 0xff) && frame[HEADER_BYTES] == action)
            count++;
        net->recycle(d, (unsigned int)slot);
    }
    return count;
}

static void run_send(struct device *d, const struct workload *w, unsigned int depth, bool by_interrupt, u64 cycles)
{
    const struct net_operations *net = d->driver->net;
    u64 start = now(), end = start + cycles;
    unsigned int flying = 0;

    for (; flying < depth; flying++) {
        write_frame(d, flying, SEND);
        began[flying] = now();
        net->send(d, flying, w->bytes);
    }
    net->kick(d);
    while (flying > 0) {
        int slot = net->sent(d);
        u64 t;

        if (slot < 0) {
            (void)take_received(d, SEND);
            net->kick(d);
            idle(d, by_interrupt);
            continue;
        }
        t = now();
        tally_add(&tally, t - began[slot], w->bytes);
        if (t >= end) {
            flying--;
            continue;
        }
        began[slot] = t;
        net->send(d, (unsigned int)slot, w->bytes);
    }
    tally.cycles = now() - start;
}

/* One frame at a time that the host sends back; a frame lost is an error, found after a tenth of a second (polled) or by the host. */
static void run_round_trip(struct device *d, const struct workload *w, bool by_interrupt, u64 cycles, u64 patience)
{
    const struct net_operations *net = d->driver->net;
    u64 start = now(), end = start + cycles, t;

    write_frame(d, 0, ROUND_TRIP);
    do {
        u64 sent_at = now();
        unsigned int back = 0;
        bool done = false;

        net->send(d, 0, w->bytes);
        net->kick(d);
        while (!done || back == 0) {
            done |= net->sent(d) >= 0;
            back += take_received(d, ROUND_TRIP);
            if (done && back > 0)
                break;
            if (!by_interrupt && done && now() - sent_at > patience)
                break;
            net->kick(d);
            if (!done || back == 0)
                idle(d, by_interrupt);
        }
        t = now();
        if (back > 0)
            tally_add(&tally, t - sent_at, w->bytes);
        else
            tally.errors++;
    } while (t < end);
    net->kick(d);
    tally.cycles = t - start;
}

/* Takes what the host sends; the times are those between two looks that found something. */
static void run_receive(struct device *d, const struct workload *w, bool by_interrupt, u64 cycles)
{
    const struct net_operations *net = d->driver->net;
    u64 start = now(), end = start + cycles, last = start, t = start;

    while (t < end) {
        unsigned int count = take_received(d, RECEIVE);

        t = now();
        if (count == 0) {
            net->kick(d);
            idle(d, by_interrupt);
            continue;
        }
        for (unsigned int i = 0; i < count; i++)
            tally_add(&tally, (t - last) / count, w->bytes);
        last = t;
        net->kick(d);
    }
    tally.cycles = t - start;
}

static void run(struct device *d, const struct workload *w, const struct plan *plan, bool by_interrupt, u64 ms)
{
    unsigned int depth = w->depth < d->depth ? w->depth : d->depth;
    u64 cycles = ms * plan->cycles_per_ms;
    u32 before = interrupts;

    if (d->driver->listen)
        d->driver->listen(d, by_interrupt);
    tally_clear(&tally);
    if (w->action == ROUND_TRIP)
        run_round_trip(d, w, by_interrupt, cycles, 100 * plan->cycles_per_ms);
    else if (w->action == RECEIVE)
        run_receive(d, w, by_interrupt, cycles);
    else if (w->kind == KIND_NET)
        run_send(d, w, depth, by_interrupt, cycles);
    else
        run_disk(d, w, depth, by_interrupt, cycles);
    tally.interrupts = interrupts - before;
}

static bool needs_peer(const struct workload *w)
{
    return w->action == ROUND_TRIP || w->action == RECEIVE;
}

static void measure(struct device *d, const struct workload *w, const struct plan *plan, bool by_interrupt)
{
    unsigned int depth = w->depth < d->depth ? w->depth : d->depth;

    line_start("begin", w->name);
    field_text("path", d->driver->name);
    line_end();
    if (needs_peer(w))
        mark(MARK_PEER, plan->cycles_per_ms);
    run(d, w, plan, by_interrupt, plan->warmup_ms);
    if (plan->marks)
        mark(MARK_BEGIN, plan->cycles_per_ms);
    run(d, w, plan, by_interrupt, plan->measure_ms);
    if (plan->marks)
        mark(MARK_END, plan->cycles_per_ms);
    line_start("path", d->driver->name);
    field_text("work", w->name);
    field_text("completion", by_interrupt ? "interrupt" : "polled");
    field_number("depth", depth);
    tally_print(&tally, plan->cycles_per_ms);
    line_end();
}

void run_workloads(struct device *d, const struct plan *plan)
{
    for (unsigned int i = 0; i < ARRAY_LENGTH(workloads); i++) {
        const struct workload *w = &workloads[i];

        if (w->kind != d->driver->kind || (!plan->peer && needs_peer(w)))
            continue;
        if (w->kind == KIND_DISK && d->sectors < w->bytes / SECTOR)
            continue;
        /* Without its depth it is read-4k once more. */
        if (w->action == READ_RANDOM && d->depth < w->depth)
            continue;
        measure(d, w, plan, false);
        if (d->interrupts)
            measure(d, w, plan, true);
    }
}
