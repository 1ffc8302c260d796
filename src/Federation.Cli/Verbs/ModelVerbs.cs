using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.V1;
using Grpc.Core;

namespace Federation.Cli.Verbs;

/// <summary><c>fed model</c>: what runs made. <c>list</c> and <c>export</c> ask the coordinator, the other two need no connection.</summary>
internal static class ModelVerbs
{
    private const string All = "all";

    private static readonly Argument<string> Run = new("RUN") { Description = "A run's id, the unique beginning of one, latest or all.", DefaultValueFactory = _ => "latest" };

    private static readonly Argument<string> Source = new("RUN|SHA") { Description = "A run (its newest model), or the SHA-256 of a model or 8 or more digits of it.", DefaultValueFactory = _ => "latest" };

    private static readonly Option<string?> Best = BestOption();

    private static readonly Option<string> File = new("--output", "-o") { Description = "The file to write.", HelpName = "file", DefaultValueFactory = _ => "model.safetensors" };

    public static Verb Create() => new Verb("model", "List, export and try models.", "fed model list --best auc\nfed model export latest -o model.safetensors")
        .With(
            new Verb("list", "Show a run's models and what they were measured at.", "fed model list latest --best auc", "model-list")
                .With(Run, Best).With(OperatorConnection.Options).Does(ListAsync),
            new Verb("export", "Save a model as a safetensors file.", "fed model export latest --best auc -o model.safetensors", "model-export")
                .With(Source, File, Best, CommonOptions.Force).With(OperatorConnection.Options).Does(ExportAsync),
            OfflineModelVerbs.Evaluate(),
            OfflineModelVerbs.Predict());

    private static async Task<int> ListAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        IReadOnlyList<ModelEntry> models = await ModelsAsync(connection.Client, invocation.Get(Run), invocation.Cancellation);
        if (invocation.Get(Best) is { } metric) models = [BestModel.Of(models, metric).Model];
        var rows =
            from model in models
            from evaluation in model.Evaluations.DefaultIfEmpty()
            select (string[])[
                model.Run, $"{model.Round}", Text.Short(model.Sha256), model.Removed ? "removed by retention" : Text.Bytes(model.Size), evaluation?.Source ?? "",
                evaluation is null ? "" : $"{evaluation.Metrics.Examples}", Text.Metric(evaluation?.Metrics.Accuracy), Text.Metric(evaluation?.Metrics.Auc), Text.Metric(evaluation?.Metrics.LogLoss), Text.Metric(evaluation?.Metrics.Brier)];
        invocation.Output.Result(new ModelList(models), models.Count == 0
            ? ["No models yet."]
            : TextTable.Lines(["run", ">round", "model", ">size", "measured by", ">examples", ">accuracy", ">auc", ">log-loss", ">brier"], rows));
        return ExitCode.Done;
    }

    private static async Task<int> ExportAsync(Invocation invocation)
    {
        string path = invocation.Get(File)!;
        OutputFile file = OutputFile.Claim(path, invocation.Get(CommonOptions.Force));
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        string sha256 = await ResolveAsync(connection.Client, invocation);
        long size = await ModelDownload.SaveAsync(connection.Client, sha256, file, invocation.Cancellation);
        invocation.Output.Result(new ExportedModel(sha256, file.Path, (ulong)size), $"{path}: model {sha256}, {Text.Bytes((ulong)size)}");
        return ExitCode.Done;
    }

    private static async Task<string> ResolveAsync(Operator.OperatorClient client, Invocation invocation)
    {
        string source = invocation.Get(Source);
        bool isHash = source.Length is >= 8 and <= 64 && source.All(char.IsAsciiHexDigitLower);
        if (isHash)
        {
            IReadOnlyList<ModelEntry> models = await ModelsAsync(client, All, invocation.Cancellation);
            string[] found = [.. models.Select(model => model.Sha256).Where(sha256 => sha256.StartsWith(source, StringComparison.Ordinal)).Distinct()];
            if (found.Length == 1) return found[0];
            if (found.Length > 1) throw new Formats.InvalidInputException(new Formats.Problem($"'{source}' begins {found.Length} models' hashes.", Field: Source.Name, Repair: "Write more digits."));
        }

        if (invocation.Get(Best) is { } metric) return BestModel.Of(await ModelsAsync(client, source, invocation.Cancellation), metric).Model.Sha256;
        RunDetails run = await client.ShowRunAsync(new ShowRunRequest { RunId = source }, cancellationToken: invocation.Cancellation);
        return run.ModelSha256.Length > 0 ? run.ModelSha256 : throw new Formats.InvalidInputException(new Formats.Problem($"The run {run.Summary.RunId} ({run.Summary.Name}) asks for statistics and has no model.", Field: Source.Name, Repair: $"`fed data stats --run {run.Summary.RunId}` shows what it opened."));
    }

    /// <exception cref="RpcException">There is no such run.</exception>
    private static async Task<IReadOnlyList<ModelEntry>> ModelsAsync(Operator.OperatorClient client, string run, CancellationToken cancellation)
    {
        // The run is looked up first, so that `latest` and beginnings of ids work, and a misspelt one is refused.
        string id = run == All ? "" : (await client.ShowRunAsync(new ShowRunRequest { RunId = run }, cancellationToken: cancellation)).Summary.RunId;
        ListModelsReply reply = await client.ListModelsAsync(new ListModelsRequest { RunId = id }, cancellationToken: cancellation);
        return [.. reply.Models.Select(ModelEntry.Of)];
    }

    private static Option<string?> BestOption()
    {
        var option = new Option<string?>("--best") { Description = "Only the best model by accuracy, auc, log-loss or brier: by the evaluators' figures where there are any, else by the federated ones.", HelpName = "metric" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !BestModel.Metrics.Contains(token.Value)) result.AddError($"'{token.Value}' is no metric. {Formats.Nearest.Repair(token.Value, BestModel.Metrics)}");
        });
        return option;
    }
}
