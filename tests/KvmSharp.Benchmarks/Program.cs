using KvmSharp.Benchmarks.Exits;

if (args is ["exits", .. var rest])
{
    return ExitBenchmark.Run(rest);
}

Console.Error.WriteLine("""
    usage: KvmSharp.Benchmarks exits EXIT-FLOOR [ROUNDS]

      exits   cost of a port write and an MMIO write to a registered device above the C loop EXIT-FLOOR
              (make -C native-shims exit-floor), in alternating rounds; prints medians and figure lines
    """);
return 2;
