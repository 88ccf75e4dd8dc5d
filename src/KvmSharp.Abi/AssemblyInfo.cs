using System.Runtime.CompilerServices;

// Every declaration here is blittable: no marshalling stubs, nothing hidden between C# and the kernel.
[assembly: DisableRuntimeMarshalling]
