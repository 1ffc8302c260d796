using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Data;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Models;
using Federation.Learning.Training;
using Federation.Privacy.Auditing;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Auditing;

/// <summary>
/// A rehearsal of a private run on a site's own machine and table, attacked: what the attacks show is a lower bound on ε beside the accountant's upper bound. The trainer, its sampling, clipping and noise are those of real runs. It releases nothing; what it returns is private, like the table.
/// On one core a model of some weights over 50 rounds takes 3 s, with <see cref="TorchDevice.SetThreads"/> at 1.
/// A lower bound above the upper one shows that the claim is false. One below it shows nothing about attacks that were not tried.
/// </summary>
public static class SiteAudit
{
    /// <summary>As many as show most for a small model in a few seconds.</summary>
    public const int DefaultCanaries = 1000;

    /// <summary>Fewer show nothing.</summary>
    public const int LeastCanaries = 16, MostCanaries = 100_000;

    /// <summary>One run with canaries, each in or out by a fair coin, and the attacker who sees every noisy sum and knows all but the coins, the sampling and the noise.</summary>
    /// <param name="task">Its spec must have differential privacy, its unit be a record.</param>
    /// <param name="initial">The run's initial model.</param>
    /// <param name="data">The site's table; its training rows are trained on.</param>
    /// <param name="canaries">m, in [16, 100,000].</param>
    /// <param name="confidence">Of all that the result says together: so often it holds at least.</param>
    /// <exception cref="InvalidInputException">The spec claims nothing that can be audited, or the canaries do not fit it.</exception>
    /// <exception cref="LearningException">The model cannot be trained.</exception>
    public static CanaryAudit OneRun(LearningTask task, ModelState initial, TabularDataSet data, int canaries = DefaultCanaries, double confidence = 0.95, CancellationToken cancellationToken = default) =>
        OneRun(task, task.Spec, initial, data, canaries, confidence, cancellationToken);

    /// <summary>The lower bound of <see cref="OneRun(LearningTask, ModelState, TabularDataSet, int, double, CancellationToken)"/> alone, at the spec's δ: for a report beside the ledger's figure.</summary>
    /// <param name="site">Its name.</param>
    /// <exception cref="InvalidInputException">The spec claims nothing that can be audited.</exception>
    public static double LowerBound(RunSpec spec, DataSchema schema, string site, TabularDataSet data, int canaries = DefaultCanaries, double confidence = 0.95, CancellationToken cancellationToken = default) =>
        OneRun(new("audit", site, spec, schema), TabularModel.Initial(spec, schema), data, canaries, confidence, cancellationToken).Bound.Epsilon;

    /// <param name="trained">What is done, where that is not what is claimed.</param>
    internal static CanaryAudit OneRun(LearningTask claimed, RunSpec trained, ModelState initial, TabularDataSet data, int canaries, double confidence, CancellationToken cancellationToken)
    {
        if (canaries is < LeastCanaries or > MostCanaries) throw new InvalidInputException(new Problem($"{canaries} canaries are not possible.", Field: "canaries", Repair: $"{LeastCanaries} to {MostCanaries} are right."));
        PrivacySpec privacy = PrivacyClaim.Claimed(claimed.Spec);
        using IDisposable scope = NewDisposeScope();
        using CanaryModule module = new(Module(claimed, initial), canaries, privacy);
        PrivacyClaim claim = PrivacyClaim.Of(claimed.Spec, initial.Tensors.Sum(tensor => tensor.Values.Length), canaries * module.Layers);
        using SecureRandom random = new();
        bool[] coins = [.. Enumerable.Range(0, canaries).Select(_ => random.NextUInt32() % 2 == 1)];
        int[] included = [.. Enumerable.Range(0, canaries).Where(canary => coins[canary])];
        var scores = new CanaryScores(canaries, module.Signal, claimed.Spec.Sigma, privacy.SamplingRate);
        int rows = data.Train.Count;
        Func<Tensor, Tensor> losses = module.Losses(RowLosses.Of(module, data.Train, Inputs(data.Train), IsBinary(claimed.Spec)), rows, included);
        Rehearsal.Run(module, PrivacyUnits.Records(rows + included.Length), losses, claimed with { Spec = trained }, [.. module.CanaryWeights], privacy.Clip, scores.Add, random, cancellationToken);
        return CanaryAudit.Of(claim, scores.Values, coins, confidence);
    }

