using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Privacy.Ledger;

namespace Federation.Formats.Tests;

/// <summary>A site's policy: as it is written, and what it refuses.</summary>
public sealed class PolicyTests : IDisposable
{
    public const string Good = """
        minContributors: 4
        maxColluding: 2
        maxOpenings: 100
        secureAggregation: required
        statistics: allowed
        insecureSeededNoise: refused
        contributorSets: apart
        runs: [heart-disease, "lung-*"]
        models: [logistic, mlp]
        columns: [age, chol, cp, disease]
        privacy: { unit: record, minNoiseMultiplier: 0.8, maxEpsilon: 3, maxDelta: 1e-5, noise: any }
        budget: { epsilon: 8, delta: 1e-5 }
        submitters: [ { name: Ann, key: "sha256:0000000000000000000000000000000000000000000000000000000000000000" } ]
        cosigners: { required: 1, keys: [ { name: Bob, key: "sha256:1111111111111111111111111111111111111111111111111111111111111111" } ] }
        approved: { specs: [ "sha256:2222222222222222222222222222222222222222222222222222222222222222" ], models: [] }
        """;

    private static readonly DataSchema s_schema = DataSchema.Parse("name: heart-disease\ncolumns:\n  - { name: age, kind: number, unit: years, range: [0, 99] }\n  - { name: chol, kind: number, unit: mg/dl, range: [0, 600] }\n  - { name: ward, kind: ignore }\n  - { name: disease, kind: label, categories: [0, 1] }", "schema.yaml");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Load_EveryField_IsRead()
    {
        NodePolicy policy = NodePolicy.Parse(Good, "policy.yaml");

        Assert.Equal((4, 2, 100, true, true), (policy.MinContributors, policy.MaxColluding, policy.MaxOpenings, policy.RequireSecureAggregation, policy.AllowStatistics));
        Assert.Equal(["heart-disease", "lung-*"], policy.Runs!);
        Assert.Equal([ModelKind.Logistic, ModelKind.Mlp], policy.Models!);
        Assert.Equal(["age", "chol", "cp", "disease"], policy.Columns!);
        Assert.Equal(new PrivacyPolicy(DpUnit.Record, 0.8, 3, 1e-5), policy.Privacy);
        Assert.Equal(new PrivacyBudget(8, 1e-5), policy.Budget);
        Assert.True(policy.KeepSetsApart && policy.ToCommittee().AreSetsApart);
    }

