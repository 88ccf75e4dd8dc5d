using System.Diagnostics;
using System.Globalization;
using KvmSharp.Fuzz;
using KvmSharp.Fuzz.Engine;

// KvmSharp.Fuzz list
// KvmSharp.Fuzz run TARGET SECONDS CORPUS [SEED]   fuzzes one target; findings go to the corpus
// KvmSharp.Fuzz replay TARGET FILE                 runs one input
// KvmSharp.Fuzz grow TARGET SECONDS CORPUS         as run, and keeps the inputs that show most
return args switch
{
    ["list"] => List(),
    ["run", string name, string seconds, string corpus, .. string[] seed] when FuzzCatalog.Find(name) is { } target =>
        Run(target, seconds, new Corpus(corpus), seed, grow: false),
    ["grow", string name, string seconds, string corpus] when FuzzCatalog.Find(name) is { } target => Run(target, seconds, new Corpus(corpus), [], grow: true),
    ["replay", string name, string file] when FuzzCatalog.Find(name) is { } target => Replay(target, file),
    _ => Usage(),
};

static int List()
{
    foreach (FuzzTarget target in FuzzCatalog.All)
        Console.WriteLine(target.Name);
    return 0;
}

static int Usage()
{
    Console.Error.WriteLine("usage: KvmSharp.Fuzz list | run TARGET SECONDS CORPUS [SEED] | grow TARGET SECONDS CORPUS | replay TARGET FILE");
    return 2;
}

static int Replay(FuzzTarget target, string file)
{
    using FuzzSession session = new(target, 0);
    FuzzFinding? finding = session.Replay(File.ReadAllBytes(file));
    Console.WriteLine(finding is null ? "passed" : finding.Error.ToString());
    return finding is null ? 0 : 1;
}

static int Run(FuzzTarget target, string seconds, Corpus corpus, string[] seedText, bool grow)
{
    const int FindingLimit = 10, GrowLimit = 24;
    ulong seed = seedText.Length > 0 ? ulong.Parse(seedText[0], CultureInfo.InvariantCulture) : (ulong)Environment.TickCount64;
    double limit = double.Parse(seconds, CultureInfo.InvariantCulture);
    int findings = 0;
    string journalPath = Path.Combine(Path.GetTempPath(), $"kvmsharp-fuzz-{target.Name}");
    // What killed the process last time is the first finding of this time.
    if (Journal.Salvage(journalPath) is { } fatal)
    {
        findings++;
        Console.WriteLine($"{target.Name}: an input ended the process: {corpus.Save(target.Name, $"fatal-{seed}", fatal)}");
    }

    long start = Stopwatch.GetTimestamp();
    using Journal journal = new(journalPath, target.MaxBytes + 16);
    using Watchdog watchdog = new(target.Name);
    using FuzzSession session = new(target, seed)
    {
        Before = (input, at) =>
        {
            journal.Write(input.Span);
            watchdog.Begin(at);
        },
        After = watchdog.End,
    };
    foreach ((string file, byte[] input) in corpus.Load(target.Name))
        Report(session.Replay(input), file);
    int saved = session.Kept.Count;
    while (findings < FindingLimit && Stopwatch.GetElapsedTime(start).TotalSeconds < limit)
    {
        for (int i = 0; i < 64; i++)
            Report(session.Step(), null);
    }

    for (int i = saved; grow && i < session.Kept.Count && i < saved + GrowLimit; i++)
        corpus.Save(target.Name, $"seed-{seed}-{i - saved:d2}", session.Kept[i]);
    double took = Stopwatch.GetElapsedTime(start).TotalSeconds;
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"{target.Name}: {session.Iterations} iterations, {session.Iterations / took:0}/s, {session.BehaviourCount} behaviours, {findings} findings, seed {seed}"));
    return findings == 0 ? 0 : 1;

    void Report(FuzzFinding? finding, string? file)
    {
        if (finding is null)
            return;
        findings++;
        file ??= corpus.Save(target.Name, $"finding-{seed}-{session.Iterations}", finding.Input);
        Console.WriteLine($"{target.Name}: {file}{(finding.Reproduced ? "" : " (not reproduced by itself)")}: {finding.Error}");
    }
}
