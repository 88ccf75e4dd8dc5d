using KvmSharp.Core.Chars;
using KvmSharp.Devices.Chipset;
using KvmSharp.Machine.Config;

namespace KvmSharp.Machine.Modules;

/// <summary>COM1 to COM4, as far as the configuration names them.</summary>
internal static class SerialModule
{
    public static void Attach(BoardContext board)
    {
        foreach (SerialConfig serial in board.Config.Serials)
        {
            if (serial.Char.Kind == CharKind.None)
                continue;
            string name = $"com{serial.Index + 1}";
            ICharBackend connection = board.Chars.Connect(name, serial.Char);
            var uart = new Serial16550(connection, board.Interrupts.GetLine(MachineLayout.SerialGsis[serial.Index]));
            board.Own(uart);
            board.Own(connection);
            board.Own(board.Pio.Register(MachineLayout.SerialPorts[serial.Index], Serial16550.PortCount, uart, name));
            board.Acpi = board.Acpi with { SerialPorts = [.. board.Acpi.SerialPorts, serial.Index] };
        }
    }
}
