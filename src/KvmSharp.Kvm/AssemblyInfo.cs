using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("KvmSharp.Kvm.Tests")]
