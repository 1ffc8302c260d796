using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary><c>fed node policy check</c>: what a run would cost, in words and in JSON, and no trace of having asked.</summary>
public sealed class PolicyVerbTests : IDisposable
{
    private const string Private = """
        name: demo
        data: { schema: demo.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 40
        seed: 42
        cohort: { sites: all, minContributors: 3, deadline: 1m }
        local: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 16 }
        privacy: { unit: record, noise: shared, clip: 1, noiseMultiplier: auto, samplingRate: 0.2, delta: 1e-5, maxEpsilon: 3 }
        """;

    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task Check_ARunThatFits_SaysWhatItCostsAndRecordsNothing()
    {
        FedResult answer = await CheckAsync(Private, "budget: { epsilon: 8, delta: 1e-5 }");

        Assert.Equal((0, ""), (answer.ExitCode, answer.Error));
        await OutputSchema.AssertValidAsync("node-policy-check", answer.Output);
        Assert.True(answer.Json.GetProperty("accepted").GetBoolean());
        Assert.InRange(answer.Json.GetProperty("epsilon").GetDouble(), 2.9, 3);
        Assert.InRange(answer.Json.GetProperty("epsilonOutside").GetDouble(), 1, 2.7);
        Assert.Equal(answer.Json.GetProperty("epsilon").GetDouble(), answer.Json.GetProperty("epsilonCharged").GetDouble());
        Assert.Equal("shared", answer.Json.GetProperty("noise").GetString());
        Assert.Equal(0, answer.Json.GetProperty("spent").GetDouble());
        Assert.Equal(answer.Json.GetProperty("epsilon").GetDouble(), answer.Json.GetProperty("after").GetDouble(), 1e-9);
        Assert.Equal(40, answer.Json.GetProperty("allowedRounds").GetInt32());
        Assert.False(Directory.Exists(_workspace["site"])); // no ledger, no key, no folder was made
        string[] words = (await CheckAsync(Private, "budget: { epsilon: 8, delta: 1e-5 }", json: false)).OutputLines;
        Assert.Contains(words, line => line.StartsWith("The run costs each record of 'demo' at most ε = 2.9", StringComparison.Ordinal) && line.Contains("against a coalition of up to 1 of the contributors; ε = ", StringComparison.Ordinal));
        Assert.Equal("Accepted: this site would take part.", words[^1]);
    }

    [Fact]
    public async Task Check_ABudgetForSomeRounds_SaysHowMany()
    {
        FedResult answer = await CheckAsync(Private, "budget: { epsilon: 1.5, delta: 1e-5 }");
        Assert.Equal(0, answer.ExitCode);
        Assert.InRange(answer.Json.GetProperty("allowedRounds").GetInt32(), 5, 35);
        Assert.InRange(answer.Json.GetProperty("after").GetDouble(), 1, 1.5);
    }

    [Theory]
    [InlineData(Private, "budget: { epsilon: 0.01, delta: 1e-5 }", "", "too small for one round")]
    [InlineData(Private, "", "policy: { columns: [age, disease] }", "uses 'chol', 'cp'")]
    [InlineData(Private, "", "policy: policy.yaml", "opens sums of 3 sites")]
    [InlineData(Workspace.Spec, "", "policy: { secureAggregation: required }", "asks for secure aggregation")]
    [InlineData(Workspace.Spec, "budget: { epsilon: 3, delta: 1e-5 }", "", "allows no release without noise")]
    public async Task Check_ARunThatIsRefused_SaysWhy(string spec, string budget, string policy, string says)
    {
        _workspace.Write("policy.yaml", "minContributors: 5\n");
        FedResult answer = await CheckAsync(spec, budget, policy);
        Assert.Equal(1, answer.ExitCode);
        await OutputSchema.AssertValidAsync("node-policy-check", answer.Output);
        Assert.Contains(says, Assert.Single(answer.Json.GetProperty("refusals").EnumerateArray()).GetString(), StringComparison.Ordinal);
        Assert.Contains("Refused: this site would not take part.", (await CheckAsync(spec, budget, policy, json: false)).OutputLines);
    }

