using System.IO.Compression;
using System.Text.Json;
using System.Text.RegularExpressions;
using Federation.Formats.Models;
using Federation.Samples.Mnist.Data;
using NJsonSchema;

namespace Federation.Samples.Mnist.Tests;

/// <summary>The sample's real program; one epoch, so that it is soon done.</summary>
public sealed class SampleTests
{
    [Fact]
    public async Task Sample_OneEpochOfTheRealDigits_LearnsAndWritesWhatItPromises()
    {
        string data = TestData.FolderWith("mnist");
        using var sample = new Sample("mnist");
        SampleResult result = await sample.RunAsync(["--epochs", "1", "--seed", "3", "--json"], ("FED_DATA", data));
        Assert.Equal(0, result.ExitCode);
        JsonElement metrics = await CheckedAsync(sample);
        Assert.Equal(("mnist", "plain", 3, 60_000, 10_000), (metrics.GetProperty("dataSource").GetString(), metrics.GetProperty("recipe").GetString(), metrics.GetProperty("seed").GetInt32(), metrics.GetProperty("trainingImages").GetInt32(), metrics.GetProperty("testImages").GetInt32()));
        Assert.InRange(metrics.GetProperty("testAccuracy").GetDouble(), 0.94, 0.985);
        Assert.InRange(metrics.GetProperty("epochs")[0].GetProperty("loss").GetDouble(), 0.1, 0.4);
        Assert.Equal(result.OutputLines[0], File.ReadAllText(sample.Output("metrics.json")).Trim());
        Assert.Equal(metrics.GetProperty("modelSha256").GetString(), ModelState.Read(sample.Output("model.safetensors")).Sha256);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(sample.Output("loss.png"))[..4]);
        string report = File.ReadAllText(sample.Output("report.html"));
        Assert.Contains("No federation and no differential privacy", report);
        Assert.DoesNotContain("Synthetic", report);
        Assert.StartsWith("Verdict:", result.Error.TrimEnd().Split('\n')[^1]);
        Assert.Empty(sample.Leftovers);
    }

    [Fact] // no data, and a server that lies: made-up digits and loud words; the same seed gives the same bytes, another one others
    public async Task Sample_WithoutRealData_GoesOnWithSyntheticDigitsAndRepeats()
    {
        using var sample = new Sample("mnist");
        await using FileServer server = await FileServer.StartAsync(_ => "not the file"u8.ToArray());
        List<string> models = [];
        foreach (string seed in new[] { "1", "1", "2" })
        {
            SampleResult result = await sample.RunAsync(["--epochs", "2", "--seed", seed, "--recipe", "tuned"], ("FED_DATA", sample.Folder), ("FED_CACHE", Path.Combine(sample.Folder, "cache")), ("FED_DOWNLOAD_BASE", server.Address.ToString()));
            Assert.Equal((0, ""), (result.ExitCode, result.Error));
            Assert.Contains("SYNTHETIC DIGITS", result.OutputLines[0]);
            Assert.Contains(result.OutputLines, line => Regex.IsMatch(line, @"^ +2 +0\.\d{5} +\d+\.\d$")); // the table
            Assert.Contains("made-up test images", result.OutputLines[^1]);
            JsonElement metrics = await CheckedAsync(sample);
            Assert.Equal("synthetic", metrics.GetProperty("dataSource").GetString());
            Assert.True(metrics.GetProperty("testAccuracy").GetDouble() > 0.9, result.OutputLines[^1]);
            Assert.Contains("Synthetic digits", File.ReadAllText(sample.Output("report.html")));
            models.Add(metrics.GetProperty("modelSha256").GetString()!);
        }

        Assert.Equal(models[0], models[1]);
        Assert.NotEqual(models[0], models[2]);
    }

    [Theory]
    [InlineData("--recipe", "plan", "Did you mean 'plain'?")]
    [InlineData("--epochs", "0", "from 1 to 1000")]
    [InlineData("--epsilon", "3", "samples/medical")]
    public async Task Sample_WrongFlag_SaysWhatIsRight(string flag, string value, string says)
    {
        using var sample = new Sample("mnist");
        SampleResult result = await sample.RunAsync([flag, value]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains(says, result.Error);
    }

    [Fact] // everybody packs otherwise: what a file holds is what counts
    public async Task Download_FilesPackedAnew_EnterTheCache()
    {
        string source = Path.Combine(TestData.FolderWith("mnist"), "mnist");
        using var sample = new Sample("mnist");
        await using FileServer server = await FileServer.StartAsync(name => Packed(File.ReadAllBytes(Path.Combine(source, name)), 0));
        string cache = Path.Combine(sample.Folder, "cache");
        await MnistFiles.Files.DownloadAsync(server.Address, cache, TestContext.Current.CancellationToken);
        Assert.Equal(4, Directory.EnumerateFiles(cache).Count());
    }

    [Theory]
    [InlineData(1, "has SHA-256")] // one wrong pixel
    [InlineData(2, "holds more than 67108864 bytes")] // small to fetch, and without end once it is opened
    public async Task Download_OtherContent_IsRefused(int change, string says)
    {
        string source = Path.Combine(TestData.FolderWith("mnist"), "mnist");
        using var sample = new Sample("mnist");
        await using FileServer server = await FileServer.StartAsync(name => Packed(File.ReadAllBytes(Path.Combine(source, name)), change));
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => MnistFiles.Files.DownloadAsync(server.Address, Path.Combine(sample.Folder, "cache"), TestContext.Current.CancellationToken));
        Assert.Contains(says, error.Message);
    }

    [Fact]
    public async Task Sample_AFileThatIsCutOff_IsNamed()
    {
        string source = Path.Combine(TestData.FolderWith("mnist"), "mnist");
        using var sample = new Sample("mnist");
        string folder = Directory.CreateDirectory(Path.Combine(sample.Folder, "mnist")).FullName;
        foreach (string file in Directory.EnumerateFiles(source, "*.gz")) File.WriteAllBytes(Path.Combine(folder, Path.GetFileName(file)), File.ReadAllBytes(file)[..^100]);
        SampleResult result = await sample.RunAsync(["--epochs", "1"], ("FED_DATA", sample.Folder));
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("train-images-idx3-ubyte.gz", result.Error);
    }

    private static byte[] Packed(byte[] gzip, int change)
    {
        using var content = new MemoryStream();
        using (var stream = new GZipStream(new MemoryStream(gzip), CompressionMode.Decompress)) stream.CopyTo(content);
        if (change == 1) content.GetBuffer()[20] ^= 1;
        if (change == 2) content.SetLength(80 << 20);
        using var packed = new MemoryStream();
        using (var stream = new GZipStream(packed, CompressionLevel.Fastest)) stream.Write(content.GetBuffer(), 0, (int)content.Length);
        return packed.ToArray();
    }

    private static async Task<JsonElement> CheckedAsync(Sample sample)
    {
        string text = File.ReadAllText(sample.Output("metrics.json"));
        JsonSchema schema = await JsonSchema.FromFileAsync(Path.Combine(AppContext.BaseDirectory, "mnist-metrics.schema.json"), TestContext.Current.CancellationToken);
        Assert.Empty(schema.Validate(text));
        return JsonDocument.Parse(text).RootElement;
    }
}
