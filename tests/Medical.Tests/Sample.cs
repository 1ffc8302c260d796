using System.Diagnostics;
using System.Globalization;

namespace Federation.Samples.Medical.Tests;

internal sealed record SampleResult(int ExitCode, string Output, string Error)
{
    public string[] OutputLines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>The sample's real executable, in a folder of its own.</summary>
internal sealed class Sample : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-medical-tests");

    public string Folder => _folder.FullName;

    /// <summary>The sample's own temporary folders go here.</summary>
    public string Temporary => Directory.CreateDirectory(Path.Combine(Folder, "tmp")).FullName;

    public Process Start(params string[] args) => Start(args, []);

    public Process Start(string[] args, (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "medical.exe" : "medical"), args)
        {
            WorkingDirectory = Folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["TMPDIR"] = Temporary;
        foreach ((string name, string value) in variables) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    public async Task<SampleResult> RunAsync(string[] args, params (string Name, string Value)[] variables)
    {
        using Process process = Start(args, variables);
        Task<string> output = process.StandardOutput.ReadToEndAsync(), error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(3));
        return new SampleResult(process.ExitCode, await output, await error);
    }

    public static async Task SignalAsync(Process process, string signal)
    {
        using Process kill = Process.Start("kill", ["-" + signal, process.Id.ToString(CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync();
    }

    public void Dispose() => _folder.Delete(recursive: true);
}
