namespace KvmSharp.Machine.Tests.Bare;

/// <summary>Tests that look at the whole process (its descriptors, its threads) run alone.</summary>
[CollectionDefinition(nameof(ProcessWideTests), DisableParallelization = true)]
public sealed class ProcessWideTests;
