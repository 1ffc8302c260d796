using System.Globalization;
using Federation.Client.SecureAggregation;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Protocol;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;
using LedgerHead = Federation.Privacy.Ledger.LedgerHead;
using Opening = Federation.Privacy.SecureAggregation.Opening;
using Refusal = Federation.Privacy.SecureAggregation.Refusal;

namespace Federation.Client;

/// <summary>Does one task at a time and reports what came of it. Whatever is released is reserved in the data set's ledger first.</summary>
/// <param name="charges">Null for an evaluator, whose test set is public.</param>
internal sealed class TaskWorker(Node.NodeClient client, NodeFolder folder, ILocalLearner learner, RunCharges? charges, CommitteeDuty duty, SecureContribution contribution, SiteStatistics statistics, AgreedRuns runs, NodeAudit audit, ILogger logger)
{
    private const string ModelFile = "model.safetensors", StatisticsFile = "statistics.json";
    private const long LargeModel = 64 << 20;
    private readonly SiteTraining _training = new(folder, learner, new OwnMeasurement(folder, learner, logger), logger);

    public Task DoAsync(NodeTask task, CancellationToken cancellationToken) => task.TaskCase switch
    {
        NodeTask.TaskOneofCase.CheckData => CheckAsync(task.CheckData, cancellationToken),
        NodeTask.TaskOneofCase.Train => TrainAsync(task.Train, cancellationToken),
        NodeTask.TaskOneofCase.Evaluate => EvaluateAsync(task.Evaluate, cancellationToken),
        NodeTask.TaskOneofCase.RunEnded => EndAsync(task.RunEnded, cancellationToken),
        NodeTask.TaskOneofCase.Epoch => duty.StepAsync(task.Epoch, cancellationToken),
        NodeTask.TaskOneofCase.Open => duty.OpenAsync(task.Open, cancellationToken),
        _ => Task.CompletedTask,
    };

    /// <summary>Tells the coordinator that a task will not be done, where it waits for an answer of this kind.</summary>
    public async Task GiveUpAsync(NodeTask task, string runId, int round, string reason, CancellationToken cancellationToken)
    {
        if (task.CheckData is not null) await client.ReportReadinessAsync(new ReadinessReport { RunId = runId, Mismatches = { reason } }, cancellationToken: cancellationToken);
        else if (task.Train is not null || task.Evaluate is not null) await FailAsync(runId, round, reason, cancellationToken);
    }

    private async Task CheckAsync(CheckData check, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> mismatches;
        string? inFull = null;
        bool waits = false;
        try
        {
            LearningTask task = runs.Read(check.Run);
            ModelState? initial = task.Spec.Statistics is null ? await LoadModelAsync(check.ModelSha256, cancellationToken) : null;
            // A run that this site would not pay for learns nothing of its table; a ledger is opened for no table that is not there.
            bool isKnown = charges?.Knows(task) == true;
            mismatches = isKnown ? Costs() : Fits();
            if (mismatches.Count == 0) mismatches = isKnown ? Fits() : Costs();
            // What this site refuses is not kept: no later task can begin it.
            if (mismatches.Count == 0) runs.Keep(check.Run);
            else runs.Forget(check.Run.RunId);
            if (mismatches.Count == 0 && learner.NotesOn(task) is [_, ..] notes) logger.LogWarning("Run {Run}:{NewLine}{Notes}", check.Run.RunId, Environment.NewLine, string.Join(Environment.NewLine, notes));

            IReadOnlyList<string> Fits()
            {
                if (initial is null) return statistics.Check(task);
                _ = UpdateShape.Of(task.Spec, initial.Header); // what is to stay at this site is in the model, or the run is refused
                return learner.Check(task, ModelControls.Weights(task.Spec, initial));
            }

            IReadOnlyList<string> Costs()
            {
                IReadOnlyList<string> beyond = charges?.Check(task, initial is null ? 0 : UpdateShape.Charged(task.Spec, initial.Header)) ?? [];
                if (beyond is [var first, ..]) audit.Refused(NodeAudit.Run, check.Run.RunId, 0, first);
                return beyond;
            }
        }
        catch (Exception error) when (error is InvalidInputException or LearningException or SafetensorsException or ProtocolException || IsPassing(error))
        {
            (mismatches, inFull, waits) = (SiteWords.Of(error), error.Message, error is ProtocolException { Reason: Refusal.AwaitsApproval });
            audit.Note(NodeAudit.Run, check.Run.RunId, 0, error);
        }

        if (mismatches.Count == 0) logger.LogInformation("Ready for run {Run}", check.Run.RunId);
        else logger.LogWarning("{Not} taking part in run {Run}:{NewLine}{Mismatches}", waits ? "Not yet" : "Not", check.Run.RunId, Environment.NewLine, inFull ?? string.Join(Environment.NewLine, mismatches));
        await client.ReportReadinessAsync(new ReadinessReport { RunId = check.Run.RunId, Mismatches = { mismatches }, AwaitsApproval = waits, Approvals = (uint)(check.Run.Submission?.Approvals.Count ?? 0) }, cancellationToken: cancellationToken);
    }

