/* SPDX-License-Identifier: MIT */
/*
 * Prelude of the layout prober. KvmSharp.Abi.Tests generates a C program from the C# declarations (one PROBE_ line for each struct, field and
 * constant), compiles it with this in front, against the headers installed here, and compares what it prints with what C# has.
 * A line that does not compile names something the installed headers lack; the test decides whether that is permitted.
 */
#ifndef KVMSHARP_LAYOUT_PROBE_H
#define KVMSHARP_LAYOUT_PROBE_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <netinet/in.h>

/* The kernel's struct termios, for TCGETS and TCSETS; libc's own is another. */
#include <asm/termbits.h>

#include <linux/audit.h>
#include <linux/bpf_common.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/fs.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <linux/landlock.h>
#include <linux/magic.h>
#include <linux/mempolicy.h>
#include <linux/mount.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/rtnetlink.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/userfaultfd.h>
#include <linux/vfio.h>
#include <linux/vhost.h>
#include <linux/vhost_types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#if __has_include(<seccomp.h>)
#include <seccomp.h>
#endif

#define PROBE_STRUCT(name, type)       printf("struct %s %zu\n", name, sizeof(type));
#define PROBE_FIELD(name, type, path)  printf("field %s %zu %zu\n", name, offsetof(type, path), sizeof(((type *)0)->path));
#define PROBE_CONST(name, value)       printf("const %s %llu\n", name, (unsigned long long)(value));

#endif
