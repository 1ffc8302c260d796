using System.Globalization;
using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Protocol;
using Federation.V1;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>Does one task at a time and reports what came of it.</summary>
internal sealed class TaskWorker(Node.NodeClient client, NodeFolder folder, ILocalLearner learner, string site, Func<JoinRequest> join, ILogger logger)
{
    private const string SpecFile = "spec.yaml", SchemaFile = "schema.yaml", ModelFile = "model.safetensors";

    public Task DoAsync(NodeTask task, CancellationToken cancellationToken) => task.TaskCase switch
    {
        NodeTask.TaskOneofCase.CheckData => CheckAsync(task.CheckData, cancellationToken),
        NodeTask.TaskOneofCase.Train => TrainAsync(task.Train, cancellationToken),
        NodeTask.TaskOneofCase.Evaluate => EvaluateAsync(task.Evaluate, cancellationToken),
        NodeTask.TaskOneofCase.RunEnded => EndAsync(task.RunEnded, cancellationToken),
        _ => Task.CompletedTask,
    };

    private async Task CheckAsync(CheckData check, CancellationToken cancellationToken)
    {
        IReadOnlyList<string> mismatches;
        try
        {
            LearningTask task = Store(check.Run);
            ModelState initial = await LoadModelAsync(check.ModelSha256, cancellationToken);
            mismatches = learner.Check(task, initial);
        }
        catch (Exception error) when (error is InvalidInputException or LearningException or SafetensorsException)
        {
            mismatches = [error.Message];
        }

        if (mismatches.Count == 0) logger.LogInformation("Ready for run {Run}", check.Run.RunId);
        else logger.LogWarning("Not taking part in run {Run}:{NewLine}{Mismatches}", check.Run.RunId, Environment.NewLine, string.Join(Environment.NewLine, mismatches));
        await client.ReportReadinessAsync(new ReadinessReport { RunId = check.Run.RunId, Mismatches = { mismatches } }, cancellationToken: cancellationToken);
    }

