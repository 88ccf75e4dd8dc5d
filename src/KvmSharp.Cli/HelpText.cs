using System.Text;
using KvmSharp.Machine.Config;

namespace KvmSharp.Cli;

/// <summary>The help texts. That of <c>run</c> is made from the option table.</summary>
internal static class HelpText
{
    private const string Overview = """
        kvmsharp boots Linux guests on KVM.

        Usage: kvmsharp COMMAND [OPTIONS]

        Commands:
          run          boot a machine and stay with it
          bench        measure what each path between guest and host costs
          serve        be the disk of guests that other programs run (vhost-user)
          check        say what this host offers and lacks for running guests
          version      print the version
          completion   print a shell completion script: bash, zsh or fish

        Examples:
          kvmsharp check
          kvmsharp run --kernel /boot/vmlinuz --initrd initrd.img --append "console=ttyS0" --memory 1G --cpus 2
          kvmsharp run --config vm.json

        kvmsharp COMMAND --help says more about a command.

        """;

    private const string Check = """
        Usage: kvmsharp check [--json] [--kvm-device FILE]

        Says what this host offers and lacks for running guests, one line each with the fix.
        Exit status 0 if a guest can run, 4 otherwise.

        """;

    private const string Bench = """
        Usage: kvmsharp bench paths|guest|exits|vhost-user [OPTIONS]

        exits runs a few instructions again and again, under this program and under a C loop that does nothing else (the floor), and says
        what an exit of each kind, a notification and an interrupt cost. It takes --rounds (default 120), --json, --html,
        --compare and --trace FILE, which shows what tracing costs.

        paths boots a small guest of its own that drives a disk and a network interface, polling and by interrupts, and says how many
        operations a second each path takes, how long one takes and how often it leaves the guest.

          --rounds N               boots per side; the figures are medians (default 5)
          --warmup MS              of each workload, not counted (default 100)
          --measure MS             of each workload, counted (default 500)
          --disk FILE              the disk; its contents are OVERWRITTEN (default: one that is made and removed)
          --tap NAME               the network interface on the host (default: one that is made and removed)
          --no-disk, --no-net      leave one out
          --peer qemu[,accel=kvm|tcg][,program=FILE]
                                   the same guest under QEMU, in turn
          --json FILE              write the report for programs and for --compare
          --html FILE              write the report as a page with charts
          --compare FILE           say what changed since that report and whether it exceeds the noise
          --kvm-device FILE        the KVM device (default /dev/kvm)

        guest boots Linux with each device in turn and says how fast iperf3, the kernel's packet generator and fio get through: emulated, virtio, vhost.
        It needs root, iperf3 and ip. It takes --disk (which is only read), --peer, --json, --html, --compare, --kvm-device as above, and

          --kernel FILE            the guest's kernel
          --initrd FILE            its initramfs, as scripts/guest.sh makes it (see docs/benchmarks.md)
          --paths NAME[,NAME...]   of e1000, virtio-net, vhost-net, ide, virtio-blk (default: all)
          --rounds N               boots per side and path (default 3)
          --seconds N              of each workload (default 3)

        vhost-user loads a disk that another process serves, without a guest, and prints how many 4 KiB requests a second it takes:

          --socket PATH            of the back end; several: each a disk, driven in turn
          --op randread|randwrite  default randread; randwrite OVERWRITES the disk
          --depth N                requests in flight (default 1)
          --seconds N              default 3

        Examples:
          kvmsharp bench paths --no-net --rounds 3
          kvmsharp bench paths --peer qemu --json new.json --html new.html --compare old.json
          kvmsharp bench guest --kernel vmlinuz --initrd bench.cpio --paths e1000,virtio-net,vhost-net --peer qemu

        """;

    private const string Serve = """
        Usage: kvmsharp serve blk --image IMAGE --socket PATH [--image IMAGE --socket PATH ...] [OPTIONS]

        Serves disks to guests of other processes over vhost-user: each image to the front end that connects to its socket, the first image on the first
        socket and so on. Front ends come and go; the program stays until a signal ends it.

          --image PATH[,readonly=on][,cache=writeback|none|writethrough|directsync|unsafe][,queues=N][,serial=TEXT][,discard=off][,write-zeroes=off]
                  [,logical_block_size=BYTES][,physical_block_size=BYTES][,aio=auto|io_uring|threads][,id=NAME]
                                   a raw image or a block device
          --socket PATH            where its front end connects; connect:PATH: where it listens
          --iothreads N            threads for all queues together (default 1)
          --poll                   these threads never sleep while a guest is there
          --control PATH           a socket on which ports are listed, added and removed while it runs
          --log-level error|warning|info|debug|trace

        Examples:
          kvmsharp serve blk --image disk.img --socket /run/disk.sock
          kvmsharp run --kernel vmlinuz --disk vhost-user=/run/disk.sock
          kvmsharp serve blk --image a.img,cache=none --socket a.sock --image b.img,readonly=on --socket b.sock --iothreads 2

        """;

