using System.Diagnostics;
using System.Reflection;
using System.Text;

namespace Federation.Samples.Processes;

/// <summary>This program again, as another party. It ends when its standard input ends, so it never outlives this process, however that dies.</summary>
internal sealed class ChildProcess : IDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _errors = new();

    private ChildProcess(string title, Process process)
    {
        (Title, _process) = (title, process);
        process.ErrorDataReceived += (_, line) =>
        {
            lock (_errors) _errors.AppendLine(line.Data);
        };
        process.BeginErrorReadLine();
    }

    public string Title { get; }

    public static ChildProcess Start(string title, params string[] arguments)
    {
        string self = Environment.ProcessPath!;
        var start = new ProcessStartInfo(self) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        if (Path.GetFileNameWithoutExtension(self) == "dotnet") start.ArgumentList.Add(Assembly.GetEntryAssembly()!.Location);
        foreach (string argument in arguments) start.ArgumentList.Add(argument);
        return new ChildProcess(title, Process.Start(start)!);
    }

    /// <summary>The next line that it prints.</summary>
    /// <exception cref="ChildFailedException">It ended instead.</exception>
    public async Task<string> ReadLineAsync(CancellationToken cancellationToken) =>
        await _process.StandardOutput.ReadLineAsync(cancellationToken) ?? throw await FailureAsync(cancellationToken);

    /// <exception cref="ChildFailedException">It ended with an error.</exception>
    public async Task WaitAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        if (_process.ExitCode != 0) throw await FailureAsync(cancellationToken);
    }

    /// <summary>Largest resident memory so far, bytes; null where the system does not say.</summary>
    public long? PeakMemory()
    {
        string status = $"/proc/{_process.Id}/status";
        if (!File.Exists(status)) return null;
        string? line = File.ReadLines(status).FirstOrDefault(line => line.StartsWith("VmHWM:", StringComparison.Ordinal));
        return line is null ? null : 1024 * long.Parse(line.Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], System.Globalization.CultureInfo.InvariantCulture);
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            _process.WaitForExit();
        }

        _process.Dispose();
    }

    /// <summary>For the child: a token that is cancelled when the parent is gone.</summary>
    public static CancellationToken ParentGone()
    {
        var gone = new CancellationTokenSource();
        var watch = new Thread(() =>
        {
            Stream input = Console.OpenStandardInput();
            byte[] ignored = new byte[64];
            while (input.Read(ignored) > 0)
            {
            }

            gone.Cancel();
        }) { IsBackground = true };
        watch.Start();
        return gone.Token;
    }

    private async Task<ChildFailedException> FailureAsync(CancellationToken cancellationToken)
    {
        await _process.WaitForExitAsync(cancellationToken);
        lock (_errors) return new ChildFailedException($"{Title} ended with code {_process.ExitCode}. {_errors.ToString().Trim()}");
    }
}

/// <summary>A party's process ended with an error; the message holds what it said.</summary>
public sealed class ChildFailedException(string message) : Exception(message);
