using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Data;
using Federation.Learning.Evaluation;

namespace Federation.Cli.Verbs;

/// <summary>A run spec for tables with its schema, read from files.</summary>
internal sealed record TabularFiles(RunSpec Spec, DataSchema Schema, DataSpec Data, TaskSpec Task)
{
    /// <exception cref="InvalidInputException">Everything that is wrong with the first file that is, or the spec is of a custom model.</exception>
    public static TabularFiles Load(string specPath)
    {
        RunSpec spec = RunSpec.Load(specPath);
        if (spec.Data is not { } data || spec.Task is not { } task)
        {
            throw new InvalidInputException(new Problem("This spec is of a custom model, whose program is not in fed.", specPath, Field: "model.kind", Repair: "Evaluate it in the program that holds the module."));
        }

        var schema = DataSchema.Load(Path.GetFullPath(data.Schema, Path.GetDirectoryName(Path.GetFullPath(specPath)) ?? "/"));
        SpecProblems.Place(specPath, () => TabularDataSet.LabelOf(schema, task));
        return new TabularFiles(spec, schema, data, task);
    }

    /// <returns>The model's id, and for each row the probabilities of the classes.</returns>
    /// <exception cref="InvalidInputException">The file is no model, or not of this spec; lists the differences.</exception>
    public (string Sha256, IReadOnlyList<double[]> Probabilities) Score(string modelPath, Rows rows)
    {
        ModelState model = ModelState.Read(modelPath);
        try
        {
            return (model.Sha256, Prediction.Probabilities(model, Spec, Schema, rows));
        }
        catch (LearningException error)
        {
            throw new InvalidInputException(new Problem(error.Message, modelPath));
        }
    }
}
