using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Data;
using Federation.Learning.Training;
using Federation.Privacy.Canonical;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.Models;

/// <summary>The models that a run spec can name: <c>logistic</c> (one linear layer) and <c>mlp</c> (ReLU between linear layers). Outputs are logits.</summary>
public static class TabularModel
{
    /// <summary>An untrained module, weights drawn from the seed as PyTorch's Linear draws them: U(−1/√in, 1/√in).</summary>
    /// <exception cref="InvalidInputException">The spec has no data or task, or its label is not in the schema.</exception>
    public static nn.Module<Tensor, Tensor> Create(RunSpec spec, DataSchema schema, ulong seed)
    {
        if (spec.Data is null || spec.Task is null || spec.Model.Kind == ModelKind.Custom) throw new InvalidInputException("The spec names no model for tables; model.kind must be logistic or mlp.");
        Column label = TabularDataSet.LabelOf(schema, spec.Task);
        int inputs = FeatureEncoder.NamesOf(schema, spec.Data).Count;
        if (inputs == 0) throw new InvalidInputException("The schema has no number or category to learn from.");
        int outputs = spec.Task.Kind == TaskKind.BinaryClassification ? 1 : label.Categories.Count;
        return Create(spec.Model, inputs, outputs, seed);
    }

    /// <summary>The same for examples of any kind: of so many values, with so many logits.</summary>
    /// <exception cref="InvalidInputException">The model is custom.</exception>
    public static nn.Module<Tensor, Tensor> Create(ModelSpec model, int inputs, int outputs, ulong seed)
    {
        var generator = new SeededGenerator(seed);
        return model.Kind switch
        {
            ModelKind.Logistic => nn.Sequential(("linear", Linear(inputs, outputs, generator))),
            ModelKind.Mlp => Mlp(inputs, model.Hidden, outputs, generator),
            _ => throw new InvalidInputException(new Problem("is custom: a module of the user's own program.", Field: "model.kind", Repair: "Write logistic or mlp, or start the program that holds the module.")),
        };
    }

    /// <summary>The run's initial model, from its seed.</summary>
    /// <exception cref="InvalidInputException">As <see cref="Create(RunSpec, DataSchema, ulong)"/>.</exception>
    public static ModelState Initial(RunSpec spec, DataSchema schema)
    {
        using nn.Module<Tensor, Tensor> module = Create(spec, schema, DerivedSeed.For(spec.Seed, "initial-weights"));
        return ModuleState.Of(module);
    }

    /// <summary>The file that the spec names, or weights from the seed.</summary>
    /// <param name="folder">Paths in the spec are relative to it.</param>
    /// <exception cref="InvalidInputException">The file is no model of this spec; lists the differences.</exception>
    public static ModelState Initial(RunSpec spec, DataSchema schema, string folder)
    {
        ModelState fresh = Initial(spec, schema);
        if (spec.Model.Initial is not { } file) return fresh;
        string path = Path.GetFullPath(file, folder);
        ModelState initial = ModelState.Read(path);
        List<Problem> problems = [.. initial.Header.DifferencesFrom(fresh.Header).Select(difference => new Problem(difference, path, Field: "model.initial"))];
        if (initial.FirstNonFinite() is { } bad) problems.Add(new Problem(bad, path, Field: "model.initial"));
        return problems.Count == 0 ? initial : throw new InvalidInputException(problems);
    }

    private static Sequential Mlp(int inputs, IReadOnlyList<int> hidden, int outputs, SeededGenerator generator)
    {
        var layers = new List<nn.Module<Tensor, Tensor>>();
        int width = inputs;
        foreach (int next in hidden)
        {
            layers.Add(Linear(width, next, generator));
            layers.Add(nn.ReLU());
            width = next;
        }

        layers.Add(Linear(width, outputs, generator));
        return nn.Sequential(("layers", nn.Sequential(layers)));
    }

    private static Linear Linear(int inputs, int outputs, SeededGenerator generator)
    {
        Linear linear = nn.Linear(inputs, outputs);
        double bound = 1 / Math.Sqrt(inputs);
        using IDisposable noGrad = no_grad();
        using IDisposable scope = NewDisposeScope();
        linear.weight!.copy_(tensor(generator.Uniform(inputs * outputs, bound), [outputs, inputs]));
        linear.bias!.copy_(tensor(generator.Uniform(outputs, bound), [outputs]));
        return linear;
    }
}
