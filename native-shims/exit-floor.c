/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "exit-floor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MSI_GSI 24

struct floor {
    int kvm, vm, vcpu, event;
    unsigned char *memory;
    struct kvm_run *run;
    size_t run_size;
    uint32_t interrupt;
};

/* Processor time of this thread, guest included: other load on the host stays out of it. */
static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int open_vm(struct floor *f)
{
    struct kvm_userspace_memory_region region = { .memory_size = EXIT_FLOOR_MEMORY };

    if ((f->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) < 0 || (f->vm = ioctl(f->kvm, KVM_CREATE_VM, 0)) < 0)
        return -errno;
    f->memory = mmap(NULL, EXIT_FLOOR_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (f->memory == MAP_FAILED)
        return -errno;
    region.userspace_addr = (uintptr_t)f->memory;
    if (ioctl(f->vm, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0 || ioctl(f->vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        return -errno;
    return f->interrupt != EXIT_FLOOR_NOTHING && ioctl(f->vm, KVM_CREATE_IRQCHIP, 0) < 0 ? -errno : 0;
}

/* What the guest's writes and the host's interrupts go through, besides exits. */
static int open_event(struct floor *f, uint32_t doorbell)
{
    struct kvm_ioeventfd write = { .addr = doorbell, .len = 1, .flags = KVM_IOEVENTFD_FLAG_PIO };
    struct kvm_irqfd irqfd = { .gsi = MSI_GSI };
    union { struct kvm_irq_routing table; char bytes[sizeof(struct kvm_irq_routing) + sizeof(struct kvm_irq_routing_entry)]; } routing;

    if ((f->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return -errno;
    write.fd = f->event;
    irqfd.fd = (uint32_t)f->event;
    if (doorbell != 0 && ioctl(f->vm, KVM_IOEVENTFD, &write) < 0)
        return -errno;
    if (f->interrupt != EXIT_FLOOR_IRQFD)
        return 0;
    memset(&routing, 0, sizeof routing);
    routing.table.nr = 1;
    routing.table.entries[0].gsi = MSI_GSI;
    routing.table.entries[0].type = KVM_IRQ_ROUTING_MSI;
    routing.table.entries[0].u.msi.address_lo = EXIT_FLOOR_APIC;
    routing.table.entries[0].u.msi.data = EXIT_FLOOR_VECTOR;
    return ioctl(f->vm, KVM_SET_GSI_ROUTING, &routing) < 0 || ioctl(f->vm, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

static int open_vcpu(struct floor *f, uint32_t exits)
{
    struct kvm_regs regs = { .rip = EXIT_FLOOR_CODE, .rflags = 2, .rsi = exits, .rdx = EXIT_FLOOR_PORT, .rsp = EXIT_FLOOR_STACK };
    struct kvm_sregs sregs;
    int size;

    if ((f->vcpu = ioctl(f->vm, KVM_CREATE_VCPU, 0)) < 0 || (size = ioctl(f->kvm, KVM_GET_VCPU_MMAP_SIZE, 0)) < 0)
        return -errno;
    f->run_size = (size_t)size;
    f->run = mmap(NULL, f->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, f->vcpu, 0);
    if (f->run == MAP_FAILED || ioctl(f->vcpu, KVM_GET_SREGS, &sregs) < 0)
        return -errno;
    sregs.cs.base = sregs.cs.selector = 0;
    sregs.ds.base = EXIT_FLOOR_MMIO;
    sregs.ds.selector = EXIT_FLOOR_MMIO >> 4;
    sregs.es.base = EXIT_FLOOR_APIC;
    return ioctl(f->vcpu, KVM_SET_SREGS, &sregs) < 0 || ioctl(f->vcpu, KVM_SET_REGS, &regs) < 0 ? -errno : 0;
}

/* From one exit to the next. */
static int step(struct floor *f)
{
    static const uint64_t one = 1;
    struct kvm_msi message = { .address_lo = EXIT_FLOOR_APIC, .data = EXIT_FLOOR_VECTOR };

    if (f->interrupt == EXIT_FLOOR_IRQFD && write(f->event, &one, sizeof one) < 0)
        return -errno;
    if (f->interrupt == EXIT_FLOOR_MSI && ioctl(f->vm, KVM_SIGNAL_MSI, &message) < 0)
        return -errno;
    while (ioctl(f->vcpu, KVM_RUN, 0) < 0)
        if (errno != EINTR && errno != EAGAIN)
            return -errno;
    return f->run->exit_reason == KVM_EXIT_IO || f->run->exit_reason == KVM_EXIT_MMIO ? 0 : -EPROTO;
}

static int measure(struct floor *f, uint32_t batches, uint32_t per_batch, double *nanoseconds)
{
    uint32_t interrupt = f->interrupt;
    uint64_t start;
    int result;

    /* A batch is timed from the exit that ends the one before it; nothing is ready for an interrupt before the first. */
    f->interrupt = EXIT_FLOOR_NOTHING;
    result = step(f);
    f->interrupt = interrupt;
    start = now();
    for (uint32_t b = 0; b < batches && result == 0; b++) {
        uint64_t end;

        for (uint32_t i = 0; i < per_batch && result == 0; i++)
            result = step(f);
        end = now();
        nanoseconds[b] = (double)(end - start) / per_batch;
        start = end;
    }
    return result;
}

static void close_all(struct floor *f)
{
    int files[] = { f->event, f->vcpu, f->vm, f->kvm };

    if (f->run != MAP_FAILED)
        munmap(f->run, f->run_size);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (files[i] >= 0)
            close(files[i]);
    if (f->memory != MAP_FAILED)
        munmap(f->memory, EXIT_FLOOR_MEMORY);
}

int kvmsharp_exit_floor(const unsigned char *code, uint32_t code_size, uint32_t batches, uint32_t per_batch, uint32_t doorbell, uint32_t interrupt,
                        double *nanoseconds)
{
    struct floor f = { .kvm = -1, .vm = -1, .vcpu = -1, .event = -1, .memory = MAP_FAILED, .run = MAP_FAILED, .interrupt = interrupt };
    int result = code_size <= EXIT_FLOOR_MEMORY - EXIT_FLOOR_CODE ? open_vm(&f) : -E2BIG;

    if (result == 0) {
        static const uint32_t handler = EXIT_FLOOR_HANDLER;

        memcpy(f.memory + EXIT_FLOOR_CODE, code, code_size);
        memcpy(f.memory + 4 * EXIT_FLOOR_VECTOR, &handler, sizeof handler);
        result = open_event(&f, doorbell);
    }
    if (result == 0)
        result = open_vcpu(&f, batches * per_batch + 1);
    if (result == 0)
        result = measure(&f, batches, per_batch, nanoseconds);
    close_all(&f);
    return result;
}