    [Fact] // the words stand there whether the run is accepted or not
    public async Task Check_ARunWithTheCoordinatorsNoise_SaysThatItSeesTheUpdates()
    {
        string spec = Private[..Private.IndexOf("privacy:", StringComparison.Ordinal)] + "secureAggregation: none\nprivacy: { unit: site, noise: central, clip: 1, noiseMultiplier: auto, delta: 1e-5, maxEpsilon: 8 }\n";
        FedResult refused = await CheckAsync(spec, ""), accepted = await CheckAsync(spec, "", "policy: { privacy: { noise: central } }");
        Assert.Equal((1, 0), (refused.ExitCode, accepted.ExitCode));
        Assert.Contains("'privacy: { noise: central }'", Assert.Single(refused.Json.GetProperty("refusals").EnumerateArray()).GetString(), StringComparison.Ordinal);
        await OutputSchema.AssertValidAsync("node-policy-check", accepted.Output);
        Assert.InRange(accepted.Json.GetProperty("epsilon").GetDouble(), 7.9, 8);
        foreach (string policy in new[] { "", "policy: { privacy: { noise: central } }" })
        {
            Assert.Contains((await CheckAsync(spec, "", policy, json: false)).OutputLines, line => line.StartsWith("The run costs this site as a whole at most ε = 7.9", StringComparison.Ordinal) && line.Contains("against everybody who sees the models alone", StringComparison.Ordinal) && line.EndsWith("against the coordinator there is no differential privacy.", StringComparison.Ordinal));
        }
    }

    [Theory] // the spec's maxEpsilon is about the site, the policy's about a record, unless it says unit: site
    [InlineData("maxEpsilon: 8", "the ledger of 'demo' is charged ε = 19.1 for each record; this site's policy allows 8.")]
    [InlineData("maxEpsilon: 19", "or 'maxEpsilon: 20' in the policy's privacy")]
    [InlineData("maxEpsilon: 7", "may cost each site ε = 8")]
    [InlineData("maxEpsilon: 20", null)]
    [InlineData("unit: site, maxEpsilon: 8", null)]
    public async Task Check_ARunWithASiteAsTheUnit_HoldsThePolicyAgainstWhatTheLedgerIsCharged(string most, string? says)
    {
        string spec = Private[..Private.IndexOf("privacy:", StringComparison.Ordinal)] + "secureAggregation: none\nprivacy: { unit: site, noise: central, clip: 1, noiseMultiplier: auto, delta: 1e-5, maxEpsilon: 8 }\n";
        FedResult answer = await CheckAsync(spec, "", $"policy: {{ privacy: {{ noise: central, {most} }} }}");
        await OutputSchema.AssertValidAsync("node-policy-check", answer.Output);
        Assert.InRange(answer.Json.GetProperty("epsilonCharged").GetDouble(), 19, 19.2);
        Assert.Equal("central", answer.Json.GetProperty("noise").GetString());
        string?[] refusals = [.. answer.Json.GetProperty("refusals").EnumerateArray().Select(refusal => refusal.GetString())];
        if (says is null) Assert.Empty(refusals);
        else Assert.Contains(says, Assert.Single(refusals), StringComparison.Ordinal);
    }

    [Theory] // a policy about records counts the noise of a site's update half, and looks at evaluations too
    [InlineData("unit: record, noise: shared", "minNoiseMultiplier: 2", null)]
    [InlineData("unit: site, noise: shared", "minNoiseMultiplier: 2", "for single records is 1.5")]
    [InlineData("unit: site, noise: shared", "unit: site, minNoiseMultiplier: 2", null)]
    [InlineData("unit: record, noise: shared, evaluate", "minNoiseMultiplier: 2", "evaluations is 1.9")]
    public async Task Check_LeastNoise_IsThatOfARecord(string unit, string policy, string? says)
    {
        string spec = Private[..Private.IndexOf("privacy:", StringComparison.Ordinal)] + $"privacy: {{ {unit.Replace(", evaluate", "", StringComparison.Ordinal)}, clip: 1, noiseMultiplier: 3, {(unit.Contains("record", StringComparison.Ordinal) ? "samplingRate: 0.2, " : "")}delta: 1e-5 }}\n";
        spec = spec.Replace("rounds: 40", "rounds: 4", StringComparison.Ordinal);
        if (unit.EndsWith("evaluate", StringComparison.Ordinal)) spec += "evaluate: { every: 4, noiseMultiplier: 1.9 }\n";
        FedResult answer = await CheckAsync(spec, "", $"policy: {{ privacy: {{ {policy} }} }}");
        string?[] refusals = [.. answer.Json.GetProperty("refusals").EnumerateArray().Select(refusal => refusal.GetString())];
        if (says is null) Assert.Empty(refusals);
        else Assert.Contains(says, Assert.Single(refusals), StringComparison.Ordinal);
    }

