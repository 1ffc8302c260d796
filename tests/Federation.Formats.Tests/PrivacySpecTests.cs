using Federation.Formats.Runs;
using Federation.Privacy.Accounting;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Tests;

public sealed class PrivacySpecTests
{
    public const string Good = """
        name: heart-disease
        data: { schema: heart-disease.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 50
        seed: 42
        cohort: { sites: all, minContributors: 4, deadline: 10m }
        local: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 16 }
        secureAggregation: threshold-bfv
        privacy: { mechanism: dp-sgd, unit: record, noise: shared, clip: 1.5, noiseMultiplier: auto, samplingRate: 0.1, delta: 1e-5, maxEpsilon: 3 }
        """;

    public const string Site = """
        name: many-sites
        data: { schema: heart-disease.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 50
        seed: 42
        cohort: { sites: all, minContributors: 40, deadline: 10m }
        local: { optimizer: { kind: adam, learningRate: 0.5 }, batchSize: 16, epochs: 2 }
        privacy: { unit: site, noise: shared, clip: 1.5, adaptiveClip: { quantile: 0.5, learningRate: 0.2 }, noiseMultiplier: auto, delta: 1e-5, maxEpsilon: 8, maxColluding: 4 }
        """;

    public const string Central = """
        name: many-sites
        data: { schema: heart-disease.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 50
        seed: 42
        cohort: { sites: all, minContributors: 40, deadline: 10m }
        local: { optimizer: { kind: adam, learningRate: 0.5 }, batchSize: 16, epochs: 2 }
        secureAggregation: none
        privacy: { unit: site, noise: central, clip: 1.5, adaptiveClip: { quantile: 0.5, learningRate: 0.2 }, noiseMultiplier: auto, delta: 1e-5, maxEpsilon: 8 }
        """;

    private const string Own = "noise: own, steps: 20";

    [Theory] // else its own sites would refuse it: rounding and grid count as much as a large model makes of them
    [InlineData(Good, 25_000_000)]
    [InlineData(Site, 1_000_000)] // beyond, the chance that a value leaves the range counts, times e^8
    [InlineData(Central, 25_000_000)]
    public void Auto_OfAnyModel_KeepsTheEpsilonOfTheSpec(string yaml, int largest)
    {
        RunSpec run = RunSpec.Parse(yaml, "x");
        foreach (int values in new[] { 10, 300_000, largest })
        {
            double epsilon = PrivacyCost.Epsilon(PrivacyCost.OfUnit(run, null, values, run.Cohort.MinContributors, run.Rounds, outside: false), run.Privacy!.Delta);
            Assert.InRange(epsilon, 0.98 * run.Privacy.MaxEpsilon!.Value, run.Privacy.MaxEpsilon.Value);
        }
    }

    [Theory] // few bits: the noise makes up for rounding as long as that does not double it, however near
    [InlineData(3)]
    [InlineData(8)]
    public void Auto_WithACoarseGrid_KeepsTheEpsilonOfTheSpec(int rounds)
    {
        string yaml = Site.Replace("minContributors: 40", "minContributors: 4").Replace(", maxColluding: 4", "").Replace("maxEpsilon: 8", "maxEpsilon: 1").Replace("rounds: 50", $"rounds: {rounds}").Replace("privacy:", "secureAggregation: { kind: threshold-bfv, bits: 14 }\nprivacy:");
        RunSpec run = RunSpec.Parse(yaml, "x");
        Assert.InRange(PrivacyCost.Epsilon(PrivacyCost.OfUnit(run, null, 1_000_000, 4, rounds, outside: false), 1e-5), 0.98, 1);
    }

    [Fact] // a grid that would drown the model: the true cost is charged, and the sites refuse it if it is too much
    public void Auto_WithAGridThatWouldDoubleTheNoise_CostsMore()
    {
        RunSpec run = RunSpec.Parse(Good.Replace("secureAggregation: threshold-bfv", "secureAggregation: { kind: threshold-bfv, bits: 14 }"), "x");
        Assert.True(PrivacyCost.Epsilon(PrivacyCost.OfUnit(run, null, 25_000_000, 4, run.Rounds, outside: false), 1e-5) > 3);
    }

