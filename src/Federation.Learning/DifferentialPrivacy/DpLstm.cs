using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>torch.nn.LSTM out of Linear modules, so that its gradients can be clipped without a pass for each record; same arguments, results and weights.</summary>
/// <remarks>Hochreiter and Schmidhuber 1997, with forget gates: i, f, o = σ(·), g = tanh(·), c′ = f∘c + i∘g, h′ = o∘tanh(c′).</remarks>
public sealed class DpLstm : nn.Module<Tensor, (Tensor h0, Tensor c0)?, (Tensor output, Tensor h, Tensor c)>
{
    private readonly RecurrentLayers _layers;

    public DpLstm(long inputs, long hidden, RecurrentOptions? options = null)
        : base(nameof(DpLstm))
    {
        _layers = new(inputs, hidden, 4, options ?? new());
        register_module("cells", _layers.All);
    }

    /// <summary>With the weights of PyTorch's module.</summary>
    /// <param name="options">As <paramref name="module"/> has them, which does not tell.</param>
    /// <exception cref="LearningException">The options are not the module's.</exception>
    public static DpLstm From(LSTM module, RecurrentOptions options)
    {
        (string Name, Tensor)[] weights = [.. module.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter))];
        long[] first = weights.Single(entry => entry.Name == "weight_ih_l0").Item2.shape;
        DpLstm made = new(first[1], first[0] / 4, options);
        RecurrentLayers.Copy(weights, made._layers.Named());
        return made;
    }

    /// <summary>Gives the weights to PyTorch's module.</summary>
    /// <exception cref="LearningException">Its layers, directions or sizes are others.</exception>
    public void CopyTo(LSTM module) => RecurrentLayers.Copy(_layers.Named(), module.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter)));

    public (Tensor output, Tensor h, Tensor c) call(Tensor input) => call(input, null);

    public override (Tensor output, Tensor h, Tensor c) forward(Tensor input, (Tensor h0, Tensor c0)? initial)
    {
        (Tensor output, Tensor[] states) = _layers.Run(input, initial is { } given ? [given.h0, given.c0] : null, 2, training, static (gates, cell, state) =>
        {
            Tensor[] parts = gates.Plus(cell.OfState(state[0])).chunk(4, 1);
            Tensor c = (parts[1].sigmoid() * state[1]).Plus(parts[0].sigmoid() * parts[2].tanh());
            return [parts[3].sigmoid() * c.tanh(), c];
        });
        return (output, states[0], states[1]);
    }
}
