using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>What a finished <c>fed</c> left behind.</summary>
internal sealed record FedResult(int ExitCode, string Output, string Error)
{
    public string[] OutputLines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>The one JSON document on stdout.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;
}

/// <summary>The real executable as a process of its own.</summary>
internal sealed class Fed : IAsyncDisposable
{
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(60);
    private readonly Process _process;
    private readonly StringBuilder _output = new(), _error = new();
    private readonly Task _readingOutput, _readingError;
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<string> _firstLine = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private Fed(Process process)
    {
        _process = process;
        _readingOutput = ReadAsync(process.StandardOutput, _output, _firstLine);
        _readingError = ReadAsync(process.StandardError, _error, null);
    }

    /// <summary>Runs to the end.</summary>
    public static async Task<FedResult> RunAsync(string folder, string[] args, string? input = null, (string Name, string Value)[]? variables = null)
    {
        await using Fed fed = Start(folder, args, input, variables);
        return await fed.EndAsync();
    }

    public static Fed Start(string folder, string[] args, string? input = null, (string Name, string Value)[]? variables = null)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "fed.exe" : "fed"), args)
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("FED_", StringComparison.Ordinal)).ToArray()) start.Environment.Remove(name);
        foreach ((string name, string value) in variables ?? []) start.Environment[name] = value;
        Process process = Process.Start(start)!;
        if (input is not null) process.StandardInput.Write(input);
        process.StandardInput.Close();
        return new Fed(process);
    }

    /// <summary>The first line on stdout, once it is there.</summary>
    /// <exception cref="InvalidOperationException">The process ended without one; says what it wrote to stderr.</exception>
    public async Task<string> FirstLineAsync()
    {
        string line = await _firstLine.Task.WaitAsync(Hang);
        return line.Length > 0 ? line : throw new InvalidOperationException($"fed ended without a line: {(await EndAsync()).Error}");
    }

    /// <summary>Waits until a line on stdout fits.</summary>
    /// <exception cref="InvalidOperationException">The process ended without one.</exception>
    public async Task LineAsync(Func<string, bool> fits)
    {
        for (int next = 0; ;)
        {
            Task changed = Volatile.Read(ref _changed).Task;
            string[] lines;
            lock (_output) lines = _output.ToString().Split('\n')[..^1];
            for (; next < lines.Length; next++) if (fits(lines[next])) return;
            if (_readingOutput.IsCompleted) throw new InvalidOperationException($"fed ended without the line. stdout: {_output} stderr: {_error}");
            await Task.WhenAny(changed, _readingOutput).WaitAsync(Hang);
        }
    }

    /// <summary>The highest resident memory so far; Linux.</summary>
    public long PeakBytes => 1024 * long.Parse(File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith("VmHWM:", StringComparison.Ordinal)).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture);

    /// <summary>kill -9.</summary>
    public async Task KillAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync();
    }

    /// <summary>Ctrl-C, or another signal.</summary>
    public async Task InterruptAsync(string signal = "INT")
    {
        using Process kill = Process.Start("kill", ["-" + signal, _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    /// <param name="hang">After so long it counts as stuck; null: a minute.</param>
    public async Task<FedResult> EndAsync(TimeSpan? hang = null)
    {
        try
        {
            await Task.WhenAll(_process.WaitForExitAsync(), _readingOutput, _readingError).WaitAsync(hang ?? Hang);
        }
        catch (TimeoutException)
        {
            throw new TimeoutException($"fed did not end. stdout: {_output} stderr: {_error}");
        }

        return new FedResult(_process.ExitCode, _output.ToString(), _error.ToString());
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    private async Task ReadAsync(StreamReader reader, StringBuilder all, TaskCompletionSource<string>? first)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            lock (all) all.Append(line).Append('\n');
            Interlocked.Exchange(ref _changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
            first?.TrySetResult(line);
        }

        first?.TrySetResult("");
    }
}
