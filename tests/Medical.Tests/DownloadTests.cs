using Federation.Samples.Medical.Data;

namespace Federation.Samples.Medical.Tests;

/// <summary>The download of the four files, from a real server on loopback.</summary>
public sealed class DownloadTests
{
    [Fact]
    public async Task Download_RightFiles_EntersTheCache()
    {
        string source = Path.Combine(TestData.FolderWith("heart-disease"), "heart-disease");
        using var sample = new Sample("medical");
        await using FileServer server = await FileServer.StartAsync(name => File.ReadAllBytes(Path.Combine(source, name)));
        string cache = Path.Combine(sample.Folder, "cache");
        await HeartData.Files.DownloadAsync(server.Address, cache, TestContext.Current.CancellationToken);
        Assert.Equal(Hospital.All.Select(hospital => hospital.FileName).Order(), Directory.EnumerateFiles(cache).Select(path => Path.GetFileName(path)).Order());
    }

    [Fact]
    public async Task Download_OneWrongByte_IsRefusedAndNotCached()
    {
        string source = Path.Combine(TestData.FolderWith("heart-disease"), "heart-disease");
        using var sample = new Sample("medical");
        await using FileServer server = await FileServer.StartAsync(name =>
        {
            byte[] bytes = File.ReadAllBytes(Path.Combine(source, name));
            if (name.Contains("va", StringComparison.Ordinal)) bytes[1000] ^= 1;
            return bytes;
        });
        string cache = Path.Combine(sample.Folder, "cache");
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => HeartData.Files.DownloadAsync(server.Address, cache, TestContext.Current.CancellationToken));
        Assert.Contains("processed.va.data has SHA-256", error.Message);
        Assert.DoesNotContain(Directory.EnumerateFiles(cache), path => path.Contains("va", StringComparison.Ordinal));
    }

    [Fact] // The whole program: no data, a server that lies, so made-up patients and loud words
    public async Task Sample_WithoutRealData_GoesOnWithSyntheticPatientsAndSaysSo()
    {
        using var sample = new Sample("medical");
        await using FileServer server = await FileServer.StartAsync(_ => "not the file"u8.ToArray());
        SampleResult result = await sample.RunAsync([], ("FED_DATA", sample.Folder), ("FED_CACHE", Path.Combine(sample.Folder, "cache")), ("FED_DOWNLOAD_BASE", server.Address.ToString()));
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("SYNTHETIC PATIENTS", result.OutputLines[0]);
        Assert.InRange(result.OutputLines.Length, 10, 40);
        Assert.StartsWith("Verdict:", result.OutputLines[^1]);
        Assert.Contains("made-up patients", result.OutputLines[^1]);
        Assert.Contains("\"dataSource\":\"synthetic\"", File.ReadAllText(sample.Output("metrics.json")));
        Assert.Contains("Synthetic patients", File.ReadAllText(sample.Output("report.html")));
        Assert.Empty(sample.Leftovers);
    }
}
