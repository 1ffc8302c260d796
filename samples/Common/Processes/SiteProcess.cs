using System.Text.Json;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Auditing;
using Federation.Learning.Data;
using Federation.Learning.Evaluation;
using Federation.Learning.Models;
using Federation.Privacy.Ledger;
using Federation.Privacy.Reporting;
using Federation.Samples.Data;
using Federation.Samples.Training;
using Microsoft.Extensions.Logging.Abstractions;
using TorchSharp;

namespace Federation.Samples.Processes;

/// <param name="Label">1: the class that is predicted.</param>
/// <param name="Federated">Its probability by the federated model.</param>
/// <param name="Local">Its probability by the model trained on this site's rows alone.</param>
public sealed record TestRow(int Label, double Federated, double Local);

/// <summary>What a site writes into its own folder, for the sample that plays all parties. The coordinator never sees it.</summary>
/// <param name="Epsilon">What the site's ledger says was spent on each record, with what abandoned rounds had cost; null: without bound.</param>
/// <param name="EpsilonOutside">The same, against those who know no part of a shared noise.</param>
/// <param name="LowerBound">What an attack on a rehearsal of the run shows that ε is at least, with 95 % confidence; null: the run claims nothing that can be attacked.</param>
public sealed record SiteResult(IReadOnlyList<TestRow> Rows, IReadOnlyList<LocalMetricsLine> History, double? Epsilon, double? EpsilonOutside, double? LowerBound);

/// <summary>The hidden verb <c>site NAME FOLDER DATASET COORDINATOR</c>: enrols, takes part in one run, compares with a model of its own rows alone, audits its privacy and writes what its privacy officer files.</summary>
internal static class SiteProcess
{
    /// <summary>Files of the site's folder, beside its table: the invitation, its policy, the spec of its own model, the result, the privacy report.</summary>
    public const string Verb = "site", TokenFile = "token", PolicyFile = "policy.yaml", OpenSpecFile = "open.yaml", ResultFile = "result.json", PrivacyReportFile = "privacy-report.html";

    public static async Task<int> RunAsync(string name, string folder, string dataSet, string coordinator)
    {
        CancellationToken parentGone = ChildProcess.ParentGone();
        TorchDevice.SetThreads(1);
        string state = Path.Combine(folder, "node");
        await NodeEnrolment.EnrollAsync(new Uri(coordinator), await File.ReadAllTextAsync(Path.Combine(folder, TokenFile), parentGone), state, parentGone);
        NodePolicy policy = NodePolicy.Load(Path.Combine(folder, PolicyFile));
        DataSource source = SiteTable.In(folder, dataSet) with { Budget = policy.Budget };
        var configuration = new NodeConfiguration { Coordinator = new Uri(coordinator), State = state, Data = [source], Policy = policy };
        using var learner = new TabularLearner([source], torch.CPU);
        NodeOutcome outcome = await FederatedNode.RunAsync(new NodeOptions { Configuration = configuration, ExitAfterRun = true }, learner, NullLoggerFactory.Instance, parentGone);
        if (outcome.State != "completed") throw new ChildFailedException($"The run {outcome.State}. {outcome.Reason}");
        RunSpec open = RunSpec.Load(Path.Combine(folder, OpenSpecFile));
        SiteResult result = Conclude(name, folder, source, new NodeFolder(state), outcome.RunId, open, learner, parentGone);
        await File.WriteAllTextAsync(Path.Combine(folder, ResultFile), JsonSerializer.Serialize(result), parentGone);
        return 0;
    }

    private static SiteResult Conclude(string name, string folder, DataSource source, NodeFolder node, string run, RunSpec open, TabularLearner learner, CancellationToken cancellationToken)
    {
        string runFolder = node.Run(run);
        RunSpec spec = RunSpec.Load(Path.Combine(runFolder, "spec.yaml"));
        DataSchema schema = DataSchema.Load(Path.Combine(runFolder, "schema.yaml"));
        ModelState federated = ModelState.Read(Path.Combine(runFolder, "model.safetensors"));
        ModelState local = InProcessFederation.Train(new LearningTask("local", name, open, schema), [(name, learner)], TabularModel.Initial(open, schema), cancellationToken);
        TabularDataSet data = TabularDataSet.Load(source, schema, spec.Data!, spec.Task!);
        Rows test = data.Test;
        IReadOnlyList<double[]> federatedScores = Prediction.Probabilities(federated, spec, schema, test), localScores = Prediction.Probabilities(local, open, schema, test);
        TestRow[] rows = [.. Enumerable.Range(0, test.Count).Select(i => new TestRow(test.Labels[i], federatedScores[i][1], localScores[i][1]))];
        var report = PrivacyReport.Of(LedgerVerification.Of(node.Ledger, source.Id), spec.Privacy?.Delta ?? PrivacyBudget.UsualDelta, TimeProvider.System.GetUtcNow());
        File.WriteAllText(Path.Combine(folder, PrivacyReportFile), PrivacyReportPage.Html(report));
        bool isPrivate = spec.Privacy is { InsecureSeededNoise: false }; // else there is no claim to attack
        double? lowerBound = isPrivate ? SiteAudit.LowerBound(spec, schema, name, data, cancellationToken: cancellationToken) : null;
        return new SiteResult(rows, LocalMetrics.Read(runFolder), isPrivate ? report.Epsilon : null, isPrivate ? report.EpsilonOutside : null, lowerBound);
    }
}
