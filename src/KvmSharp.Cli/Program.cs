using KvmSharp.Abi;
using KvmSharp.Cli;

// A console that closes under us is an error of write(2), not the end of the guest.
_ = Libc.signal(LibcConstants.SIGPIPE, LibcConstants.SIG_IGN);
return (int)KvmSharpProgram.Run(args, CliOutput.Standard);
