using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace KvmSharp.Machine.Tests.Bare.Virtio;

/// <summary>Registers that both transports have.</summary>
internal enum GuestRegister
{
    DriverFeatureSelect,
    DriverFeature,
    Status,
    QueueSelect,
    QueueSize,
    QueueEnable,
    DescriptorArea,
    DriverArea,
    DeviceArea,
}

/// <summary>Guest code that talks to a virtio device's registers. The address of the registers is in r15 from <see cref="Find"/> on; eax is changed.</summary>
internal abstract class GuestTransport
{
    private const byte Acknowledge = 1, Driver = 2, DriverOk = 4, FeaturesOk = 8;

    internal const byte NeedsReset = 0x40;

    /// <summary>Queue 0 interrupts at <see cref="UserKernel.Vector"/>. Else nothing interrupts.</summary>
    internal virtual bool Interrupts => false;

    /// <param name="interrupts">Queue 0 interrupts, on PCI; on MMIO nothing does.</param>
    internal static GuestTransport Create(bool pci, bool interrupts = false) => pci ? new GuestPciTransport(interrupts) : new GuestMmioTransport();

    /// <summary>Finds the machine's only device with this id.</summary>
    internal abstract void Find(Assembler a, uint deviceId);

    /// <summary>Notifies the device of available buffers. Also changes rcx.</summary>
    internal abstract void Kick(Assembler a, GuestRing ring);

    /// <summary>Resets the device and waits until it is.</summary>
    internal void Reset(Assembler a)
    {
        Label again = a.CreateLabel();
        Write(a, GuestRegister.Status, 0);
        a.Place(ref again);
        ReadStatus(a);
        a.test(eax, eax);
        a.jnz(again);
    }

    /// <summary>Resets the device, settles the features, sets the rings up anew and starts it.</summary>
    internal void Start(Assembler a, ulong features, params GuestRing[] rings)
    {
        Label accepted = a.CreateLabel();
        Reset(a);
        Write(a, GuestRegister.Status, Acknowledge);
        Write(a, GuestRegister.Status, Acknowledge | Driver);
        for (int half = 0; half < 2; half++)
        {
            Write(a, GuestRegister.DriverFeatureSelect, (uint)half);
            Write(a, GuestRegister.DriverFeature, (uint)(features >> (32 * half)));
        }

        Write(a, GuestRegister.Status, Acknowledge | Driver | FeaturesOk);
        ReadStatus(a);
        a.test(al, FeaturesOk);
        a.jnz(accepted);
        a.Fail(GuestFailure.FeaturesRefused);
        a.Place(ref accepted);
        foreach (GuestRing ring in rings)
        {
            ring.Clear(a);
            if (!Interrupts || ring.Index != 0)
                ring.SuppressInterrupts(a);
            Write(a, GuestRegister.QueueSelect, (uint)ring.Index);
            Write(a, GuestRegister.QueueSize, ring.Size);
            WriteArea(a, GuestRegister.DescriptorArea, ring.DescriptorArea);
            WriteArea(a, GuestRegister.DriverArea, ring.DriverArea);
            WriteArea(a, GuestRegister.DeviceArea, ring.DeviceArea);
            PrepareQueue(a, ring);
            Write(a, GuestRegister.QueueEnable, 1);
        }

        Write(a, GuestRegister.Status, Acknowledge | Driver | FeaturesOk | DriverOk);
    }

    /// <summary>The device status in eax.</summary>
    internal void ReadStatus(Assembler a)
    {
        (int offset, int width) = Locate(GuestRegister.Status);
        if (width == 1)
            a.movzx(eax, __byte_ptr[r15 + offset]);
        else
            a.mov(eax, __dword_ptr[r15 + offset]);
    }

    /// <summary>Where the register is and how many bytes it has.</summary>
    protected abstract (int Offset, int Width) Locate(GuestRegister register);

    /// <summary>What the transport wants to know of the selected queue, or to be told.</summary>
    protected virtual void PrepareQueue(Assembler a, GuestRing ring)
    {
    }

    private void Write(Assembler a, GuestRegister register, uint value)
    {
        (int offset, int width) = Locate(register);
        a.mov(eax, value);
        if (width == 1)
            a.mov(__byte_ptr[r15 + offset], al);
        else if (width == 2)
            a.mov(__word_ptr[r15 + offset], ax);
        else
            a.mov(__dword_ptr[r15 + offset], eax);
    }

    private void WriteArea(Assembler a, GuestRegister register, uint address)
    {
        int offset = Locate(register).Offset;
        a.mov(eax, address);
        a.mov(__dword_ptr[r15 + offset], eax);
        a.xor(eax, eax);
        a.mov(__dword_ptr[r15 + (offset + 4)], eax);
    }
}
