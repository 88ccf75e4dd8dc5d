/*
 * start-floor: the least that the start of a machine can be, for the start benchmark.
 *
 *   start-floor FILE...
 *
 * A VM of 256 MiB with the kernel's interrupt controllers and timer and one vCPU, the files (a kernel as it lies in memory, an initrd) read into its RAM one after
 * the other, then KVM_RUN, all in the order that takes the host the least time. No device, no firmware table, no wall, no option: what a VMM takes beyond this is its own.
 * It is C because the measured time must not include the start of a runtime.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/mount.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define RAM_BYTES (256UL << 20)
#define HUGE_PAGE (2UL << 20)
#define FIRST_FILE (16UL << 20)

static long check(long result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

/* A file of huge pages where the host lets us have one (root), else what it gives anybody. */
static int ram_file(void)
{
    int context = (int)syscall(SYS_fsopen, "tmpfs", 0);
    if (context >= 0 && syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "huge", "within_size", 0) == 0 &&
        syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0) {
        int mount = (int)syscall(SYS_fsmount, context, 0, 0);
        int file = mount >= 0 ? openat(mount, ".", O_TMPFILE | O_RDWR, 0600) : -1;
        if (file >= 0)
            return file;
    }
    return (int)check(memfd_create("start-floor", 0), "memfd_create");
}

static char *map_ram(void)
{
    int file = ram_file();
    check(ftruncate(file, (off_t)RAM_BYTES), "ftruncate");
    void *room = mmap(NULL, RAM_BYTES + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check(room == MAP_FAILED ? -1 : 0, "mmap");
    char *ram = (char *)(((uintptr_t)room + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
    check(mmap(ram, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED ? -1 : 0, "mmap");
    madvise(ram, RAM_BYTES, MADV_HUGEPAGE);
    return ram;
}

/* Returns where the next file goes. */
static size_t load(const char *path, char *ram, size_t at)
{
    int file = (int)check(open(path, O_RDONLY), path);
    struct stat stat;
    check(fstat(file, &stat), path);
    if ((size_t)stat.st_size > RAM_BYTES - at) {
        fprintf(stderr, "start-floor: %s does not fit\n", path);
        exit(1);
    }
    for (off_t done = 0; done < stat.st_size;) {
        ssize_t got = check(pread(file, ram + at + done, (size_t)(stat.st_size - done), done), path);
        if (got == 0)
            break;
        done += got;
    }
    return (at + (size_t)stat.st_size + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
}

int main(int argc, char **argv)
{
    int kvm = (int)check(open("/dev/kvm", O_RDWR), "/dev/kvm");
    char *ram = map_ram();
    int vm = (int)check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    check(ioctl(vm, KVM_SET_TSS_ADDR, 0xFFFBD000UL), "KVM_SET_TSS_ADDR");
    struct kvm_userspace_memory_region slot = { .memory_size = RAM_BYTES, .userspace_addr = (uintptr_t)ram };
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot), "KVM_SET_USER_MEMORY_REGION");
    check(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
    struct kvm_pit_config pit = { 0 };
    check(ioctl(vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");

    size_t at = FIRST_FILE;
    for (int i = 1; i < argc; i++)
        at = load(argv[i], ram, at);

    int vcpu = (int)check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    struct kvm_sregs sregs;
    check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    struct kvm_regs regs = { .rip = 0xFFF0, .rflags = 2 };
    check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
    /* Whoever measures ends us here. */
    ioctl(vcpu, KVM_RUN, 0);
    return 0;
}
