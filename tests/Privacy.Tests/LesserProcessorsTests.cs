using System.Diagnostics;

namespace Federation.Privacy.Tests;

/// <summary>The kernels' tests once more in a process that is told it has no AVX-512, and in one without AVX2: which path is taken is settled when a process starts.</summary>
public sealed class LesserProcessorsTests
{
    [Theory]
    [InlineData("DOTNET_EnableAVX512")]
    [InlineData("DOTNET_EnableAVX2")]
    public async Task KernelTests_WithoutAnInstructionSet_Hold(string switchedOff)
    {
        string[] classes = ["PadRingTests", "UpdateKernelsTests", "UpdateEncoderTests", "NegacyclicTransformTests", "RnsRingTests", "HadamardRotationTests"];
        ProcessStartInfo start = new(Path.Combine(AppContext.BaseDirectory, "Privacy.Tests"), [.. classes.SelectMany(name => new[] { "-class", $"*.{name}" }), "-noColor"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[switchedOff] = "0";
        foreach (string name in start.Environment.Keys.Where(name => name.StartsWith("TESTINGPLATFORM", StringComparison.Ordinal) || name.StartsWith("XUNIT", StringComparison.Ordinal)).ToArray()) start.Environment.Remove(name);
        using Process process = Process.Start(start)!;
        Task<string> errors = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        string output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(process.ExitCode == 0, $"{output}\n{await errors}");
        Assert.Matches(@"Total: [1-9]\d\d", output); // not none, because a class was renamed
    }
}
