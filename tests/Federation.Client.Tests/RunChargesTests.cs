using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.SecureAggregation;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Client.Tests;

/// <summary>A run that no ε bounds has as many rounds at a site as its spec says and as may have to be repeated, whatever the coordinator asks for.</summary>
public sealed class RunChargesTests : IDisposable
{
    private const string Seeded = "{ unit: record, noise: own, steps: 1, clip: 1, samplingRate: 0.5, delta: 1e-5, noiseMultiplier: 1, insecureSeededNoise: true }";
    private static readonly DataSchema s_schema = DataSchema.Parse("name: s\ncolumns:\n  - { name: x, kind: number, unit: none, range: [0, 1] }\n  - { name: y, kind: label, categories: [0, 1] }\n", "schema.yaml");
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory] // 3 more, or a tenth
    [InlineData(3, "fedavg", "none", 6)]
    [InlineData(100, "fedavg", "none", 110)]
    [InlineData(3, "fedbuff, buffer: 3", "none", 6)]
    [InlineData(3, "fedavg", Seeded, 6)]
    public void Reserve_OfARunWithoutPrivacy_EndsWithItsRounds(int rounds, string strategy, string privacy, int most)
    {
        LearningTask task = Task("one", rounds, strategy, privacy);
        for (int round = 1; round <= most; round++) Reserve(task, round);
        Assert.Contains($"for {most} rounds, and {most} are the most; round {most + 1} gets none. The run's spec says {rounds} rounds", Refused(task, most + 1), StringComparison.Ordinal);
        Reserve(task, 2); // that it died in
        Reserve(Task("two", rounds, strategy, privacy), most + 1);
    }

    [Fact] // it need not be another round each time
    public void Reserve_OneRoundAgainAndAgain_EndsToo()
    {
        LearningTask task = Task("one", 3, "fedavg", "none");
        for (int time = 0; time < 12; time++) Reserve(task, 1 + (time % 2));
        Assert.Contains("12 times, which is 2 for each of 6 rounds; round 1 gets no other", Refused(task, 1), StringComparison.Ordinal);
    }

    [Fact] // 9 rounds, every fourth and the last: 3, and 3 more
    public void Reserve_OfEvaluations_EndsWithThoseOfTheSpec()
    {
        LearningTask task = Task("one", 9, "fedavg", "none", "\nevaluate: { every: 4 }");
        for (int round = 1; round <= 6; round++) Reserve(task, round, Opening.Evaluation);
        Assert.Contains("'evaluation' of 's' for 6 rounds", Refused(task, 7, Opening.Evaluation), StringComparison.Ordinal);
        Reserve(task, 7);
    }

    [Fact]
    public void Reserve_OfStatistics_EndsAfterOneOpeningAndThreeMore()
    {
        const string spec = "name: statistics\ndata: { schema: s }\nstatistics: { columns: [x], bins: 5 }\ncohort: { sites: all, minContributors: 3, deadline: 60s }\n";
        var task = new LearningTask("one", "a", RunSpec.Parse(spec, "x"), s_schema);
        for (int round = 1; round <= 4; round++) Reserve(task, round, "statistics:x");
        Refused(task, 5, "statistics:x");
    }

    // By another process each time.
    private void Reserve(LearningTask task, int round, string purpose = Opening.Update)
    {
        var configuration = new NodeConfiguration { Coordinator = new Uri("https://localhost:1"), State = _folder.Path, Data = [new DataSource("s", "s.csv")], Policy = new NodePolicy(AllowStatistics: true, AllowInsecureSeededNoise: true) };
        using var ledgers = new NodeLedgers(configuration, acceptLoss: false, TimeProvider.System, NullLogger.Instance);
        new RunCharges(ledgers, NullLogger.Instance).Reserve(task, 1, round, purpose, _ => new NonPrivateEvent());
    }

    private string Refused(LearningTask task, int round, string purpose = Opening.Update)
    {
        ProtocolException refused = Assert.Throws<ProtocolException>(() => Reserve(task, round, purpose));
        Assert.Equal(Refusal.BelowPolicy, refused.Reason);
        return refused.Message;
    }

    private static LearningTask Task(string run, int rounds, string strategy, string privacy, string extra = "") => new(run, "a", RunSpec.Parse($$"""
        name: charged
        data: { schema: s }
        model: { kind: logistic }
        task: { kind: binary-classification, label: y }
        rounds: {{rounds}}
        seed: 1
        cohort: { sites: all, minContributors: 3, deadline: 60s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4{{(privacy == Seeded ? "" : ", epochs: 1")}} }
        strategy: { kind: {{strategy}} }
        privacy: {{privacy}}
        secureAggregation: none{{extra}}
        """, "spec.yaml"), s_schema);
}
