using System.Diagnostics;
using System.Text.Json;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Models;
using Federation.Samples.Data;
using Federation.Samples.Medical.Data;
using Federation.Samples.Training;
using NJsonSchema;
using TorchSharp;

namespace Federation.Samples.Medical.Tests;

/// <summary>The sample's real run: five processes, mutual TLS, real hospitals.</summary>
public sealed class SampleTests
{
    private static readonly string[] s_hospitals = [.. Hospital.All.Select(hospital => hospital.Name)];

    [Fact] // by default: encrypted, and differentially private with ε ≤ 3; two runs with one seed differ, because noise is nobody's seed
    public async Task Sample_RealHospitals_IsPrivateAndGoodAndWritesWhatItPromises()
    {
        string data = TestData.FolderWith("heart-disease");
        using var sample = new Sample("medical");
        SampleResult result = await sample.RunAsync(["--json", "--seed", "43"], ("FED_DATA", data));
        JsonElement metrics = await CheckedAsync(result);
        Assert.Equal("uci", metrics.GetProperty("dataSource").GetString());
        Assert.Equal(result.OutputLines[0], File.ReadAllText(sample.Output("metrics.json")).Trim());
        Assert.True(AccuracyOf(metrics) >= 0.78, $"{AccuracyOf(metrics)}");
        ModelState model = ModelState.Read(sample.Output("model.safetensors"));
        Assert.Equal(metrics.GetProperty("modelSha256").GetString(), model.Sha256);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(sample.Output("accuracy.png"))[..4]);

        JsonElement privacy = metrics.GetProperty("privacy");
        Assert.True(privacy.GetProperty("private").GetBoolean());
        Assert.Equal(("record", "shared", 1e-5), (privacy.GetProperty("unit").GetString(), privacy.GetProperty("noise").GetString(), privacy.GetProperty("delta").GetDouble()));
        Assert.InRange(privacy.GetProperty("epsilonAgainstCoalition").GetDouble(), 2.9, 3);
        Assert.All(privacy.GetProperty("epsilonBySite").EnumerateObject(), site => Assert.InRange(site.Value.GetDouble(), 1.5, 2.9));
        SamplePrivacy.AssertSound(metrics, s_hospitals);
        SamplePrivacy.AssertFiled(sample, s_hospitals, "Gaussian noise");
        string report = File.ReadAllText(sample.Output("report.html"));
        Assert.Contains("any 3 of 4 hospitals", report, StringComparison.Ordinal);
        Assert.Contains("with noise, for 50 rounds of 1 step over all of them; only updates", report, StringComparison.Ordinal);
        Assert.Contains("own model of its own rows alone, without differential privacy, for 50 rounds of 1 epoch.", report, StringComparison.Ordinal);
        Assert.Contains("costs at most ε =", System.Net.WebUtility.HtmlDecode(report), StringComparison.Ordinal);

