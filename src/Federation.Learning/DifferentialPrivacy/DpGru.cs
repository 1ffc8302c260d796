using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>torch.nn.GRU out of Linear modules, so that its gradients can be clipped without a pass for each record; same arguments, results and weights.</summary>
/// <remarks>Cho et al. 2014, as PyTorch has it: r, z = σ(·), n = tanh(W_n·x + r∘(U_n·h + b)), h′ = (1 − z)∘n + z∘h.</remarks>
public sealed class DpGru : nn.Module<Tensor, Tensor?, (Tensor output, Tensor h)>
{
    private readonly RecurrentLayers _layers;

    public DpGru(long inputs, long hidden, RecurrentOptions? options = null)
        : base(nameof(DpGru))
    {
        _layers = new(inputs, hidden, 3, options ?? new());
        register_module("cells", _layers.All);
    }

    /// <summary>With the weights of PyTorch's module.</summary>
    /// <param name="options">As <paramref name="module"/> has them, which does not tell.</param>
    /// <exception cref="LearningException">The options are not the module's.</exception>
    public static DpGru From(GRU module, RecurrentOptions options)
    {
        (string Name, Tensor)[] weights = [.. module.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter))];
        long[] first = weights.Single(entry => entry.Name == "weight_ih_l0").Item2.shape;
        DpGru made = new(first[1], first[0] / 3, options);
        RecurrentLayers.Copy(weights, made._layers.Named());
        return made;
    }

    /// <summary>Gives the weights to PyTorch's module.</summary>
    /// <exception cref="LearningException">Its layers, directions or sizes are others.</exception>
    public void CopyTo(GRU module) => RecurrentLayers.Copy(_layers.Named(), module.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter)));

    public (Tensor output, Tensor h) call(Tensor input) => call(input, null);

    public override (Tensor output, Tensor h) forward(Tensor input, Tensor? initial)
    {
        (Tensor output, Tensor[] states) = _layers.Run(input, initial is null ? null : [initial], 1, training, static (gates, cell, state) =>
        {
            Tensor[] ofInput = gates.chunk(3, 1), ofState = cell.OfState(state[0]).chunk(3, 1);
            Tensor reset = ofInput[0].Plus(ofState[0]).sigmoid(), update = ofInput[1].Plus(ofState[1]).sigmoid();
            Tensor candidate = ofInput[2].Plus(reset * ofState[2]).tanh();
            return [candidate.Plus(update * state[0].Minus(candidate))];
        });
        return (output, states[0]);
    }
}
