using System.Diagnostics;
using System.Globalization;

namespace Federation.Tests;

internal sealed record SampleResult(int ExitCode, string Output, string Error)
{
    public string[] OutputLines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>A sample's real executable, in a folder of its own.</summary>
/// <param name="name">Of the program.</param>
internal sealed class Sample(string name) : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory($"fed-{name}-tests");

    public string Folder => _folder.FullName;

    /// <summary>The sample's own temporary folders go here.</summary>
    public string Temporary => Directory.CreateDirectory(Path.Combine(Folder, "tmp")).FullName;

    public Process Start(params string[] args) => Start(args, []);

    public Process Start(string[] args, (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? name + ".exe" : name), args)
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TMPDIR"] = Temporary;
        foreach ((string variable, string value) in variables) start.Environment[variable] = value;
        return Process.Start(start)!;
    }

    /// <summary>A file of its results.</summary>
    public string Output(string file) => Path.Combine(Folder, "out", name, file);

    /// <summary>Private folders that a run has left.</summary>
    public IEnumerable<string> Leftovers => Directory.EnumerateFileSystemEntries(Temporary, $"federated-{name}-*");

    /// <summary>Starts it and waits until its federation is under way.</summary>
    public async Task<Process> StartRoundsAsync(string[] args, params (string Name, string Value)[] variables)
    {
        Process process = Start(args, variables);
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line && !line.StartsWith("  round ", StringComparison.Ordinal))
        {
            // the lines before
        }

        return process;
    }

    public async Task<SampleResult> RunAsync(string[] args, params (string Name, string Value)[] variables)
    {
        using Process process = Start(args, variables);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        try
        {
            await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(10));
        }
        finally
        {
            if (!process.HasExited) process.Kill(); // its children end with it
        }

        return new SampleResult(process.ExitCode, await output, await error);
    }

    /// <summary>Processes that this one has started; Linux only.</summary>
    public static IReadOnlyList<Process> ChildrenOf(Process process) => [.. IdsOfChildren(process.Id).Select(Process.GetProcessById)];

    public static async Task SignalAsync(Process process, string signal)
    {
        using Process kill = Process.Start("kill", ["-" + signal, process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    private static IEnumerable<int> IdsOfChildren(int parent)
    {
        foreach (string folder in Directory.EnumerateDirectories("/proc"))
        {
            if (!int.TryParse(Path.GetFileName(folder), out int id)) continue;
            string[] stat;
            try
            {
                string text = File.ReadAllText(Path.Combine(folder, "stat"));
                stat = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                continue; // ended meanwhile
            }

            if (stat[1] == parent.ToString(CultureInfo.InvariantCulture)) yield return id;
        }
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