        using var again = new Sample("medical");
        JsonElement repeated = await CheckedAsync(await again.RunAsync(["--json", "--seed", "43", "--noise", "own", "--epsilon", "8"], ("FED_DATA", data)));
        Assert.NotEqual(model.Sha256, repeated.GetProperty("modelSha256").GetString());
        Assert.InRange(repeated.GetProperty("privacy").GetProperty("epsilonAgainstCoalition").GetDouble(), 7.7, 8);
        SamplePrivacy.AssertSound(repeated, s_hospitals);
        Assert.True(AccuracyOf(repeated) >= 0.75, $"{AccuracyOf(repeated)}");
    }

    [Fact] // in the clear the same seed gives the bytes of a run without processes, network or order of arrival; encrypted, the same bytes again, whose figures differ by less than 0.005
    public async Task Sample_WithoutPrivacy_RepeatsToTheSameBytes()
    {
        string data = TestData.FolderWith("heart-disease");
        using Sample one = new("medical"), again = new("medical"), clear = new("medical");
        JsonElement metrics = await CheckedAsync(await one.RunAsync(["--json", "--seed", "43", "--no-privacy"], ("FED_DATA", data)));
        Assert.Equal(JsonValueKind.Null, metrics.GetProperty("privacy").ValueKind);
        Assert.True(AccuracyOf(metrics) >= 0.8);
        JsonElement secure = metrics.GetProperty("secureAggregation");
        Assert.Equal(("threshold-bfv", "direct", 3, 4, 50), (secure.GetProperty("kind").GetString(), secure.GetProperty("mode").GetString(), secure.GetProperty("threshold").GetInt32(), secure.GetProperty("committee").GetInt32(), secure.GetProperty("openedRounds").GetInt32()));
        JsonElement repeated = await CheckedAsync(await again.RunAsync(["--json", "--seed", "43", "--no-privacy"], ("FED_DATA", data)));
        Assert.Equal(metrics.GetProperty("modelSha256").GetString(), repeated.GetProperty("modelSha256").GetString());
        JsonElement plain = await CheckedAsync(await clear.RunAsync(["--json", "--seed", "43", "--no-privacy", "--secure-aggregation", "none"], ("FED_DATA", data)));
        ModelState twin = InProcess(data, seed: 43);
        Assert.Equal(twin.Sha256, plain.GetProperty("modelSha256").GetString());
        Assert.NotEqual(InProcess(data, seed: 44).Sha256, plain.GetProperty("modelSha256").GetString());
        Assert.Equal(50 * twin.Header.FileLength, plain.GetProperty("bytesUploadedPerSite").GetInt64());
        string encrypted = File.ReadAllText(one.Output("report.html"));
        Assert.Contains("sends a malformed ciphertext can give it the key", encrypted, StringComparison.Ordinal);
        Assert.Contains("what successive sums say of one hospital, is not bounded", encrypted, StringComparison.Ordinal);
        Assert.Contains("how many rows it has", encrypted, StringComparison.Ordinal);
        Assert.Contains("own model of its own rows alone, for as many rounds and epochs.", encrypted, StringComparison.Ordinal);
        string report = File.ReadAllText(clear.Output("report.html"));
        Assert.Contains("No secure aggregation.", report, StringComparison.Ordinal);
        Assert.Contains("No differential privacy.", report, StringComparison.Ordinal);
        SamplePrivacy.AssertFiled(clear, s_hospitals, "without noise");
        Assert.Equal(AccuracyOf(plain), AccuracyOf(metrics), 0.005);
    }

    [Fact] // the one way to repeat a run with noise; it says everywhere that nothing is private
    public async Task Sample_WithInsecureSeededNoise_RepeatsAndClaimsNothing()
    {
        string data = TestData.FolderWith("heart-disease");
        List<string> models = [];
        for (int i = 0; i < 2; i++)
        {
            using var sample = new Sample("medical");
            JsonElement metrics = await CheckedAsync(await sample.RunAsync(["--json", "--seed", "43", "--insecure-seeded-noise"], ("FED_DATA", data)));
            models.Add(metrics.GetProperty("modelSha256").GetString()!);
            JsonElement privacy = metrics.GetProperty("privacy");
            Assert.False(privacy.GetProperty("private").GetBoolean());
            Assert.All(["epsilonBySite", "epsilonAgainstCoalition", "lowerBoundBySite"], (string field) => Assert.Equal(JsonValueKind.Null, privacy.GetProperty(field).ValueKind));
            SamplePrivacy.AssertFiled(sample, s_hospitals, "without noise");
            Assert.Contains("Not private: the noise follows from the seed", System.Net.WebUtility.HtmlDecode(File.ReadAllText(sample.Output("report.html"))), StringComparison.Ordinal);
        }

        Assert.Equal(models[0], models[1]);
    }

    private static double AccuracyOf(JsonElement metrics) => metrics.GetProperty("federated").GetProperty("pooledAccuracy").GetDouble();

    private static async Task<JsonElement> CheckedAsync(SampleResult result)
    {
        Assert.True(result.ExitCode == 0, result.Error);
        string document = Assert.Single(result.OutputLines);
        JsonSchema schema = await JsonSchema.FromFileAsync(Path.Combine(AppContext.BaseDirectory, "medical-metrics.schema.json"));
        Assert.Empty(schema.Validate(document));
        return JsonDocument.Parse(document).RootElement;
    }

    [Theory]
    [InlineData("--sed", "Did you mean '--seed'?")]
    [InlineData("--seed x", "'x' is no seed")]
    [InlineData("--flamby range", "Did you mean 'ranges'?")]
    [InlineData("--secure-aggregation non", "Did you mean 'none'?")]
    [InlineData("--secure-aggregation none", "too little")]
    [InlineData("--flamby standardised --epsilon 1", "depend on every patient")]
    [InlineData("--no-privacy --epsilon 1", "Leave out one or the other")]
    [InlineData("--no-privacy --insecure-seeded-noise", "has no noise, and repeats")]
    [InlineData("--epsilon 0", "'0' is no ε")]
    [InlineData("--noise shard", "Did you mean 'shared'?")]
    [InlineData("--out", "needs a value")]
    public async Task Sample_WrongFlag_SaysWhatIsRightAndExitsWith2(string args, string says)
    {
        using var sample = new Sample("medical");
        SampleResult result = await sample.RunAsync(args.Split(' '));
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(says, Assert.Single(result.Error.Trim().Split('\n')));
    }

    [Fact]
    public async Task Sample_Interrupted_ExitsWith130AndLeavesNothing()
    {
        if (OperatingSystem.IsWindows()) Assert.Skip("Signals are sent with kill.");
        using var sample = new Sample("medical");
        using Process process = await sample.StartRoundsAsync([], ("FED_DATA", TestData.FolderWith("heart-disease")));
        await Sample.SignalAsync(process, "INT");
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(130, process.ExitCode);
        Assert.Empty(sample.Leftovers);
    }

    [Fact]
    public async Task Sample_Killed_TakesItsHospitalsAndCoordinatorWithIt()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("Children are found in /proc.");
        using var sample = new Sample("medical");
        using Process process = await sample.StartRoundsAsync([], ("FED_DATA", TestData.FolderWith("heart-disease")));
        IReadOnlyList<Process> children = Sample.ChildrenOf(process);
        Assert.Equal(5, children.Count);
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
        IReadOnlyDictionary<int, string> split = HeartExperiment.FlambySplit(site);
        Assert.Equal((train, test), (split.Values.Count(set => set == "train"), split.Values.Count(set => set == "test")));
    }

    private static ModelState InProcess(string data, ulong seed)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("fed-twin");
        try
        {
            var heart = new HeartData(Hospital.All.ToDictionary(hospital => hospital.Name, hospital => File.ReadAllText(Path.Combine(data, "heart-disease", hospital.FileName))), false);
            Experiment experiment = (HeartExperiment.Default with { IsPrivate = false }).With(new PrivacyChoice(), seed);
            RunSpec spec = experiment.Spec;
            // Another order of sites than the coordinator's
            (string, ILocalLearner)[] learners = [.. HeartExperiment.Default.Tables(heart).Reverse().Select(table =>
            {
                DataSource source = table.WriteTo(folder.CreateSubdirectory(table.Site.Name).FullName, experiment.Schema.Name);
                return (table.Site.Name, (ILocalLearner)new TabularLearner([source], torch.CPU));
            })];
            ModelState model = InProcessFederation.Train(new LearningTask("twin", "", spec, experiment.Schema), learners, TabularModel.Initial(spec, experiment.Schema), TestContext.Current.CancellationToken);
            foreach ((string _, ILocalLearner learner) in learners) learner.Dispose();
            return model;
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