    [Theory]
    [InlineData("minNoiseMultiplier", "minNoiseMultipler", "privacy.minNoiseMultipler", "Did you mean 'minNoiseMultiplier'?")]
    [InlineData("maxEpsilon: 3", "maxEpsilon: 0", "privacy.maxEpsilon", "(0, 1000000]")]
    [InlineData("models: [logistic, mlp]", "models: [logistik]", "models", "Did you mean 'logistic'?")]
    [InlineData("lung-*", "Lung", "runs", "a *")]
    [InlineData("epsilon: 8, ", "", "budget.epsilon", "missing")]
    [InlineData("noise: any", "noise: shared", "privacy.noise", "own")]
    [InlineData("minContributors: 4", "minContributors: 2", "minContributors", "3 to")]
    public void Load_OneMistake_NamesFileLineFieldAndRepair(string right, string wrong, string field, string says)
    {
        string node = _folder.Write("node.yaml", "coordinator: https://h\npolicy: policy.yaml"), path = _folder.Write("policy.yaml", Good.Replace(right, wrong, StringComparison.Ordinal));
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => NodeConfiguration.Load(node)).Problems);
        Assert.Equal((path, field), (problem.File, problem.Field));
        Assert.True(problem.Line > 0);
        Assert.Contains(says, $"{problem.Message} {problem.Repair}", StringComparison.Ordinal);
    }

    [Fact]
    public void Node_NamesAPolicyFile_TakesItsBudgetWhereTheDataSetHasNone()
    {
        _folder.Write("policy.yaml", Good);
        var node = NodeConfiguration.Load(_folder.Write("node.yaml", "coordinator: https://h\npolicy: policy.yaml\ndata: [ { id: a, path: a.csv }, { id: b, path: b.csv, budget: { epsilon: 1, delta: 1e-6 } } ]"));

        Assert.Equal(4, node.Policy.MinContributors);
        Assert.Equal([new PrivacyBudget(8, 1e-5), new PrivacyBudget(1, 1e-6)], node.Data.Select(source => source.Budget!));
    }

    [Theory]
    [InlineData("", "")] // as it is: accepted
    [InlineData("name: heart-disease", "name: lung-2027")]
    [InlineData("name: heart-disease", "name: heart-disease-2", "named 'heart-disease-2'")]
    [InlineData("model: { kind: logistic }", "model: { kind: mlp, hidden: [4] }")]
    [InlineData("minContributors: 4", "minContributors: 3", "opens sums of 3 sites")]
    [InlineData("secureAggregation: threshold-bfv", "secureAggregation: { kind: threshold-bfv, maxOpenings: 200 }", "opens 200 sums")]
    [InlineData("auto", "0.79", "noise multiplier is 0.79")]
    [InlineData("maxEpsilon: 3", "maxEpsilon: 3.5", "may cost each record ε = 3.5")]
    [InlineData("auto, samplingRate: 0.1, delta: 1e-5, maxEpsilon: 3", "2.5, samplingRate: 0.1, delta: 1e-5", "names no maxEpsilon")]
    [InlineData("delta: 1e-5", "delta: 1e-4", "δ = 0.0001")]
    [InlineData("auto, samplingRate: 0.1, delta: 1e-5, maxEpsilon: 3", "auto, samplingRate: 0.0001, delta: 1e-5, maxEpsilon: 3", "noise multiplier is 0.")] // auto is held against it too
    public void Refusals_ForASpec(string right, string wrong, params string[] says)
    {
        string spec = right.Length == 0 ? PrivacySpecTests.Good : PrivacySpecTests.Good.Replace(right, wrong, StringComparison.Ordinal);
        IReadOnlyList<string> refusals = NodePolicy.Parse(Good, "policy.yaml").Refusals(RunSpec.Parse(spec, "run.yaml"), s_schema);
        Assert.Equal(says.Length, refusals.Count);
        foreach ((string sentence, string said) in refusals.Zip(says)) Assert.Contains(said, sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("columns: [age, chol, cp, disease]", "columns: [age, disease]", "uses 'chol'")]
    [InlineData("unit: record", "unit: person", "protects single records")]
    [InlineData("noise: any", "noise: own", "noise of one's own")]
    [InlineData("models: [logistic, mlp]", "models: mlp", "kind 'logistic'", "allows 'mlp'")]
    public void Refusals_OfAStricterPolicy(string right, string wrong, params string[] says)
    {
        string refusal = Assert.Single(NodePolicy.Parse(Good.Replace(right, wrong, StringComparison.Ordinal), "policy.yaml").Refusals(RunSpec.Parse(PrivacySpecTests.Good, "run.yaml"), s_schema));
        foreach (string said in says) Assert.Contains(said.Replace("kind 'logistic'", "kind logistic", StringComparison.Ordinal), refusal, StringComparison.Ordinal);
    }

    [Theory] // the coordinator sees the updates: nobody agrees to that by saying nothing
    [InlineData("secureAggregation: optional", "no differential privacy. 'privacy: { noise: central }'")]
    [InlineData("privacy: { noise: any }", "no differential privacy. 'privacy: { noise: central }'")]
    [InlineData("privacy: { noise: own }", "no differential privacy. 'privacy: { noise: central }'")]
    [InlineData("privacy: { noise: central }\nsecureAggregation: required", "asks for secure aggregation")]
    [InlineData("privacy: { noise: central, maxEpsilon: 3 }", "may cost each site ε = 8")]
    [InlineData("privacy: { noise: central }")]
    public void Refusals_OfTheCoordinatorsNoise(string policy, params string[] says)
    {
        IReadOnlyList<string> refusals = NodePolicy.Parse(policy, "policy.yaml").Refusals(RunSpec.Parse(PrivacySpecTests.Central, "run.yaml"), null);
        Assert.Equal(says.Length, refusals.Count);
        foreach ((string sentence, string said) in refusals.Zip(says)) Assert.Contains(said, sentence, StringComparison.Ordinal);
        // Whoever takes the coordinator's noise takes the sites' shared one too.
        if (says.Length == 0) Assert.Empty(NodePolicy.Parse(policy, "policy.yaml").Refusals(RunSpec.Parse(PrivacySpecTests.Site, "run.yaml"), null));
    }

    [Theory] // noise that everybody can take off is none, for every site
    [InlineData("statistics: allowed", "'insecureSeededNoise: allowed' in the policy")]
    [InlineData("privacy: { noise: any }", "'insecureSeededNoise: allowed' in the policy", "asks for differential privacy")]
    [InlineData("privacy: { noise: any }\ninsecureSeededNoise: allowed", "asks for differential privacy")]
    [InlineData("insecureSeededNoise: allowed")]
    public void Refusals_OfSeededNoise(string policy, params string[] says)
    {
        foreach (string spec in new[] { PrivacySpecTests.Good, PrivacySpecTests.Site })
        {
            IReadOnlyList<string> refusals = NodePolicy.Parse(policy, "policy.yaml").Refusals(RunSpec.Parse(spec.Replace("delta: 1e-5", "delta: 1e-5, insecureSeededNoise: true", StringComparison.Ordinal), "run.yaml"), null);
            Assert.Equal(says.Length, refusals.Count);
            foreach ((string sentence, string said) in refusals.Zip(says)) Assert.Contains(said, sentence, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Refusals_WithoutPrivacyOrSecureAggregation_SayBoth()
    {
        string spec = PrivacySpecTests.Good[..PrivacySpecTests.Good.IndexOf("secureAggregation", StringComparison.Ordinal)] + "secureAggregation: none\nprivacy: none";
        Assert.Collection(
            NodePolicy.Parse(Good, "policy.yaml").Refusals(RunSpec.Parse(spec, "run.yaml"), s_schema),
            secure => Assert.Contains("secure aggregation", secure, StringComparison.Ordinal),
            noise => Assert.Contains("differential privacy", noise, StringComparison.Ordinal));
        Assert.Empty(new NodePolicy().Refusals(RunSpec.Parse(spec, "run.yaml"), s_schema));
    }
}