    [Fact]
    public void Parse_EveryField_IsRead()
    {
        Assert.Equal(new PrivacySpec(DpUnit.Record, null, NoiseSource.Shared, 1.5, GradientClipping.Flat, null, 0.1, 1, 16, 1e-5, 3, 1), RunSpec.Parse(Good, "x").Privacy);
        string own = Good.Replace("noise: shared", Own).Replace("unit: record", "unit: person, key: patient, maxUnitRecords: 4").Replace("auto", "2.5").Replace(", maxEpsilon: 3", ", clipping: automatic");
        Assert.Equal(new PrivacySpec(DpUnit.Person, "patient", NoiseSource.Own, 1.5, GradientClipping.Automatic, 2.5, 0.1, 20, 4, 1e-5, null, 0), RunSpec.Parse(own, "x").Privacy);
        Assert.Null(RunSpec.Parse(Good[..Good.IndexOf("privacy", StringComparison.Ordinal)] + "privacy: none", "x").Privacy);
    }

    [Theory]
    [InlineData("privacy:", "# privacy:", "privacy", "privacy: none")] // nobody trains without by forgetting it
    [InlineData("clip: 1.5", "clip: 0", "privacy.clip", "(0, 1000000]")]
    [InlineData("clip: 1.5", "clip: .nan", "privacy.clip", "(0, 1000000]")]
    [InlineData("clip: 1.5", "clp: 1.5", "privacy.clp", "Did you mean 'clip'?")]
    [InlineData("auto", "atuo", "privacy.noiseMultiplier", "or auto")]
    [InlineData(", maxEpsilon: 3", "", "privacy.maxEpsilon", "missing")]
    [InlineData("samplingRate: 0.1, ", "", "privacy.samplingRate", "missing")]
    [InlineData("samplingRate: 0.1", "samplingRate: 1.1", "privacy.samplingRate", "(0, 1]")]
    [InlineData("delta: 1e-5", "delta: 0", "privacy.delta", "(0, 0.1]")]
    [InlineData("unit: record", "unit: record, key: patient", "privacy.key", "unit: person")]
    [InlineData("unit: record", "unit: person", "privacy.key", "missing")]
    [InlineData("delta: 1e-5", "delta: 1e-5, insecureSeededNoise: yes", "privacy.insecureSeededNoise", "true")]
    [InlineData("noise: shared", "noise: own", "privacy.steps", "missing")]
    [InlineData("noise: shared", "noise: shared, steps: 2", "privacy.steps", "1 to 1")]
    [InlineData("noise: shared", "noise: own, steps: 2, maxColluding: 1", "privacy.maxColluding", "noise: shared")]
    [InlineData("noise: shared", "noise: central, steps: 1", "privacy.noise", "unit: site")]
    [InlineData("noise: shared", "noise: shared, maxColluding: 3", "privacy.maxColluding", "0 to 2")]
    [InlineData("secureAggregation: threshold-bfv", "secureAggregation: none", "privacy.noise", "too little noise")]
    [InlineData("kind: sgd, learningRate: 0.5", "kind: adam, learningRate: 0.5", "local", "one step on the opened sum")]
    [InlineData("batchSize: 16", "batchSize: 16, proximal: 0.1", "local", "which starts there")]
    [InlineData("batchSize: 16", "batchSize: 16, epochs: 1", "local", "no epochs")]
    [InlineData("schema: heart-disease.schema.yaml", "schema: heart-disease.schema.yaml, scaling: per-site", "data", "public-ranges")]
    [InlineData("rounds: 50", "rounds: 50\nevaluate: { every: 1 }", "evaluate", "noiseMultiplier is missing")]
    [InlineData("rounds: 50", "rounds: 50\nevaluate: { every: 1, noiseMultiplier: 5, metrics: [accuracy, brier] }", "evaluate", "'brier'")]
    [InlineData("rounds: 50", "rounds: 50\nevaluate: { every: 1, noiseMultiplier: 0 }", "evaluate.noiseMultiplier", "(0, 1000000]")]
    public void Parse_OneMistake_NamesFieldAndRepair(string right, string wrong, string field, string says) => AssertRefused(Good.Replace(right, wrong), field, says);

    [Fact]
    public void Parse_ASiteAsTheUnit_IsRead()
    {
        Assert.Equal(new PrivacySpec(DpUnit.Site, null, NoiseSource.Shared, 1.5, GradientClipping.Flat, null, 1, 1, 1, 1e-5, 8, 4, new(0.5, 0.2)), RunSpec.Parse(Site, "x").Privacy);
        Assert.Null(RunSpec.Parse(Site.Replace("adaptiveClip: { quantile: 0.5, learningRate: 0.2 }, ", ""), "x").Privacy!.AdaptiveClip);
    }

