using static KvmSharp.Kvm.Cpuid.CpuidRegister;

namespace KvmSharp.Kvm.Cpuid;

/// <summary>The leaves that say which processor this is, with whom it shares a core, a socket and its caches.</summary>
internal static class CpuidTopologyLeaves
{
    private const uint SmtLevel = 1, CoreLevel = 2;

    internal static void Apply(CpuidEditor cpuid, CpuTopology topology, int index, bool intel, bool amd)
    {
        uint apicId = topology.ApicId(index);
        SetBasic(cpuid, topology, apicId);
        SetExtended(cpuid, 0xB, topology, apicId);
        if (cpuid.Get(0, 0, Eax) < 0xB)
            cpuid.Set(0, 0, Eax, 0xB);
        if (intel && cpuid.Get(0, 0, Eax) >= 0x1F)
            SetExtended(cpuid, 0x1F, topology, apicId);
        else
            cpuid.Remove(0x1F);
        if (intel)
            SetIntelCaches(cpuid, topology);
        if (amd)
            SetAmd(cpuid, topology, index, apicId);
    }

    private static void SetBasic(CpuidEditor cpuid, CpuTopology topology, uint apicId)
    {
        cpuid.SetField(1, 0, Ebx, 24, 8, apicId);

        // Addressable ids in the socket; its field has 8 bits, larger sockets are described by leaf 0xB alone.
        cpuid.SetField(1, 0, Ebx, 16, 8, Math.Min(1u << topology.SocketShift, 255));
        cpuid.SetBit(1, 0, Edx, 28, topology.PerSocket > 1);
    }

    private static void SetExtended(CpuidEditor cpuid, uint leaf, CpuTopology topology, uint apicId)
    {
        cpuid.Remove(leaf);
        cpuid.SetLeaf(leaf, 0, (uint)topology.ThreadBits, (uint)topology.Threads, (SmtLevel << 8) | 0, apicId, indexed: true);
        cpuid.SetLeaf(leaf, 1, (uint)topology.SocketShift, (uint)topology.PerSocket, (CoreLevel << 8) | 1, apicId, indexed: true);
        cpuid.SetLeaf(leaf, 2, 0, 0, 2, apicId, indexed: true);
    }

    /// <summary>Leaf 4: threads share the first levels, the socket shares the third. A host that describes its caches in AMD's leaf is translated.</summary>
    private static void SetIntelCaches(CpuidEditor cpuid, CpuTopology topology)
    {
        if ((cpuid.Get(4, 0, Eax) & 0x1F) == 0)
            CopyCaches(cpuid, 0x8000_001D, 4);
        uint coreField = (1u << (topology.SocketShift - topology.ThreadBits)) - 1;
        for (uint i = 0; (cpuid.Get(4, i, Eax) & 0x1F) != 0; i++)
        {
            SetSharing(cpuid, 4, i, topology);
            cpuid.SetField(4, i, Eax, 26, 6, Math.Min(coreField, 63));
        }
    }

    private static void SetAmd(CpuidEditor cpuid, CpuTopology topology, int index, uint apicId)
    {
        int core = index / topology.Threads % topology.Cores;
        int socket = index / topology.PerSocket;
        cpuid.SetBit(0x8000_0001, 0, Ecx, 1, topology.PerSocket > 1);
        cpuid.SetBit(0x8000_0001, 0, Ecx, 22, true);
        cpuid.SetField(0x8000_0008, 0, Ecx, 0, 8, (uint)Math.Min(topology.PerSocket - 1, 255));
        cpuid.SetField(0x8000_0008, 0, Ecx, 12, 4, (uint)topology.SocketShift);
        if ((cpuid.Get(0x8000_001D, 0, Eax) & 0x1F) == 0)
            CopyCaches(cpuid, 4, 0x8000_001D);
        for (uint i = 0; (cpuid.Get(0x8000_001D, i, Eax) & 0x1F) != 0; i++)
            SetSharing(cpuid, 0x8000_001D, i, topology);
        cpuid.SetLeaf(0x8000_001E, 0, apicId, ((uint)(topology.Threads - 1) << 8) | ((uint)core & 0xFF), (uint)socket & 0xFF, 0);
        if (cpuid.Get(0x8000_0000, 0, Eax) < 0x8000_001E)
            cpuid.Set(0x8000_0000, 0, Eax, 0x8000_001E);

        // AMD's newer topology leaf would contradict the ones above.
        cpuid.Remove(0x8000_0026);
    }

    private static void SetSharing(CpuidEditor cpuid, uint leaf, uint i, CpuTopology topology)
    {
        uint level = (cpuid.Get(leaf, i, Eax) >> 5) & 7;
        uint sharing = (1u << (level >= 3 ? topology.SocketShift : topology.ThreadBits)) - 1;
        cpuid.SetField(leaf, i, Eax, 14, 12, Math.Min(sharing, 0xFFF));
    }

    private static void CopyCaches(CpuidEditor cpuid, uint from, uint to)
    {
        uint i = 0;
        cpuid.Remove(to);
        for (; i < 8 && (cpuid.Get(from, i, Eax) & 0x1F) != 0; i++)
        {
            cpuid.SetLeaf(to, i, cpuid.Get(from, i, Eax) & 0x0000_3FFF, cpuid.Get(from, i, Ebx), cpuid.Get(from, i, Ecx),
                cpuid.Get(from, i, Edx), indexed: true);
        }

        cpuid.SetLeaf(to, i, 0, 0, 0, 0, indexed: true);
    }
}
