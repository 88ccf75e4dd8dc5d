using KvmSharp.Abi;
using KvmSharp.Cli;

// A console that closes under us is an error of write(2), not the end of the guest.
_ = Libc.signal(LibcConstants.SIGPIPE, LibcConstants.SIG_IGN);
// Without it such a fault ends the program as well, only with a core dump.
_ = NativeShims.kvmsharp_memory_fault_init((int)ExitCode.Internal);
return (int)KvmSharpProgram.Run(args, CliOutput.Standard);
