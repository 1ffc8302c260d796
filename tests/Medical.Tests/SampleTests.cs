using System.Diagnostics;
using System.Text.Json;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Models;
using Federation.Samples.Medical.Data;
using Federation.Samples.Medical.Training;
using NJsonSchema;
using TorchSharp;

namespace Federation.Samples.Medical.Tests;

/// <summary>The sample's real run: five processes, mutual TLS, real hospitals.</summary>
public sealed class SampleTests
{
    [Fact]
    public async Task Sample_RealHospitals_WritesWhatItPromisesAndRepeats()
    {
        string data = TestData.FolderWith("heart-disease");
        using var sample = new Sample();
        SampleResult result = await sample.RunAsync(["--json", "--seed", "43"], ("FED_DATA", data));
        Assert.Equal(0, result.ExitCode);
        string document = Assert.Single(result.OutputLines);
        JsonSchema schema = await JsonSchema.FromFileAsync(Path.Combine(AppContext.BaseDirectory, "medical-metrics.schema.json"));
        Assert.Empty(schema.Validate(document));
        JsonElement metrics = JsonDocument.Parse(document).RootElement;
        Assert.Equal("uci", metrics.GetProperty("dataSource").GetString());
        Assert.Equal(document, File.ReadAllText(Path.Combine(sample.Folder, "out", "medical", "metrics.json")).Trim());
        Assert.True(metrics.GetProperty("federated").GetProperty("pooledAccuracy").GetDouble() >= 0.8);

        ModelState model = ModelState.Read(Path.Combine(sample.Folder, "out", "medical", "model.safetensors"));
        Assert.Equal(metrics.GetProperty("modelSha256").GetString(), model.Sha256);
        JsonElement secure = metrics.GetProperty("secureAggregation");
        Assert.Equal(("threshold-bfv", "direct", 3, 4, 50), (secure.GetProperty("kind").GetString(), secure.GetProperty("mode").GetString(), secure.GetProperty("threshold").GetInt32(), secure.GetProperty("committee").GetInt32(), secure.GetProperty("openedRounds").GetInt32()));
        byte[] png = File.ReadAllBytes(Path.Combine(sample.Folder, "out", "medical", "accuracy.png"));
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], png[..4]);
        Assert.Contains("any 3 of 4 hospitals", File.ReadAllText(Path.Combine(sample.Folder, "out", "medical", "report.html")));

        // In the clear the same seed gives the bytes of a run without processes, network or order of arrival; encrypted, the same bytes again, whose figures differ by less than 0.005.
        using var again = new Sample();
        JsonElement repeated = JsonDocument.Parse((await again.RunAsync(["--json", "--seed", "43"], ("FED_DATA", data))).OutputLines[0]).RootElement;
        Assert.Equal(model.Sha256, repeated.GetProperty("modelSha256").GetString());
        using var clear = new Sample();
        JsonElement plain = JsonDocument.Parse((await clear.RunAsync(["--json", "--seed", "43", "--secure-aggregation", "none"], ("FED_DATA", data))).OutputLines[0]).RootElement;
        Assert.Equal(InProcess(data, seed: 43).Sha256, plain.GetProperty("modelSha256").GetString());
        Assert.NotEqual(InProcess(data, seed: 44).Sha256, plain.GetProperty("modelSha256").GetString());
        Assert.Equal(50 * model.Header.FileLength, plain.GetProperty("bytesUploadedPerSite").GetInt64());
        Assert.Contains("No privacy guarantee.", File.ReadAllText(Path.Combine(clear.Folder, "out", "medical", "report.html")));
        Assert.Equal(plain.GetProperty("federated").GetProperty("pooledAccuracy").GetDouble(), metrics.GetProperty("federated").GetProperty("pooledAccuracy").GetDouble(), 0.005);
    }

    [Theory]
    [InlineData("--sed", "Did you mean '--seed'?")]
    [InlineData("--seed x", "'x' is no seed")]
    [InlineData("--flamby range", "Did you mean 'ranges'?")]
    [InlineData("--secure-aggregation non", "Did you mean 'none'?")]
    [InlineData("--out", "needs a value")]
    public async Task Sample_WrongFlag_SaysWhatIsRightAndExitsWith2(string args, string says)
    {
        using var sample = new Sample();
        SampleResult result = await sample.RunAsync(args.Split(' '));
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(says, Assert.Single(result.Error.Trim().Split('\n')));
    }

    [Fact]
    public async Task Sample_Interrupted_ExitsWith130AndLeavesNothing()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        using var sample = new Sample();
        using Process process = sample.Start([], [("FED_DATA", TestData.FolderWith("heart-disease"))]);
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line && !line.Contains("round", StringComparison.Ordinal))
        {
            // until the federation is under way
        }

        await Sample.SignalAsync(process, "INT");
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(130, process.ExitCode);
        Assert.Empty(Directory.EnumerateFileSystemEntries(sample.Temporary, "federated-medical-*"));
    }

    [Fact]
    public async Task Sample_Killed_TakesItsHospitalsAndCoordinatorWithIt()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("Children are found in /proc.");
        using var sample = new Sample();
        using Process process = sample.Start([], [("FED_DATA", TestData.FolderWith("heart-disease"))]);
        while (await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken) is { } line && !line.Contains("round", StringComparison.Ordinal))
        {
            // until the federation is under way
        }

        Process[] children = [.. ChildrenOf(process.Id).Select(Process.GetProcessById)];
        Assert.Equal(5, children.Length);
        process.Kill();
        foreach (Process child in children) await child.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Theory] // FLamby's published sizes: tests/reference/flamby/README.md
    [InlineData("cleveland", 199, 104)]
    [InlineData("hungarian", 172, 89)]
    [InlineData("switzerland", 30, 16)]
    [InlineData("va", 85, 45)]
    public void FlambySplit_EachHospital_HasThePublishedSizes(string site, int train, int test)
    {
        IReadOnlyDictionary<int, string> split = Experiment.FlambySplit(site);
        Assert.Equal((train, test), (split.Values.Count(set => set == "train"), split.Values.Count(set => set == "test")));
    }

    private static ModelState InProcess(string data, ulong seed)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("fed-twin");
        try
        {
            var heart = new HeartData(Hospital.All.ToDictionary(hospital => hospital.Name, hospital => File.ReadAllText(Path.Combine(data, "heart-disease", hospital.FileName))), false);
            RunSpec spec = Experiment.Default.Spec(seed);
            // Another order of sites than the coordinator's
            (string, ILocalLearner)[] learners = [.. Hospital.All.Reverse().Select(hospital =>
            {
                DataSource source = Experiment.Default.Prepare(heart, hospital, folder.CreateSubdirectory(hospital.Name).FullName);
                return (hospital.Name, (ILocalLearner)new TabularLearner([source], torch.CPU));
            })];
            ModelState model = InProcessFederation.Train(new LearningTask("twin", "", spec, Experiment.Default.Schema), learners, TabularModel.Initial(spec, Experiment.Default.Schema), TestContext.Current.CancellationToken);
            foreach ((string _, ILocalLearner learner) in learners) learner.Dispose();
            return model;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static IEnumerable<int> ChildrenOf(int parent)
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

            if (stat[1] == parent.ToString(System.Globalization.CultureInfo.InvariantCulture)) yield return id;
        }
    }
}
