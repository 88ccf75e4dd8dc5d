/* SPDX-License-Identifier: MIT */
/*
 * The bench guest: finds the devices it has drivers for, drives each, prints JSON lines on the first serial port and leaves through the
 * debug-exit device. Words of the command line: warmup=MS, measure=MS, marks (the host answers MARK_BEGIN and MARK_END), peer (the host echoes
 * frames and sends some).
 */
#include "measure.h"
#include "output.h"
#include "workload.h"

#define EXIT_PORT 0xf4
#define START_INFO_MAGIC 0x336ec578u
#define DEVICES_PER_BUS 32
#define FUNCTIONS_PER_DEVICE 8
#define MS_LIMIT 100000

/* xen/include/public/arch-x86/hvm/start_info.h */
struct start_info {
    u32 magic;
    u32 version;
    u32 flags;
    u32 modules;
    u64 module_list;
    u64 command_line;
};

static const struct driver *const drivers[] = { &ide_driver, &virtio_blk_driver, &e1000_driver, &virtio_net_driver };

void leave(enum exit_status status)
{
    out32(EXIT_PORT, status);
    for (;;)
        pause();
}

/* What the compiler makes of large assignments. */
void *memset(void *to, int value, size_t length)
{
    void *result = to;

    __asm__ volatile("rep stosb" : "+D"(to), "+c"(length) : "a"(value) : "memory");
    return result;
}

void *memcpy(void *to, const void *from, size_t length)
{
    void *result = to;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(length) : : "memory");
    return result;
}

/* The text behind a word's name, if the word begins with it. */
static const char *after(const char *word, const char *name)
{
    while (*name)
        if (*word++ != *name++)
            return NULL;
    return word;
}

static u64 number(const char *text)
{
    u64 value = 0;

    while (*text >= '0' && *text <= '9' && value < MS_LIMIT)
        value = value * 10 + (u64)(*text++ - '0');
    return value < MS_LIMIT ? value : MS_LIMIT;
}

static void read_command_line(const char *text, struct plan *plan)
{
    while (*text) {
        const char *value;

        if ((value = after(text, "warmup=")) != NULL)
            plan->warmup_ms = number(value);
        else if ((value = after(text, "measure=")) != NULL)
            plan->measure_ms = number(value);
        else if (after(text, "marks"))
            plan->marks = true;
        else if (after(text, "peer"))
            plan->peer = true;
        while (*text && *text != ' ')
            text++;
        while (*text == ' ')
            text++;
    }
}

static void run_device(const struct driver *driver, const struct pci_function *f, const struct plan *plan)
{
    struct device d = { .driver = driver, .place = *f };
    const char *problem = driver->start(&d, f);

    line_start(problem ? "broken" : "device", driver->name);
    field_number("slot", f->device);
    if (problem) {
        field_text("problem", problem);
    } else {
        field_number("depth", d.depth);
        if (driver->kind == KIND_DISK)
            field_number("sectors", d.sectors);
    }
    line_end();
    if (!problem)
        run_workloads(&d, plan);
}

/* The first function of each driver: drivers keep their state in static memory. */
static void run_driver(const struct driver *driver, const struct plan *plan)
{
    for (unsigned int device = 0; device < DEVICES_PER_BUS; device++) {
        for (unsigned int function = 0; function < FUNCTIONS_PER_DEVICE; function++) {
            struct pci_function f;

            if (!pci_probe(device, function, &f) || !driver->matches(&f))
                continue;
            run_device(driver, &f, plan);
            return;
        }
    }
}

void bench_main(const struct start_info *info);
void bench_main(const struct start_info *info)
{
    struct plan plan = { .warmup_ms = 50, .measure_ms = 300 };

    serial_start();
    if (info->magic == START_INFO_MAGIC && info->command_line != 0)
        read_command_line((const char *)info->command_line, &plan);
    plan.cycles_per_ms = measure_tsc();
    line_start("guest", "kvmsharp-bench");
    field_number("tsc_khz", plan.cycles_per_ms);
    field_number("warmup_ms", plan.warmup_ms);
    field_number("measure_ms", plan.measure_ms);
    line_end();
    for (unsigned int i = 0; i < ARRAY_LENGTH(drivers); i++)
        run_driver(drivers[i], &plan);
    line_start("end", "ok");
    line_end();
    leave(EXIT_OK);
}