    [Fact] // noise of which nothing can be shown is none
    public async Task Check_ARunOfUnlimitedCost_SaysSoAndIsRefusedByAPolicyForPrivacy()
    {
        string spec = Private.Replace("noiseMultiplier: auto", "noiseMultiplier: 0.001", StringComparison.Ordinal).Replace(", maxEpsilon: 3", "", StringComparison.Ordinal);
        FedResult free = await CheckAsync(spec, "", json: false), asked = await CheckAsync(spec, "", "policy: { privacy: { maxDelta: 1e-5 } }");
        Assert.Equal((0, 1), (free.ExitCode, asked.ExitCode));
        Assert.Contains(free.OutputLines, line => line.StartsWith("The run costs each record of 'demo' at most ε = ∞", StringComparison.Ordinal));
        Assert.Contains("no ε can be shown", Assert.Single(asked.Json.GetProperty("refusals").EnumerateArray()).GetString(), StringComparison.Ordinal);
    }

    [Theory] // a policy's budget is for every data set, also for the one that no entry names; and no run may choose which of several it charges
    [InlineData("", "allows no release without noise")]
    [InlineData(" { id: one, path: one.csv }, { id: two, path: two.csv } ", "cannot tell which one to charge")]
    public async Task Check_AModelOfOnesOwn_IsHeldAgainstThePolicysBudget(string data, string says)
    {
        _workspace.Write("run.yaml", "name: own\nmodel: { kind: custom, initial: own.safetensors }\nrounds: 2\nseed: 1\ncohort: { sites: all, minContributors: 3, deadline: 1m }\nlocal: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4, epochs: 1 }\nprivacy: none\n");
        new Federation.Formats.Models.ModelState([new("w", [2], [1, 2])]).Save(_workspace["own.safetensors"]);
        _workspace.Write("node.yaml", $"coordinator: https://127.0.0.1:8443\nstate: site\npolicy: {{ budget: {{ epsilon: 1, delta: 1e-5 }} }}\ndata: [{data}]\n");
        FedResult answer = await Fed.RunAsync(_workspace.Folder, ["node", "policy", "check", "run.yaml", "--config", "node.yaml", "--json"]);
        Assert.Equal(1, answer.ExitCode);
        Assert.Contains(answer.Json.GetProperty("refusals").EnumerateArray(), refusal => refusal.GetString()!.Contains(says, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Check_AMisspeltPolicy_NamesFileLineAndField()
    {
        _workspace.Write("policy.yaml", "minContributors: 5\nstatistic: allowed\n");
        FedResult answer = await CheckAsync(Private, "", "policy: policy.yaml");
        Assert.Equal(2, answer.ExitCode);
        JsonElement error = JsonDocument.Parse(answer.Error).RootElement.GetProperty("error");
        Assert.EndsWith("policy.yaml", error.GetProperty("file").GetString(), StringComparison.Ordinal);
        Assert.Equal((2, "statistic"), (error.GetProperty("line").GetInt32(), error.GetProperty("field").GetString()));
        Assert.Contains("statistics", error.GetProperty("repair").GetString(), StringComparison.Ordinal);
    }

    [Fact] // what is to stay at the sites is named as the model has it, or nothing is submitted
    public async Task Check_APersonalPatternThatFitsNoTensor_NamesTheLine()
    {
        FedResult answer = await CheckAsync(Private.Replace("noise: shared", "noise: own, steps: 1", StringComparison.Ordinal) + "\npersonal:\n  tensors: [linear.biass]", "", json: false);
        Assert.Equal(2, answer.ExitCode);
        Assert.Equal("error: run.yaml:11: personal.tensors: 'linear.biass' fits no tensor of the model, so what it means would be sent. Did you mean 'linear.bias'?", Assert.Single(answer.ErrorLines));
    }

    [Fact] // with its control variates, because that is what is signed and what round 1 starts from
    public async Task Check_ARunOfScaffold_NamesTheModelThatItStartsFrom()
    {
        string scaffold = Private[..Private.IndexOf("privacy:", StringComparison.Ordinal)] + "privacy: none\nstrategy: { kind: ";
        string[] models = [await ModelAsync("fedavg }"), await ModelAsync("scaffold }"), await ModelAsync("fednova }")];
        Assert.Equal(models[0], models[2]);
        Assert.NotEqual(models[0], models[1]);

        async Task<string> ModelAsync(string kind) => (await CheckAsync(scaffold + kind, "")).Json.GetProperty("initialModelSha256").GetString()!;
    }

    private Task<FedResult> CheckAsync(string spec, string budget, string policy = "", bool json = true)
    {
        _workspace.Write("run.yaml", spec);
        _workspace.Write("node.yaml", $"coordinator: https://127.0.0.1:8443\nstate: site\n{policy}\ndata: [ {{ id: demo, path: demo.csv{(budget.Length > 0 ? ", " + budget : "")} }} ]\n");
        return Fed.RunAsync(_workspace.Folder, ["node", "policy", "check", "run.yaml", "--config", "node.yaml", .. json ? ["--json"] : Array.Empty<string>()]);
    }
}