    /// <summary>Many independent runs with one record that is in or out by a fair coin, and the attacker who sees the last model alone: a row of the table with the longest features and another label. A third of the runs are the attacker's shadow models, a third choose the threshold, a third give the bound.</summary>
    /// <param name="runs">At least 30.</param>
    /// <param name="done">Told after each run.</param>
    /// <inheritdoc cref="OneRun(LearningTask, ModelState, TabularDataSet, int, double, CancellationToken)"/>
    public static MembershipAudit Membership(LearningTask task, ModelState initial, TabularDataSet data, int runs, double confidence = 0.95, Action<int>? done = null, CancellationToken cancellationToken = default) =>
        Membership(task, task.Spec, initial, data, runs, confidence, done, cancellationToken);

    internal static MembershipAudit Membership(LearningTask claimed, RunSpec trained, ModelState initial, TabularDataSet data, int runs, double confidence, Action<int>? done, CancellationToken cancellationToken)
    {
        if (runs < MembershipAudit.LeastRuns) throw new InvalidInputException(new Problem($"{runs} runs are too few.", Field: "runs", Repair: $"At least {MembershipAudit.LeastRuns} are right."));
        PrivacyClaim claim = PrivacyClaim.Of(claimed.Spec, initial.Tensors.Sum(tensor => tensor.Values.Length), 0);
        using IDisposable scope = NewDisposeScope();
        using nn.Module<Tensor, Tensor> module = Module(claimed, initial);
        Rows rows = data.Train.Concat(TargetRecord.Of(data.Train, TabularDataSet.LabelOf(claimed.Schema!, claimed.Spec.Task!).Categories.Count));
        using SecureRandom random = new();
        Tensor inputs = Inputs(rows);
        Func<Tensor, Tensor> losses = RowLosses.Of(module, rows, inputs, IsBinary(claimed.Spec));
        (double Logit, bool Included)[] attacked = new (double, bool)[runs];
        for (int run = 0; run < runs; run++)
        {
            bool coin = random.NextUInt32() % 2 == 1;
            ModuleState.Load(module, initial);
            Rehearsal.Run(module, PrivacyUnits.Records(rows.Count - (coin ? 0 : 1)), losses, claimed with { Spec = trained }, [], 1, _ => { }, random, cancellationToken);
            attacked[run] = (MembershipAttack.LogitScaled(Confidence(losses, rows.Count - 1)), coin);
            done?.Invoke(run + 1);
        }

        return MembershipAudit.Of(claim, attacked, confidence);
    }

    /// <summary>The model's probability of a row's own label is e^(−loss).</summary>
    private static double Confidence(Func<Tensor, Tensor> losses, int row)
    {
        using IDisposable scope = NewDisposeScope(), off = no_grad();
        return Math.Clamp(Math.Exp(-losses(tensor(new[] { (long)row })).item<float>()), 0, 1);
    }

    private static nn.Module<Tensor, Tensor> Module(LearningTask task, ModelState initial)
    {
        if (task.Schema is null || task.Spec.Task is null) throw new InvalidInputException(new Problem("The run trains a custom model; only runs on tables can be audited here.", Field: "model.kind", Repair: "DpTrainer's own loop can be audited with OneRunAudit."));
        nn.Module<Tensor, Tensor> module = TabularModel.Create(task.Spec, task.Schema, 0);
        ModuleState.Load(module, initial);
        return module;
    }

    private static Tensor Inputs(Rows rows) => tensor(rows.Features, [rows.Count, rows.Width]);

    private static bool IsBinary(RunSpec spec) => spec.Task!.Kind == TaskKind.BinaryClassification;
}