    [Theory]
    [InlineData("delta: 1e-5", "delta: 1e-5, samplingRate: 0.1", "privacy.samplingRate", "units within a site")]
    [InlineData("delta: 1e-5", "delta: 1e-5, clipping: flat", "privacy.clipping", "units within a site")]
    [InlineData("noise: shared", "noise: own", "privacy.noise", "shared")]
    [InlineData("quantile: 0.5", "quantile: 2", "privacy.adaptiveClip.quantile", "[0, 1]")]
    [InlineData("quantile: 0.5", "quantil: 0.5", "privacy.adaptiveClip.quantil", "Did you mean 'quantile'?")]
    [InlineData("rounds: 50", "rounds: 50\nevaluate: { every: 5, noiseMultiplier: 3 }", "evaluate", "evaluator")]
    [InlineData("seed: 42", "seed: 42\nsecureAggregation: none", "privacy.unit", "the coordinator would see")]
    public void Parse_OneMistakeOfASite_NamesFieldAndRepair(string right, string wrong, string field, string says) => AssertRefused(Site.Replace(right, wrong), field, says);

    [Fact]
    public void Parse_NoiseOfTheCoordinators_IsRead()
    {
        Assert.Equal(new PrivacySpec(DpUnit.Site, null, NoiseSource.Central, 1.5, GradientClipping.Flat, null, 1, 1, 1, 1e-5, 8, 0, new(0.5, 0.2)), RunSpec.Parse(Central, "x").Privacy);
        Assert.True(RunSpec.Parse(Central.Replace("adaptiveClip: { quantile: 0.5, learningRate: 0.2 }, ", "").Replace("auto", "1"), "x").Privacy is { IsCentral: true, AdaptiveClip: null, NoiseMultiplier: 1 });
    }

    [Theory]
    [InlineData("secureAggregation: none", "secureAggregation: threshold-bfv", "privacy.noise", "sees no update that it could clip")]
    [InlineData("secureAggregation: none\n", "", "privacy.noise", "secureAggregation: none")] // it is there unless the spec says otherwise
    [InlineData("noise: central", "noise: shared", "privacy.unit", "noise: central")]
    [InlineData("noise: central, ", "", "privacy.unit", "noise: central")] // never by default
    [InlineData("noise: central", "noise: own", "privacy.noise", "leaves nothing of it")]
    [InlineData("noise: central", "noise: centrl", "privacy.noise", "Did you mean 'central'?")]
    [InlineData("delta: 1e-5", "delta: 1e-5, maxColluding: 0", "privacy.maxColluding", "whoever contributes")]
    [InlineData("delta: 1e-5", "delta: 1e-5, steps: 2", "privacy.steps", "units within a site")]
    [InlineData("delta: 1e-5", "delta: 1e-5, insecureSeededNoise: true", "privacy.insecureSeededNoise", "draws that anew")]
    [InlineData("auto", "1e-7", "privacy.noiseMultiplier", "counts as none")]
    [InlineData("seed: 42", "seed: 42\nevaluate: { every: 5 }", "evaluate", "evaluator")]
    public void Parse_OneMistakeWithTheCoordinatorsNoise_NamesFieldAndRepair(string right, string wrong, string field, string says) => AssertRefused(Central.Replace(right, wrong), field, says);

    [Theory] // what is opened costs no more than the spec allows, at every size of model, and not much less
    [InlineData(14)]
    [InlineData(8000)]
    [InlineData(200_000)]
    public void Sigma_Auto_KeepsTheEpsilonOfAllRounds(int values)
    {
        RunSpec run = RunSpec.Parse(Good, "x");
        UpdateEncoding encoding = SecureEncoding.Of(run, values, 10);
        Assert.Equal(0.5 / 16 * 1.5 * (1 + (1.0 / 65536)), encoding.UnitClip!.Value, 1e-15);
        PrivacyEvent inside = encoding.Event(4 - 1, new SamplingRate(0.1)), outside = encoding.Event(4, new SamplingRate(0.1));
        Assert.InRange(Epsilon(inside), 2.97, 3);
        Assert.InRange(Epsilon(outside), 1, 2.6);

        double Epsilon(PrivacyEvent one) => new PldAccountant().AtDelta([new RepeatedEvent(one, run.Rounds)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
    }

    [Fact]
    public void Sigma_Auto_HasFourDigits()
    {
        double sigma = RunSpec.Parse(Good, "x").Sigma;
        Assert.Equal(sigma, Math.Round(sigma, 3));
        Assert.Equal(7.5, RunSpec.Parse(Good.Replace("auto", "7.5"), "x").Sigma);
    }

    private static void AssertRefused(string yaml, string field, string says)
    {
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml"));
        Problem problem = Assert.Single(error.Problems, problem => problem.Field == field);
        Assert.Contains(says, $"{problem.Message} {problem.Repair}", StringComparison.Ordinal);
    }
}
