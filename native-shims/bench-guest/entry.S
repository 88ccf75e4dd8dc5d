/* SPDX-License-Identifier: MIT */
/*
 * From the PVH entry (32-bit, paging off, start information in EBX) to bench_main in 64-bit ring 3 with I/O privilege level 3 (and a bitmap that
 * allows every port, for a KVM that loses the level on the way), interrupts off and the first 8 GiB mapped one to one. Ring 0 keeps three things: exceptions, which end the machine; interrupts, which are counted;
 * and the halt that ring 3 asks for with hlt, because a KVM without hardware support delivers no interrupt into ring 3.
 */
#define KERNEL_CODE  0x08
#define KERNEL_DATA  0x10
#define USER_DATA    0x23
#define USER_CODE    0x2b
#define TASK_STATE   0x30
#define LOCAL_APIC   0xfee00000
#define EXIT_PORT    0xf4
/* What an exception leaves with: this and its vector. */
#define EXIT_EXCEPTION 0x40
#define MAPPED_GIB   8
#define PRESENT_WRITABLE_USER 7
#define LARGE_PAGE   0x80
#define TSS_BYTES    0x68
#define IO_BITMAP_BYTES 8192
#define FLAGS_IOPL_3 0x3002
#define INTERRUPT_GATE 0x8e00

    .section .note.pvh, "a", @note
    .long 4, 4, 18              /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .long pvh_entry

    .section .text.entry, "ax"
    .code32
    .globl pvh_entry
pvh_entry:
    cli
    cld
    movl $stack_top, %esp
    movl %ebx, start_info
    movb $0xff, %al             /* the PICs get lines that we do not serve */
    outb %al, $0x21
    outb %al, $0xa1

    movl $page_tables, %edi     /* level 4, level 3, then a level 2 for each GiB */
    leal 0x1000(%edi), %eax
    orl $PRESENT_WRITABLE_USER, %eax
    movl %eax, (%edi)
    addl $0x1000, %eax
    xorl %ecx, %ecx
1:  movl %eax, 0x1000(%edi,%ecx,8)
    addl $0x1000, %eax
    incl %ecx
    cmpl $MAPPED_GIB, %ecx
    jb 1b
    addl $0x2000, %edi
    movl $(PRESENT_WRITABLE_USER | LARGE_PAGE), %eax
    xorl %edx, %edx
    movl $(512 * MAPPED_GIB), %ecx
2:  movl %eax, (%edi)
    movl %edx, 4(%edi)
    addl $0x200000, %eax
    adcl $0, %edx
    addl $8, %edi
    decl %ecx
    jnz 2b

    movl $idt, %edi             /* every vector to its stub, 16 bytes apart */
    movl $stubs, %eax
    movl $256, %ecx
3:  movl %eax, %edx
    andl $0xffff, %edx
    orl $(KERNEL_CODE << 16), %edx
    movl %edx, (%edi)
    movl %eax, %edx
    andl $0xffff0000, %edx
    orl $INTERRUPT_GATE, %edx
    movl %edx, 4(%edi)
    addl $16, %eax
    addl $16, %edi
    decl %ecx
    jnz 3b

    movl $ring0_stack_top, tss + 4
    movw $TSS_BYTES, tss + 0x66
    movb $0xff, tss + TSS_BYTES + IO_BITMAP_BYTES
    movl $tss, %eax
    movw %ax, gdt + TASK_STATE + 2
    shrl $16, %eax
    movb %al, gdt + TASK_STATE + 4
    movb %ah, gdt + TASK_STATE + 7
    lgdt gdt_pointer
    lidt idt_pointer
    movl $0x1ff, LOCAL_APIC + 0xf0  /* on; spurious vector 255 */
    movl $0x20, %eax            /* PAE */
    movl %eax, %cr4
    movl $page_tables, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx      /* EFER: long mode */
    movl $0x100, %eax
    xorl %edx, %edx
    wrmsr
    movl $0x80000031, %eax
    movl %eax, %cr0
    pushl $KERNEL_CODE
    pushl $long_mode
    lret

    .code64
long_mode:
    movl $KERNEL_DATA, %eax
    movl %eax, %ss
    movl $ring0_stack_top, %esp
    movl $TASK_STATE, %eax
    ltr %ax
    movl start_info, %edi
    pushq $USER_DATA
    pushq $stack_top
    pushq $FLAGS_IOPL_3
    pushq $USER_CODE
    pushq $bench_main
    iretq

/* A stub for each vector, 16 bytes apart: the exceptions, then what devices send. */
    .balign 16
stubs:
    .set vector, 0
    .rept 256
    .balign 16
    .if vector == 13
        jmp halt
    .elseif vector < 32
        movl $(EXIT_EXCEPTION + vector), %eax
        jmp fail
    .elseif vector == 255
        iretq
    .else
        jmp interrupt
    .endif
    .set vector, vector + 1
    .endr

/* The value in EAX to the debug-exit device. */
fail:
    outl %eax, $EXIT_PORT
1:  hlt
    jmp 1b

/* Returns with interrupts off, so that a level that still stands does not come again before ring 3 has dealt with it. */
    .balign 16
interrupt:
    incl interrupts
    andl $~0x200, 16(%rsp)
    iretq

/* A general protection fault: hlt in ring 3 waits for an interrupt, or for none if one came before. */
    .balign 16
halt:
    pushq %rax
    movq 16(%rsp), %rax
    cmpb $0xf4, (%rax)
    jne 1f
    sti
    hlt
    cli
    popq %rax
    addq $8, %rsp
    incq (%rsp)
    iretq
1: movl $(EXIT_EXCEPTION + 13), %eax
    jmp fail

    .data
    .balign 16
gdt:
    .quad 0
    .quad 0x00af9b000000ffff    /* kernel code */
    .quad 0x00cf93000000ffff    /* kernel data */
    .quad 0
    .quad 0x00cff3000000ffff    /* user data */
    .quad 0x00affb000000ffff    /* user code */
    .quad 0x0000890000000000 + TSS_BYTES + IO_BITMAP_BYTES  /* task state; its address is filled in */
    .quad 0
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .long gdt
idt_pointer:
    .word 256 * 16 - 1
    .long idt
    .globl interrupts
    .balign 8
interrupts:
    .quad 0
start_info:
    .quad 0

    .bss
    .balign 4096
page_tables:
    .skip (2 + MAPPED_GIB) * 4096
idt:
    .skip 256 * 16
tss:
    .skip TSS_BYTES + IO_BITMAP_BYTES + 1
    .balign 16
    .skip 4096
ring0_stack_top:
    .skip 65536
stack_top:

    .section .note.GNU-stack, "", @progbits
