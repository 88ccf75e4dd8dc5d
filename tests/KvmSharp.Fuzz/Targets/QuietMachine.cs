using KvmSharp.Core.Fabric;

namespace KvmSharp.Fuzz.Targets;

/// <summary>Takes the guest's requests and remembers only how many there were.</summary>
internal sealed class QuietMachine : IMachineControl
{
    internal int Requests { get; private set; }

    public void Request(MachineRequest request) => Requests++;

    public void RequestExit(int status) => Requests++;
}
