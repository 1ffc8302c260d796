using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Client;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Ledger;
using static System.FormattableString;

namespace Federation.Cli.Verbs;

/// <summary><c>fed node policy check</c>: what a run would cost this site, and whether it would take part. Joins nothing, sends nothing, records nothing.</summary>
internal static class PolicyVerb
{
    private static readonly Argument<string> Spec = new("SPEC") { Description = "The run's spec, as the operator would submit it; its schema and initial model beside it." };

    public static Verb Create(params IEnumerable<Symbol> options) => new Verb("policy", "What this site agrees to.", "fed node policy check run.yaml --config node.yaml")
        .With(new Verb("check", "Say in words what a run would cost this site and whether its policy and budgets allow it. Exit code 1 if they do not.", "fed node policy check run.yaml --config node.yaml", "node-policy-check")
            .With([Spec, .. options]).Does(invocation => CheckAsync(invocation, NodeVerbs.Configuration(invocation))));

    private static Task<int> CheckAsync(Invocation invocation, NodeConfiguration configuration)
    {
        var submission = Submission.Prepare(invocation.Get(Spec));
        DataSchema? schema = submission.SchemaYaml.Length == 0 ? null : DataSchema.Parse(submission.SchemaYaml, submission.Spec.Data!.Schema);
        var task = new LearningTask(submission.Spec.Name, "this-site", submission.Spec, schema);
        string dataSet = schema?.Name ?? NodeLedgers.OwnDataSetOf(configuration);
        DataSource? source = configuration.Data.FirstOrDefault(source => source.Id == dataSet);
        RunForecast forecast = Forecast(configuration, task, submission.Initial is { } initial ? UpdateShape.Charged(submission.Spec, initial.Header) : 0, dataSet, source);
        if (source is null && schema is not null) forecast = forecast with { Refusals = [.. forecast.Refusals, $"This node has no data set '{dataSet}'."] };
        if (NodeLedgers.AmbiguityOf(configuration, schema) is { } ambiguous) forecast = forecast with { Refusals = [.. forecast.Refusals, ambiguous] };
        if (configuration.Role == NodeRole.Evaluator) forecast = forecast with { Refusals = [.. forecast.Refusals, "This node is an evaluator: it trains in no run."] };
        if (configuration.Policy.Approval is { } approval) forecast = forecast with { Refusals = [.. forecast.Refusals, .. approval.Unlisted(submission.SpecSha256, submission.Initial?.Sha256 ?? "")] };
        PolicyAnswer answer = Answer(forecast, submission, configuration.Policy);
        invocation.Output.Result(answer, Lines(answer, forecast));
        return Task.FromResult(answer.Accepted ? ExitCode.Done : ExitCode.Failed);
    }

    /// <summary>By the ledger that the node would charge; by an empty one where it has not been opened yet.</summary>
    private static RunForecast Forecast(NodeConfiguration configuration, LearningTask task, int values, string dataSet, DataSource? source)
    {
        string path = NodeLedgers.PathOf(configuration, source);
        bool exists = NodeLedgers.Exists(path, dataSet);
        DirectoryInfo? empty = exists ? null : Directory.CreateTempSubdirectory("fed-policy");
        try
        {
            using PrivacyLedger ledger = PrivacyLedger.Open(exists ? path : Path.Combine(empty!.FullName, NodeFolder.LedgerName), dataSet, NodeLedgers.TermsOf(source), TimeProvider.System);
            return RunForecast.Of(task, values, dataSet, configuration.Policy, ledger, NodeLedgers.BudgetOf(configuration, source) ?? ledger.Budget, source?.Person);
        }
        finally
        {
            empty?.Delete(recursive: true);
        }
    }

    private static PolicyAnswer Answer(RunForecast forecast, Submission submission, NodePolicy policy)
    {
        RunSpec spec = forecast.Task.Spec;
        PrivacySpec? privacy = spec.Privacy;
        double? sigma = privacy is null || !double.IsFinite(forecast.Epsilon) ? null : spec.Sigma;
        return new(
            spec.Name, forecast.DataSet, forecast.Refusals.Count == 0, forecast.Refusals, spec.Rounds, forecast.AllowedRounds, privacy?.UnitName, privacy?.Noise.ToString().ToLowerInvariant(), sigma,
            forecast.Delta, forecast.Epsilon, forecast.EpsilonCharged, forecast.EpsilonOutside, forecast.Budget is { } budget ? new(budget.Epsilon, budget.Delta) : null, forecast.Spent, forecast.After)
        {
            SpecSha256 = submission.SpecSha256,
            InitialModelSha256 = submission.Initial?.Sha256,
            Signatures = ApprovalNeeds.Of(policy.Approval),
        };
    }

    private static string Names(IEnumerable<KeyEntry> keys) => string.Join(", ", keys.Select(key => $"'{key.Name}' (key {Text.Short(key.KeySha256)}…)"));

    private static IEnumerable<string> Lines(PolicyAnswer answer, RunForecast forecast)
    {
        RunSpec spec = forecast.Task.Spec;
        yield return $"Run '{answer.Run}' on this site's data set '{answer.DataSet}'";
        yield return spec.Statistics is not null ? $"It asks for sums of this site's table."
            : Invariant($"It trains a model of kind {spec.Model.Kind.ToString().ToLowerInvariant()} for {Text.Count((ulong)spec.Rounds, "round")}; each round one update leaves this site.");
        yield return spec.SecureAggregation is null ? "The coordinator sees this site's updates: the run has no secure aggregation."
            : Invariant($"What leaves is encrypted, and opened only in sums of {spec.Cohort.MinContributors} or more sites.");
        if (double.IsFinite(answer.Epsilon) || spec.Privacy is null || answer.AllowedRounds > 0) yield return forecast.Cost;
        if (answer.Budget is { } budget)
        {
            yield return Invariant($"Budget: ε = {budget.Epsilon:G6} at δ = {budget.Delta:G3}; spent {answer.Spent:G4}, after the run {answer.After:G4}.");
            if (answer.Accepted && answer.AllowedRounds < answer.Rounds) yield return Invariant($"It allows {answer.AllowedRounds} of the {answer.Rounds} rounds: this site would stop by itself, and the run go on without it.");
        }
        else
        {
            yield return "There is no budget on the data set: its ledger only counts.";
        }

        yield return $"Spec sha256:{answer.SpecSha256}{(answer.InitialModelSha256 is { } model ? $", initial model sha256:{model}" : "")}";
        if (answer.Signatures.Submitters is { } submitters) yield return $"It has to be submitted by {Names(submitters)}.";
        if (answer.Signatures.CosignersRequired > 0) yield return $"It has to be co-signed by {answer.Signatures.CosignersRequired} of {Names(answer.Signatures.Cosigners)}; until then this site waits.";
        yield return answer.Accepted ? "Accepted: this site would take part." : "Refused: this site would not take part.";
        foreach (string reason in answer.Refusals) yield return "  " + reason;
    }
}
