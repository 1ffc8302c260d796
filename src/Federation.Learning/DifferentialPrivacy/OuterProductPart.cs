using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// A weight W whose unit's gradient is G_u·A_uᵀ, A the inputs and G the output gradients at T positions (of a sequence, of an image, of a person's records).
/// At one position ‖g·aᵀ‖² = ‖g‖²·‖a‖² (Goodfellow 2015); at more, whichever takes less work of ⟨AᵀA, GᵀG⟩ (Li, Tramèr, Liang, Hashimoto 2022, section 4) and the product itself (Bu, Mao, Xu 2022).
/// </summary>
/// <remarks>The Gram matrices are in double precision: their product cancels where positions do, and a norm that comes out too small would break the bound.</remarks>
internal sealed class OuterProductPart : GradientPart
{
    private const long MostHeld = 1L << 22, ChunkValues = 1L << 21;

    private readonly string _weight;
    private readonly int _units;
    private readonly long _positions, _inputs, _outputs;
    private readonly Func<int, int, (Tensor A, Tensor G)> _slice;
    private readonly bool _gram, _held;
    private Tensor? _products;

    /// <param name="slice">(first unit, count) → A [n, d, T] and G [n, p, T], views or fresh.</param>
    public OuterProductPart(string weight, int units, long positions, long inputs, long outputs, Func<int, int, (Tensor A, Tensor G)> slice)
    {
        (_weight, _units, _positions, _inputs, _outputs, _slice) = (weight, units, positions, inputs, outputs, slice);
        // Twice, for double precision.
        _gram = 2 * positions * (inputs + outputs) < inputs * outputs;
        _held = !_gram && units * inputs * outputs <= Math.Max(MostHeld, units * positions * (inputs + outputs));
    }

    public override Tensor SquaredNorms()
    {
        List<Tensor> norms = [], held = [];
        foreach ((int first, int count) in Chunks())
        {
            using IDisposable scope = NewDisposeScope();
            (Tensor a, Tensor g) = _slice(first, count);
            if (_positions == 1)
            {
                norms.Add((RowNorms.Squared(a.reshape(count, -1)) * RowNorms.Squared(g.reshape(count, -1))).MoveToOuterDisposeScope());
                continue;
            }

            if (_gram)
            {
                (a, g) = (a.to(ScalarType.Float64), g.to(ScalarType.Float64));
                Tensor gram = (a.transpose(1, 2).bmm(a) * g.transpose(1, 2).bmm(g)).sum(new long[] { 1, 2 });
                norms.Add(gram.clamp_min(0).to(ScalarType.Float32).MoveToOuterDisposeScope());
                continue;
            }

            Tensor products = g.bmm(a.transpose(1, 2)).view(count, -1);
            norms.Add(RowNorms.Squared(products).MoveToOuterDisposeScope());
            if (_held) held.Add(products.MoveToOuterDisposeScope());
        }

        if (held.Count > 0) _products = held.Count == 1 ? held[0] : cat(held);
        return norms.Count == 1 ? norms[0] : cat(norms);
    }

    public override void AddSum(Tensor factors, Func<string, Tensor> sums)
    {
        Tensor weight = sums(_weight), sum = weight.view(_outputs, _inputs);
        if (_products is not null)
        {
            sum.add_(factors.unsqueeze(0).mm(_products).view(sum.shape));
            return;
        }

        foreach ((int first, int count) in Chunks())
        {
            using IDisposable scope = NewDisposeScope();
            (Tensor a, Tensor g) = _slice(first, count);
            Tensor scaled = g * factors.slice(0, first, first + count, 1).view(count, 1, 1);
            sum.addmm_(scaled.transpose(0, 1).reshape(_outputs, -1), a.transpose(1, 2).reshape(-1, _inputs), beta: 1, alpha: 1);
        }
    }

    private IEnumerable<(int First, int Count)> Chunks()
    {
        long each = Math.Max(1, _positions == 1 ? 1 : (_positions * (_inputs + _outputs)) + (_gram ? 0 : _inputs * _outputs));
        int size = _positions == 1 ? _units : (int)Math.Clamp(ChunkValues / each, 1, _units);
        for (int first = 0; first < _units; first += size) yield return (first, Math.Min(size, _units - first));
    }
}
