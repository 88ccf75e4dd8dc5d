/* SPDX-License-Identifier: MIT */
/*
 * The floor of the exit benchmark: a VM with one vCPU whose every exit goes straight back into KVM_RUN.
 *
 *   exit-floor pio|mmio BATCHES WRITES   prints the nanoseconds per exit of each batch of WRITES writes, one line each
 *   exit-floor payload pio|mmio          prints the guest's code as hexadecimal digits
 */
#define _GNU_SOURCE
#include "exit-payload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

static void fail(const char *what)
{
    fprintf(stderr, "exit-floor: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Processor time of this thread, guest included: other load on the host stays out of it. */
static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int create_vcpu(const unsigned char *code, size_t size, uint32_t writes, struct kvm_run **run)
{
    struct kvm_userspace_memory_region region = { .memory_size = EXIT_PAYLOAD_MEMORY };
    struct kvm_regs regs = { .rip = EXIT_PAYLOAD_ADDRESS, .rflags = 2, .rcx = writes, .rdx = EXIT_PAYLOAD_PORT };
    struct kvm_sregs sregs;
    int kvm, vm, vcpu, length;
    unsigned char *memory;

    if ((kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC)) < 0)
        fail("/dev/kvm");
    if ((vm = ioctl(kvm, KVM_CREATE_VM, 0)) < 0)
        fail("KVM_CREATE_VM");
    memory = mmap(NULL, EXIT_PAYLOAD_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    memcpy(memory + EXIT_PAYLOAD_ADDRESS, code, size);
    region.userspace_addr = (uintptr_t)memory;
    if (ioctl(vm, KVM_SET_TSS_ADDR, 0xfffbd000ul) < 0)
        fail("KVM_SET_TSS_ADDR");
    if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0)
        fail("KVM_SET_USER_MEMORY_REGION");
    if ((vcpu = ioctl(vm, KVM_CREATE_VCPU, 0)) < 0)
        fail("KVM_CREATE_VCPU");
    if ((length = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0)) < 0)
        fail("KVM_GET_VCPU_MMAP_SIZE");
    *run = mmap(NULL, (size_t)length, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (*run == MAP_FAILED)
        fail("mmap of the vCPU");
    if (ioctl(vcpu, KVM_GET_SREGS, &sregs) < 0)
        fail("KVM_GET_SREGS");
    sregs.cs.base = sregs.cs.selector = 0;
    sregs.ds.base = EXIT_PAYLOAD_MMIO;
    sregs.ds.selector = EXIT_PAYLOAD_MMIO >> 4;
    if (ioctl(vcpu, KVM_SET_SREGS, &sregs) < 0)
        fail("KVM_SET_SREGS");
    if (ioctl(vcpu, KVM_SET_REGS, &regs) < 0)
        fail("KVM_SET_REGS");
    return vcpu;
}

int main(int argc, char **argv)
{
    int payload = argc == 3 && !strcmp(argv[1], "payload");
    const char *kind = argc == 4 ? argv[1] : payload ? argv[2] : "";
    int pio = !strcmp(kind, "pio");
    const unsigned char *code = pio ? exit_payload_pio : exit_payload_mmio;
    size_t size = pio ? sizeof exit_payload_pio : sizeof exit_payload_mmio;
    uint32_t reason = pio ? KVM_EXIT_IO : KVM_EXIT_MMIO, batches, writes;
    struct kvm_run *run;
    uint64_t start;
    int vcpu;

    if (!pio && strcmp(kind, "mmio")) {
        fprintf(stderr, "usage: exit-floor pio|mmio BATCHES WRITES\n       exit-floor payload pio|mmio\n");
        return 2;
    }
    if (payload) {
        for (size_t i = 0; i < size; i++)
            printf("%02x", code[i]);
        printf("\n");
        return 0;
    }
    batches = (uint32_t)strtoul(argv[2], NULL, 10);
    writes = (uint32_t)strtoul(argv[3], NULL, 10);
    /* One write more: a batch is timed from the exit that ends the one before it. */
    vcpu = create_vcpu(code, size, batches * writes + 1, &run);
    if (ioctl(vcpu, KVM_RUN, 0) < 0)
        fail("KVM_RUN");
    start = now();
    for (uint32_t b = 0; b < batches; b++) {
        uint64_t end;

        for (uint32_t i = 0; i < writes; i++) {
            if (ioctl(vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
                fail("KVM_RUN");
            if (run->exit_reason != reason) {
                fprintf(stderr, "exit-floor: exit reason %u\n", run->exit_reason);
                return 1;
            }
        }
        end = now();
        printf("%.1f\n", (double)(end - start) / writes);
        start = end;
    }
    return 0;
}