    private const string Completion = """
        Usage: kvmsharp completion bash|zsh|fish

        Examples:
          source <(kvmsharp completion bash)
          kvmsharp completion fish > ~/.config/fish/completions/kvmsharp.fish

        """;

    private const string RunTail = """

        Other:
          --config FILE            read the machine from a JSON file; options given here replace its settings
          --dry-run                check everything that can be checked without running, print the machine as JSON
          --help                   this text

        VIRTIO-KEYS, of all virtio devices:
          id=NAME, packed=on, in_order=on, event_idx=off, indirect_desc=off, ioeventfd=off, irqfd=off, vectors=N (0: interrupts by the pin),
          queue-size=N; cpus=LIST and poll-max-ns=N of the device's own I/O threads

        FEATURE of --net:
          mrg_rxbuf, csum, guest_csum, host_tso4, host_tso6, guest_tso4, guest_tso6, host_uso, guest_uso, ctrl_vq

        Examples:
          kvmsharp run --kernel vmlinuz --initrd initrd.img --append "console=ttyS0" --memory 1G --cpus 4,threads=2
          kvmsharp run --kernel test.elf --serial file:out.txt --debug-exit --no-reboot
          kvmsharp run --kernel vmlinuz --cpu max,-avx512f --irqchip split --serial unix:/run/vm.sock
          kvmsharp run --kernel vmlinuz --memory 2G,hugepages=on --dry-run > vm.json && kvmsharp run --config vm.json

        On a terminal: Ctrl-A x quits, Ctrl-A p presses the power button, Ctrl-A h shows the keys, Ctrl-A Ctrl-A sends Ctrl-A.

        Exit status: 0 guest powered off (or reset with --no-reboot), 2 bad usage, 4 this host cannot, 6 guest panic or triple fault,
        8 internal error, 10 stopped by a signal, 12 ended by the sandbox, odd: the guest's debug-exit (value << 1 | 1).

        """;

    public static ExitCode Print(string[] topic, CliOutput output)
    {
        switch (topic.Length == 0 ? "" : topic[0])
        {
            case "":
                output.Out(Overview);
                return ExitCode.Success;
            case "run":
                output.Out(Run());
                return ExitCode.Success;
            case "check":
                output.Out(Check);
                return ExitCode.Success;
            case "bench":
                output.Out(Bench);
                return ExitCode.Success;
            case "serve":
                output.Out(Serve);
                return ExitCode.Success;
            case "completion":
                output.Out(Completion);
                return ExitCode.Success;
            case "version":
                output.Out("Usage: kvmsharp version\n");
                return ExitCode.Success;
            default:
                throw new ConfigException($"no help for '{Printable.Line(topic[0])}'", "kvmsharp --help lists the commands");
        }
    }

    private static string Run()
    {
        const int column = 27;
        var text = new StringBuilder("Usage: kvmsharp run --kernel FILE [OPTIONS]\n\nBoots a machine and stays with it until the guest powers off.\n");
        string group = "";
        foreach (MachineOption option in MachineOptions.All)
        {
            if (option.Group != group)
                text.Append($"\n{group = option.Group}:\n");
            string separator = option.Arity == OptionArity.Optional ? "=" : " ";
            string value = option.ValueName.Length == 0 ? "" : option.Arity == OptionArity.Optional ? $"[{separator}{option.ValueName.TrimStart('[').TrimEnd(']')}]" : separator + option.ValueName;
            string left = $"  --{option.Name}{value}";
            text.Append(left.Length < column - 1 ? left.PadRight(column) : left + "\n" + new string(' ', column));
            text.Append(option.Help).Append(option.Arity == OptionArity.Repeatable ? " (repeatable)\n" : "\n");
        }

        return text.Append(RunTail).ToString();
    }
}
