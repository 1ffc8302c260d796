using Federation.Formats.Models;
using Federation.Learning.Models;
using Federation.Learning.Training;
using Federation.Privacy.Canonical;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Samples.Mnist;

/// <summary>784-256-128-10 with ReLU between; outputs are logits [n, 10].</summary>
internal static class Perceptron
{
    public static nn.Module<Tensor, Tensor> Create() =>
        nn.Sequential(("hidden1", nn.Linear(784, 256)), ("relu1", nn.ReLU()), ("hidden2", nn.Linear(256, 128)), ("relu2", nn.ReLU()), ("output", nn.Linear(128, 10)));

    /// <summary>Mean cross entropy.</summary>
    public static Tensor Loss(Tensor logits, Tensor labels) => nn.functional.cross_entropy(logits, labels);

    /// <summary>Weights and biases as PyTorch's Linear draws them, U(−1/√in, 1/√in), from the seed.</summary>
    public static ModelState Initial(ulong seed)
    {
        using nn.Module<Tensor, Tensor> module = Create();
        using IDisposable scope = NewDisposeScope(), off = no_grad();
        var generator = new SeededGenerator(DerivedSeed.For(seed, "initial-weights"));
        foreach (Linear layer in module.children().OfType<Linear>())
        {
            double bound = 1 / Math.Sqrt(layer.weight!.shape[1]);
            foreach (Parameter values in new[] { layer.weight, layer.bias! }) values.copy_(tensor(generator.Uniform((int)values.numel(), bound), values.shape));
        }

        return ModuleState.Of(module);
    }
}