    private async Task TrainAsync(Train train, CancellationToken cancellationToken)
    {
        int round = (int)Math.Min(train.Round, int.MaxValue);
        if (runs.Find(train.RunId) is not { } task)
        {
            await FailAsync(train.RunId, round, "This node lost its record of the run; it is asked again.", cancellationToken, awaitsApproval: true);
            return;
        }

        try
        {
            runs.RequirePolicy(task);
            if (round == 1) runs.RequireModel(task, round, train.ModelSha256);
            PrivacyLedger ledger = charges!.LedgerOf(task);
            bool secure = task.Spec.SecureAggregation is not null;
            string purpose = SentUpdate.PurposeOf(task);
            if (secure && train.Secure is null) throw new ProtocolException(Refusal.AnotherOpening, "The coordinator asks for an update in the clear; the run's spec asks for secure aggregation.");
            string path = secure ? StoredUpdate.ContributionOf(folder, train.RunId, round) : StoredUpdate.PathOf(folder, train.RunId, round);
            StoredUpdate? stored = StoredUpdate.Find(path, train.ModelSha256);
            // Paid for in this very ledger, or not sent: the ledger may have been put back since.
            if (stored is not null && !ledger.Holds(stored.Reservation, train.RunId, round, purpose)) stored = null;
            // A coordinator that lost the round's end adds a second noise to the same update, and whoever sees both models has their mean: that is another release.
            if (stored is not null && task.Spec.Privacy is { IsCentral: true } && !ledger.IsOpen(stored.Reservation)) stored = null;
            StoredUpdate update = stored ?? await TrainAndStoreAsync(task, train, round, path, cancellationToken);
            LedgerHead head = ledger.Head;
            if (secure) contribution.Remember(train.RunId, round, purpose, update);
            long sent = await UpdateUpload.SendAsync(client, train.RunId, round, update, head, path, cancellationToken);
            if (ledger.IsOpen(update.Reservation)) ledger.Commit(update.Reservation, charges.Recipient, head, update.Sha256);
            StoredUpdate.DropBefore(folder, train.RunId, round);
            logger.LogInformation("{Message}", string.Create(CultureInfo.InvariantCulture, $"Round {round}: {SentUpdate.Words(task, update)}, sent {sent} bytes"));
        }
        catch (Exception error) when (error is LearningException or InvalidInputException or SafetensorsException or BudgetExceededException or ProtocolException or FormatException or ArgumentException or ArithmeticException or UpdateLayoutException or NonFiniteValueException || IsPassing(error))
        {
            logger.LogWarning("Round {Round}: {Message}", round, error.Message);
            audit.Note(NodeAudit.Training, train.RunId, round, error);
            await FailAsync(train.RunId, round, error, cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogWarning("Round {Round}: the update was refused. {Message} What it was charged in the ledger stays charged.", round, error.Status.Detail);
        }
    }

    /// <summary>The table's sums for the query, encrypted; made once and stored, like an update.</summary>
    private async Task<StoredUpdate> SumAndStoreAsync(LearningTask task, Train train, int round, string path, CancellationToken cancellationToken)
    {
        if (train.ModelSha256 != SiteStatistics.QueryOf(task).DataSha256) throw new ProtocolException(Refusal.AnotherOpening, "The coordinator asks for statistics under a hash that is not of the query and the version of the data that this site agreed to.");
        SiteRound secure = await contribution.CheckAsync(task, runs.SpecOf(train.RunId), runs.SchemaOf(train.RunId), train.Secure, SentUpdate.PurposeOf(task), round, train.ModelSha256, values: 0, cancellationToken);
        // The noise is drawn after it is paid for.
        long reservation = charges!.Reserve(task, 0, round, SentUpdate.PurposeOf(task), outside => PrivacyCost.OfStatistics(task.Spec, task.Schema!, outside));
        string header = await contribution.WriteAsync(path, secure, statistics.Sums(task), cancellationToken);
        return StoredUpdate.Save(folder, path, new StoredUpdate(train.ModelSha256, header, 0, 0, reservation));
    }

    private async Task<StoredUpdate> TrainAndStoreAsync(LearningTask task, Train train, int round, string path, CancellationToken cancellationToken)
    {
        if (task.Spec.Statistics is not null) return await SumAndStoreAsync(task, train, round, path, cancellationToken);
        ModelState model = train.Model.IsEmpty ? await LoadModelAsync(train.ModelSha256, cancellationToken) : Read(train.Model, train.ModelSha256);
        int values = UpdateShape.Of(task.Spec, model.Header).Values, charged = UpdateShape.Charged(task.Spec, model.Header);
        SiteRound? secure = train.Secure is null ? null : await contribution.CheckAsync(task, runs.SpecOf(train.RunId), runs.SchemaOf(train.RunId), train.Secure, Opening.Update, round, train.ModelSha256, values, cancellationToken);
        if (secure is not null) contribution.RequireNew(secure);
        _training.Measure(task, round - 1, train.ModelSha256, model, cancellationToken);
        int cohort = secure?.Descriptor.Cohort.Count ?? task.Spec.Cohort.MinContributors;
        // Before anything is drawn: a crash from here on wastes the round's part of the budget, and never spends less than was released.
        long reservation = charges!.Reserve(task, charged, round, SentUpdate.PurposeOf(task), outside => PrivacyCost.OfRound(task.Spec, charged, cohort, outside));
        TrainingResult result = _training.UpdateOf(task, round, model, train.CountedSha256, cancellationToken);
        if (secure is null)
        {
            _training.Keep(task, round, train.CountedSha256, result.WeightedDelta.Sha256, result.WeightedDelta);
            return StoredUpdate.Save(folder, path, train.ModelSha256, task.Spec.Privacy is { IsCentral: true } ? result.AsOne() : result, reservation);
        }

        WrittenUpdate written = await contribution.WriteAsync(path, secure, result, task, cancellationToken);
        if (written.Encoded.CutCoordinates > 0) logger.LogWarning("Round {Round}: {Count} values were beyond the cut of the spec and were cut", round, written.Encoded.CutCoordinates);
        _training.Keep(task, round, train.CountedSha256, written.Sha256, written.Counted ?? result.WeightedDelta);
        return StoredUpdate.Save(folder, path, new StoredUpdate(train.ModelSha256, written.Sha256, 0, result.Loss, reservation, written.Rounding));
    }

    /// <summary>A trouble of this moment: it costs the round, not the node.</summary>
    private static bool IsPassing(Exception error) => error is LedgerException { Fault: LedgerFault.Locked or LedgerFault.DiskFull } or SqliteException;

    private async Task EvaluateAsync(Evaluate evaluate, CancellationToken cancellationToken)
    {
        try
        {
            // A trainer evaluates only runs that it has agreed to; an evaluator's test set is public.
            if (charges is not null && !runs.Has(evaluate.Run.RunId)) throw new ProtocolException(Refusal.BelowPolicy, $"This site has not agreed to run {evaluate.Run.RunId}.");
            LearningTask task = runs.Agree(evaluate.Run);
            if (charges is not null && task.Spec.Evaluate is null) throw new ProtocolException(Refusal.AnotherOpening, "The coordinator asks for an evaluation, and the run's spec asks for none.");
            if (evaluate.Round == 0) runs.RequireModel(task, 0, evaluate.ModelSha256);
            if (charges is not null && task.Spec is { Privacy: not null } and not { SecureAggregation: not null, Evaluate.NoiseMultiplier: > 0 }) throw new ProtocolException(Refusal.BelowPolicy, "The run is differentially private, and its spec says no noise for sums over this site's test rows.");
            ModelState model = await LoadModelAsync(evaluate.ModelSha256, cancellationToken);
            int round = (int)Math.Min(evaluate.Round, int.MaxValue);
            Formats.Evaluation.EvaluationSums sums = learner.Evaluate(task with { Spec = task.Spec.At(round) }, _training.Own(task, model, round), cancellationToken);
            var report = new EvaluationReport { RunId = evaluate.Run.RunId, Round = evaluate.Round, ModelSha256 = evaluate.ModelSha256, Sums = sums.ToMessage() };
            if (charges is null) await client.ReportEvaluationAsync(report, cancellationToken: cancellationToken);
            else if (task.Spec.SecureAggregation is not null) await SendEncryptedAsync(task, evaluate, model, sums, cancellationToken);
            else await ReportAsync(task, report, cancellationToken);
            logger.LogInformation("Evaluated the model of round {Round} on {Examples} examples", evaluate.Round, sums.Examples);
        }
        catch (Exception error) when (error is LearningException or InvalidInputException or SafetensorsException or BudgetExceededException or ProtocolException or FormatException or ArgumentException or System.Text.Json.JsonException || IsPassing(error))
        {
            logger.LogWarning("The model of round {Round} was not evaluated: {Message}", evaluate.Round, error.Message);
            audit.Note(NodeAudit.Evaluation, evaluate.Run.RunId, (int)Math.Min(evaluate.Round, int.MaxValue), error);
            await FailAsync(evaluate.Run.RunId, (int)Math.Min(evaluate.Round, int.MaxValue), error, cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogWarning("The evaluation was refused. {Message}", error.Status.Detail);
        }
    }

    /// <summary>The same sums, which only the committee opens, and only together with other sites'. Made once: a stored file is sent again.</summary>
    private async Task SendEncryptedAsync(LearningTask task, Evaluate evaluate, ModelState model, Formats.Evaluation.EvaluationSums sums, CancellationToken cancellationToken)
    {
        if (evaluate.Secure is null) throw new ProtocolException(Refusal.AnotherOpening, "The coordinator asks for evaluation sums in the clear; the run's spec asks for secure aggregation.");
        int round = (int)Math.Min(evaluate.Round, int.MaxValue);
        SiteRound secure = await contribution.CheckAsync(task, evaluate.Run.SpecYaml, evaluate.Run.SchemaYaml, evaluate.Secure, Opening.Evaluation, round, evaluate.ModelSha256, model.Header.ValueCount, cancellationToken);
        string path = StoredUpdate.EvaluationOf(folder, task.RunId, round);
        PrivacyLedger ledger = charges!.LedgerOf(task);
        StoredUpdate? stored = StoredUpdate.Find(path, evaluate.ModelSha256);
        if (stored is null || !ledger.Holds(stored.Reservation, task.RunId, round, "evaluation"))
        {
            contribution.RequireNew(secure);
            long reservation = charges.Reserve(task, UpdateShape.Charged(task.Spec, model.Header), round, "evaluation", outside => PrivacyCost.OfEvaluation(task.Spec, outside));
            string header = await contribution.WriteAsync(path, secure, Numbers(task, round, sums), cancellationToken);
            stored = StoredUpdate.Save(folder, path, new StoredUpdate(evaluate.ModelSha256, header, 0, 0, reservation));
        }

        LedgerHead head = ledger.Head;
        contribution.Remember(task.RunId, round, Opening.Evaluation, stored);
        await UpdateUpload.SendAsync(client, task.RunId, round, stored, head, path, cancellationToken);
        if (ledger.IsOpen(stored.Reservation)) ledger.Commit(stored.Reservation, charges.Recipient, head, stored.Sha256);
    }

    private static ulong[] Numbers(LearningTask task, int round, Formats.Evaluation.EvaluationSums sums)
    {
        if (task.Spec.Privacy is null) return EvaluationCounts.Of(sums);
        using SecureRandom random = task.NoiseOf(Opening.Evaluation, round);
        return NoisyEvaluation.Hide(sums, task.Spec, random);
    }

    /// <summary>Counts over a trainer's own test rows are a release like any other.</summary>
    private async Task ReportAsync(LearningTask task, EvaluationReport report, CancellationToken cancellationToken)
    {
        PrivacyLedger ledger = charges!.LedgerOf(task);
        long reservation = charges.Reserve(task, 0, (int)Math.Min(report.Round, int.MaxValue), "evaluation", _ => new NonPrivateEvent());
        LedgerHead head = ledger.Head;
        report.LedgerHead = head.ToMessage();
        await client.ReportEvaluationAsync(report, cancellationToken: cancellationToken);
        ledger.Commit(reservation, charges.Recipient, head, Sha256Hex.Of(report.Sums.ToByteArray()));
    }

    private async Task EndAsync(RunEnded ended, CancellationToken cancellationToken)
    {
        // First: whatever becomes of the result, nothing of the run's keys is kept.
        StoredUpdate.DropBefore(folder, ended.RunId, int.MaxValue);
        duty.Forget(ended.RunId);
        _training.Forget(ended);
        if (ended.ModelSha256.Length > 0 && await KeepAsync(ended, ended.ModelSha256, ModelFile, cancellationToken) is var model && runs.Find(ended.RunId) is { } task)
        {
            _training.End(task, ended, model, trains: charges is not null, cancellationToken);
        }

        if (ended.StatisticsSha256.Length > 0) await KeepAsync(ended, ended.StatisticsSha256, StatisticsFile, cancellationToken);
        logger.LogInformation("Run {Run} {State} after {Rounds} rounds. {Reason}", ended.RunId, ended.State, ended.Rounds, ended.Reason);
    }

    /// <summary>What the run gave, in the run's folder.</summary>
    private async Task<string> KeepAsync(RunEnded ended, string sha256, string name, CancellationToken cancellationToken)
    {
        string blob = await BlobDownload.FetchAsync(client, folder, sha256, cancellationToken), path = Path.Combine(folder.Run(ended.RunId), name);
        File.Copy(blob, path + ".new", overwrite: true);
        File.Move(path + ".new", path, overwrite: true);
        return path;
    }

    /// <summary>A small model, which came with the task.</summary>
    private static ModelState Read(ByteString model, string sha256)
    {
        if (Sha256Hex.Of(model.Span) is var actual && actual != sha256) throw new InvalidDataException($"The model's SHA-256 is {actual}; the task names {sha256}. It was thrown away.");
        using var bytes = new MemoryStream(model.ToByteArray(), writable: false);
        return ModelState.Read(bytes, model.Length);
    }

    private async Task<ModelState> LoadModelAsync(string sha256, CancellationToken cancellationToken)
    {
        string path = await BlobDownload.FetchAsync(client, folder, sha256, cancellationToken);
        foreach (string other in Directory.EnumerateFiles(Path.GetDirectoryName(path)!).Where(file => file != path)) File.Delete(other);
        if (new FileInfo(path).Length >= LargeModel) GC.Collect(); // the model before it is free, and the collector waits for more than two of them
        return ModelState.Read(path);
    }

    private Task FailAsync(string runId, int round, Exception error, CancellationToken cancellationToken) =>
        FailAsync(runId, round, string.Join(" ", SiteWords.Of(error, isPrivate: runs.Find(runId)?.Spec.Privacy is not null)), cancellationToken, rosterRefused: error is ProtocolException { Reason: Refusal.WrongRoster }, awaitsApproval: error is ProtocolException { Reason: Refusal.AwaitsApproval });

    /// <param name="awaitsApproval">The policy asks for more signatures than when this site agreed, or what was agreed to is gone: it is asked again, now and whenever a signature has come.</param>
    private Task FailAsync(string runId, int round, string reason, CancellationToken cancellationToken, bool rosterRefused = false, bool awaitsApproval = false) =>
        FailureReports.SendAsync(client, new FailureReport { RunId = runId, Round = (uint)round, Reason = reason, RosterRefused = rosterRefused, AwaitsApproval = awaitsApproval }, logger, cancellationToken);
}
