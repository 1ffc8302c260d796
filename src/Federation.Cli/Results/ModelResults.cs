namespace Federation.Cli.Results;

internal sealed record ModelList(IReadOnlyList<ModelEntry> Models);

/// <param name="Round">The round that made it; 0 is the initial model.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Removed">By retention; the record is left.</param>
internal sealed record ModelEntry(string Run, uint Round, string Sha256, ulong Size, DateTimeOffset Created, bool Removed, IReadOnlyList<EvaluationEntry> Evaluations)
{
    public static ModelEntry Of(V1.Model model) => new(
        model.RunId, model.Round, model.Sha256, model.Size, DateTimeOffset.FromUnixTimeMilliseconds(model.CreatedUnixMs), model.Removed,
        [.. model.Evaluations.Select(evaluation => new EvaluationEntry(evaluation.Source, MetricValues.Of(evaluation.Metrics)))]);
}

/// <param name="Source"><c>federated</c>, or an evaluator's name.</param>
internal sealed record EvaluationEntry(string Source, MetricValues Metrics);

internal sealed record ExportedModel(string Sha256, string File, ulong Size);

/// <param name="Rows">Which rows: all, test or train.</param>
internal sealed record ModelEvaluation(string ModelSha256, string Data, string Rows, MetricValues Metrics);

/// <param name="Predictions">Null where they were written to a file.</param>
internal sealed record ModelPredictions(string ModelSha256, string Data, int Rows, string? File, IReadOnlyList<PredictedRow>? Predictions);

/// <param name="Line">1-based line of the data file.</param>
/// <param name="Class">The most probable class, by its first value in the schema.</param>
/// <param name="Probabilities">Of the classes in the schema's order; they sum to 1.</param>
internal sealed record PredictedRow(int Line, string Class, IReadOnlyList<double> Probabilities);
