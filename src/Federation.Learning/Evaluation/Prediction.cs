using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Data;
using Federation.Learning.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Evaluation;

/// <summary>What a table model says of rows.</summary>
public static class Prediction
{
    private const int RowsAtOnce = 4096;

    /// <returns>For each row the probabilities of the classes 0, 1, …; they sum to 1.</returns>
    /// <exception cref="LearningException">The model does not fit spec and schema.</exception>
    public static IReadOnlyList<double[]> Probabilities(ModelState model, RunSpec spec, DataSchema schema, Rows rows, Device? device = null)
    {
        using nn.Module<Tensor, Tensor> module = TabularModel.Create(spec, schema, 0);
        ModuleState.Load(module, ModelControls.Weights(spec, model));
        if (device is not null) module.to(device);
        return Probabilities(module, rows, spec.Task!.Kind, device ?? CPU);
    }

    /// <summary>Sums over rows that all have labels.</summary>
    public static EvaluationSums Sums(IReadOnlyList<double[]> probabilities, Rows rows, TaskKind kind) => kind == TaskKind.BinaryClassification
        ? ClassificationSums.Binary([.. probabilities.Select(row => row[1])], rows.Labels)
        : ClassificationSums.Multiclass(probabilities, rows.Labels);

    internal static List<double[]> Probabilities(nn.Module<Tensor, Tensor> module, Rows rows, TaskKind kind, Device device)
    {
        List<double[]> all = new(rows.Count);
        using IDisposable noGrad = no_grad();
        module.eval();
        for (int start = 0; start < rows.Count; start += RowsAtOnce)
        {
            using IDisposable scope = NewDisposeScope();
            int count = Math.Min(RowsAtOnce, rows.Count - start);
            Tensor inputs = tensor(rows.Features.AsSpan(start * rows.Width, count * rows.Width).ToArray(), [count, rows.Width], device: device);
            Tensor logits = module.call(inputs).to(ScalarType.Float64).cpu();
            double[] values = (kind == TaskKind.BinaryClassification ? logits.sigmoid() : logits.softmax(1)).contiguous().data<double>().ToArray();
            int width = values.Length / count;
            for (int i = 0; i < count; i++) all.Add(width == 1 ? [1 - values[i], values[i]] : values[(i * width)..((i + 1) * width)]);
        }

        return all;
    }
}
