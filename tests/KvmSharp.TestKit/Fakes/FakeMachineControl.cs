using KvmSharp.Core.Fabric;

namespace KvmSharp.TestKit.Fakes;

/// <summary>Remembers what the guest asked of the machine.</summary>
public sealed class FakeMachineControl : IMachineControl
{
    public List<MachineRequest> Requests { get; } = [];

    public List<int> Exits { get; } = [];

    public void Request(MachineRequest request) => Requests.Add(request);

    public void RequestExit(int status) => Exits.Add(status);
}
