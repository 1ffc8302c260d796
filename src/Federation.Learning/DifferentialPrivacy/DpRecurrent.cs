using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>What <see cref="DpLstm"/> and <see cref="DpGru"/> share: layers, directions, the order of dimensions, dropout between layers.</summary>
internal sealed class RecurrentLayers
{
    private readonly int _layers;
    private readonly bool _batchFirst;
    private readonly Dropout? _dropout;

    public RecurrentLayers(long inputs, long hidden, int gates, RecurrentOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(options.Layers);
        (_layers, _batchFirst, Hidden) = (options.Layers, options.BatchFirst, hidden);
        Directions = options.Bidirectional ? 2 : 1;
        All = new();
        for (int layer = 0; layer < _layers; layer++)
        {
            for (int direction = 0; direction < Directions; direction++) All.Add(new RecurrentDirection(layer == 0 ? inputs : Directions * hidden, hidden, gates, options.HasBias));
        }

        if (options.Dropout > 0) _dropout = nn.Dropout(options.Dropout);
    }

    public long Hidden { get; }

    public int Directions { get; }

    public ModuleList<RecurrentDirection> All { get; }

    /// <param name="initial">States [layers·directions, B, hidden], or none: zeros.</param>
    /// <param name="step">(gates of the inputs, direction, states before) → states after; the first is the output.</param>
    /// <returns>Outputs as PyTorch gives them, and final states.</returns>
    public (Tensor Output, Tensor[] States) Run(Tensor input, Tensor[]? initial, int states, bool training, Func<Tensor, RecurrentDirection, Tensor[], Tensor[]> step)
    {
        if (input.dim() != 3) throw new LearningException($"A recurrent layer got an input of shape [{string.Join(", ", input.shape)}]; [records, steps, values] is right with BatchFirst, else [steps, records, values].");
        Tensor current = _batchFirst ? input : input.transpose(0, 1);
        List<Tensor[]> final = [];
        for (int layer = 0; layer < _layers; layer++)
        {
            List<Tensor> outputs = [];
            for (int direction = 0; direction < Directions; direction++)
            {
                int place = (layer * Directions) + direction;
                Tensor[] state = initial is null
                    ? [.. Enumerable.Range(0, states).Select(_ => zeros([current.shape[0], Hidden], dtype: current.dtype, device: current.device))]
                    : [.. initial.Select(all => all[place])];
                RecurrentDirection cell = All[place];
                // Unbound once: a selection a step would have a backward pass over all steps each.
                Tensor[] gates = cell.call(current).unbind(1), hidden = new Tensor[gates.Length];
                for (int i = 0; i < gates.Length; i++)
                {
                    int time = direction == 0 ? i : gates.Length - 1 - i;
                    state = step(gates[time], cell, state);
                    hidden[time] = state[0];
                }

                outputs.Add(stack(hidden, 1));
                final.Add(state);
            }

            current = outputs.Count == 1 ? outputs[0] : cat(outputs, 2);
            if (training && _dropout is not null && layer + 1 < _layers) current = nn.functional.dropout(current, _dropout.p, true);
        }

        return (_batchFirst ? current : current.transpose(0, 1), [.. Enumerable.Range(0, states).Select(i => stack(final.Select(state => state[i])))]);
    }

    /// <summary>Every weight with PyTorch's name.</summary>
    public IEnumerable<(string Name, Tensor Weight)> Named() => All.SelectMany((cell, i) => cell.Named($"_l{i / Directions}{(i % Directions == 1 ? "_reverse" : "")}"));

    /// <summary>Copies weights by PyTorch's names.</summary>
    /// <exception cref="LearningException">A weight is missing or has another shape.</exception>
    public static void Copy(IEnumerable<(string Name, Tensor Weight)> from, IEnumerable<(string Name, Tensor Weight)> to)
    {
        using IDisposable off = no_grad();
        Dictionary<string, Tensor> source = from.ToDictionary(entry => entry.Name, entry => entry.Weight);
        (string Name, Tensor Weight)[] target = [.. to];
        if (target.Length != source.Count) throw new LearningException($"One module has {source.Count} weights ({string.Join(", ", source.Keys)}), the other {target.Length}: layers, directions and biases must be alike.");
        foreach ((string name, Tensor weight) in target)
        {
            if (!source.TryGetValue(name, out Tensor? given) || !given.shape.SequenceEqual(weight.shape)) throw new LearningException($"'{name}' is missing or has another shape than [{string.Join(", ", weight.shape)}].");
        }

        foreach ((string name, Tensor weight) in target) weight.copy_(source[name]);
    }
}

/// <summary>Of <see cref="DpLstm"/> and <see cref="DpGru"/>, as of PyTorch's modules.</summary>
public sealed record RecurrentOptions
{
    public int Layers { get; init; } = 1;

    public bool HasBias { get; init; } = true;

    /// <summary>Whether tensors are [records, steps, values]; else [steps, records, values], PyTorch's own default.</summary>
    public bool BatchFirst { get; init; }

    /// <summary>Between layers, in training.</summary>
    public double Dropout { get; init; }

    public bool Bidirectional { get; init; }
}
