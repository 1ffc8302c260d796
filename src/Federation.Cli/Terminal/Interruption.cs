using System.Runtime.InteropServices;

namespace Federation.Cli.Terminal;

/// <summary>Ctrl-C and SIGTERM as a cancellation token. The first asks the verb to end in order; the second ends the process at once.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _signals;

    public Interruption() => _signals = [Register(PosixSignal.SIGINT), Register(PosixSignal.SIGTERM)];

    public CancellationToken Token => _source.Token;

    public bool Happened => _source.IsCancellationRequested;

    public void Dispose()
    {
        foreach (PosixSignalRegistration signal in _signals) signal.Dispose();
        _source.Dispose();
    }

    private PosixSignalRegistration Register(PosixSignal signal) => PosixSignalRegistration.Create(signal, context =>
    {
        if (_source.IsCancellationRequested) Environment.Exit(CommandLine.ExitCode.Interrupted);
        context.Cancel = true;
        _source.Cancel();
    });
}
