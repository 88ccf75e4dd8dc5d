using Microsoft.Extensions.Logging;

namespace KvmSharp.Cli;

/// <summary>Log lines on standard error, <c>kvmsharp: LEVEL: CATEGORY: TEXT</c>, one write each. No configuration, no background thread. Thread-safe.</summary>
internal sealed class StderrLoggerFactory(LogLevel minimum, CliOutput output) : ILoggerFactory
{
    public ILogger CreateLogger(string categoryName) => new Logger(categoryName, minimum, output);

    public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

    public void Dispose()
    {
    }

    private sealed class Logger(string category, LogLevel minimum, CliOutput output) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel >= minimum && logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (!IsEnabled(logLevel))
                return;
            string text = formatter(state, exception);
            if (exception is not null)
                text += minimum <= LogLevel.Debug ? "\n" + exception : ": " + exception.Message;
            output.Error($"{Name(logLevel)}: {category}: {text}");
        }

        private static string Name(LogLevel level) => level switch
        {
            LogLevel.Trace => "trace",
            LogLevel.Debug => "debug",
            LogLevel.Information => "info",
            LogLevel.Warning => "warning",
            _ => "error",
        };
    }
}
