using KvmSharp.Abi;
using KvmSharp.Core;

namespace KvmSharp.Bench.Exits;

/// <summary>The same code under a C loop that does nothing but KVM_RUN.</summary>
internal static class ExitFloor
{
    /// <inheritdoc cref="ExitMachine.Measure"/>
    public static unsafe double[] Measure(ExitKind kind, int batches, int perBatch)
    {
        double[] nanoseconds = new double[batches];
        // SAFETY: the function writes one number per batch and reads Code.Length bytes.
        fixed (byte* code = kind.Code)
        fixed (double* result = nanoseconds)
        {
            int error = NativeShims.kvmsharp_exit_floor(code, (uint)kind.Code.Length, (uint)batches, (uint)perBatch, kind.HasDoorbell ? ExitGuest.Doorbell : 0u, (uint)kind.Interrupt, result);
            return error == 0 ? nanoseconds : throw new LinuxException($"the C loop of {kind.Path}", -error);
        }
    }
}