    private async Task TrainAsync(Train train, CancellationToken cancellationToken)
    {
        int round = (int)Math.Min(train.Round, int.MaxValue);
        if (!File.Exists(Path.Combine(folder.Run(train.RunId), SpecFile)))
        {
            await FailAsync(train.RunId, 0, "This node lost its record of the run; it asks again.", cancellationToken);
            await client.JoinAsync(join(), cancellationToken: cancellationToken);
            return;
        }

        try
        {
            StoredUpdate update = StoredUpdate.Find(folder, train.RunId, round, train.ModelSha256) ?? await TrainAndStoreAsync(train, round, cancellationToken);
            string path = StoredUpdate.PathOf(folder, train.RunId, round);
            long sent = await UpdateUpload.SendAsync(client, train.RunId, round, update, path, cancellationToken);
            StoredUpdate.DropBefore(folder, train.RunId, round);
            logger.LogInformation("{Message}", string.Create(CultureInfo.InvariantCulture, $"Round {round}: trained on {update.Weight} examples, loss {update.Loss:0.0000}, sent {sent} bytes"));
        }
        catch (Exception error) when (error is LearningException or InvalidInputException or SafetensorsException)
        {
            logger.LogWarning("Round {Round}: {Message}", round, error.Message);
            await FailAsync(train.RunId, round, error.Message, cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogWarning("Round {Round}: the update was refused. {Message}", round, error.Status.Detail);
        }
    }

    private async Task<StoredUpdate> TrainAndStoreAsync(Train train, int round, CancellationToken cancellationToken)
    {
        LearningTask task = Load(train.RunId);
        ModelState start = await LoadModelAsync(train.ModelSha256, cancellationToken);
        Measure(task, round - 1, train.ModelSha256, start, cancellationToken);
        TrainingResult result = learner.Train(task, round, start, cancellationToken);
        return StoredUpdate.Save(folder, train.RunId, round, train.ModelSha256, result);
    }

    private async Task EvaluateAsync(Evaluate evaluate, CancellationToken cancellationToken)
    {
        try
        {
            LearningTask task = Store(evaluate.Run);
            ModelState model = await LoadModelAsync(evaluate.ModelSha256, cancellationToken);
            Formats.Evaluation.EvaluationSums sums = learner.Evaluate(task, model, cancellationToken);
            await client.ReportEvaluationAsync(
                new EvaluationReport { RunId = evaluate.Run.RunId, Round = evaluate.Round, ModelSha256 = evaluate.ModelSha256, Sums = sums.ToMessage() }, cancellationToken: cancellationToken);
            logger.LogInformation("Evaluated the model of round {Round} on {Examples} examples", evaluate.Round, sums.Examples);
        }
        catch (Exception error) when (error is LearningException or InvalidInputException or SafetensorsException)
        {
            logger.LogWarning("The model of round {Round} was not evaluated: {Message}", evaluate.Round, error.Message);
            await FailAsync(evaluate.Run.RunId, (int)Math.Min(evaluate.Round, int.MaxValue), error.Message, cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogWarning("The evaluation was refused. {Message}", error.Status.Detail);
        }
    }

    private async Task EndAsync(RunEnded ended, CancellationToken cancellationToken)
    {
        string runFolder = folder.Run(ended.RunId);
        string blob = await BlobDownload.FetchAsync(client, folder, ended.ModelSha256, cancellationToken);
        string model = Path.Combine(runFolder, ModelFile);
        File.Copy(blob, model + ".new", overwrite: true);
        File.Move(model + ".new", model, overwrite: true);
        if (File.Exists(Path.Combine(runFolder, SpecFile))) MeasureFinal(ended, model, cancellationToken);
        StoredUpdate.DropBefore(folder, ended.RunId, int.MaxValue);
        logger.LogInformation("Run {Run} {State} after {Rounds} rounds. {Reason}", ended.RunId, ended.State, ended.Rounds, ended.Reason);
    }

    private void MeasureFinal(RunEnded ended, string model, CancellationToken cancellationToken)
    {
        try
        {
            Measure(Load(ended.RunId), (int)Math.Min(ended.Rounds, int.MaxValue), ended.ModelSha256, ModelState.Read(model), cancellationToken);
        }
        catch (Exception error) when (error is LearningException or InvalidInputException)
        {
            logger.LogWarning("The final model was not evaluated here: {Message}", error.Message);
        }
    }

    /// <summary>A global model on this site's own test rows; stays in this site's folder.</summary>
    private void Measure(LearningTask task, int round, string modelSha256, ModelState model, CancellationToken cancellationToken)
    {
        string runFolder = folder.Run(task.RunId);
        if (LocalMetrics.Has(runFolder, round)) return;
        Formats.Evaluation.EvaluationSums sums = learner.Evaluate(task, model, cancellationToken);
        if (sums.Examples > 0) LocalMetrics.Append(runFolder, round, modelSha256, sums.ToMetrics());
    }

    private async Task<ModelState> LoadModelAsync(string sha256, CancellationToken cancellationToken)
    {
        string path = await BlobDownload.FetchAsync(client, folder, sha256, cancellationToken);
        foreach (string other in Directory.EnumerateFiles(Path.GetDirectoryName(path)!).Where(file => file != path)) File.Delete(other);
        return ModelState.Read(path);
    }

    private async Task FailAsync(string runId, int round, string reason, CancellationToken cancellationToken)
    {
        string sentence = reason.Length <= 1000 ? reason : reason[..1000];
        try
        {
            await client.ReportFailureAsync(new FailureReport { RunId = runId, Round = (uint)round, Reason = sentence }, cancellationToken: cancellationToken);
        }
        catch (RpcException error) when (ConnectionErrors.IsRefusal(error))
        {
            logger.LogInformation("The coordinator does not wait for this site any more. {Message}", error.Status.Detail);
        }
    }

    private LearningTask Store(RunDescription run)
    {
        string runFolder = folder.Run(run.RunId);
        LearningTask task = Parse(run.RunId, run.SpecYaml, run.SchemaYaml);
        File.WriteAllText(Path.Combine(runFolder, SchemaFile), run.SchemaYaml);
        File.WriteAllText(Path.Combine(runFolder, SpecFile), run.SpecYaml); // last: with it the run counts as known
        return task;
    }

    private LearningTask Load(string runId)
    {
        string runFolder = folder.Run(runId);
        return Parse(runId, File.ReadAllText(Path.Combine(runFolder, SpecFile)), File.ReadAllText(Path.Combine(runFolder, SchemaFile)));
    }

    private LearningTask Parse(string runId, string spec, string schema) =>
        new(runId, site, RunSpec.Parse(spec, SpecFile), schema.Length == 0 ? null : DataSchema.Parse(schema, SchemaFile));
}
