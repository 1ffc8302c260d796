using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Of a weight [G·p, d] that is G blocks of p outputs, each from d inputs of its own (a convolution's groups; else G = 1), used at T positions of each of U units.</summary>
internal readonly record struct OuterProductShape(int Units, long Groups, long Positions, long Inputs, long Outputs)
{
    /// <summary>Values of one unit's gradient.</summary>
    public long Weights => Groups * Inputs * Outputs;

    /// <summary>Values of one unit's inputs and output gradients.</summary>
    public long Held => Groups * Positions * (Inputs + Outputs);
}

/// <summary>
/// A weight W whose unit's gradient is G_u·A_uᵀ, A the inputs and G the output gradients at T positions (of a sequence, of an image, of a person's records).
/// At one position ‖g·aᵀ‖² = ‖g‖²·‖a‖² (Goodfellow 2015); at more, whichever takes less work of ⟨AᵀA, GᵀG⟩ (Li, Tramèr, Liang, Hashimoto 2022, section 4) and the product itself (Bu, Mao, Xu 2022).
/// </summary>
/// <remarks>The Gram matrices are in double precision: their product cancels where positions do, and a norm that comes out too small would break the bound.</remarks>
internal sealed class OuterProductPart : GradientPart
{
    private const long MostHeld = 1L << 22, ChunkValues = 1L << 18;

    private readonly string _weight;
    private readonly OuterProductShape _shape;
    private readonly Func<int, int, (Tensor A, Tensor G)> _slice;
    private readonly Func<Tensor, Tensor>? _arrange;
    private readonly bool _gram, _held;
    private Tensor? _products;

    /// <param name="slice">(first unit, count) → A [n·G, d, T] and G [n·G, p, T], views or fresh.</param>
    /// <param name="arrange">From a product G·Aᵀ to the weight's shape and order, if those are others.</param>
    public OuterProductPart(string weight, OuterProductShape shape, Func<int, int, (Tensor A, Tensor G)> slice, Func<Tensor, Tensor>? arrange = null)
    {
        (_weight, _shape, _slice, _arrange) = (weight, shape, slice, arrange);
        // Twice, for double precision.
        _gram = 2 * shape.Positions * (shape.Inputs + shape.Outputs) < shape.Inputs * shape.Outputs;
        _held = !_gram && shape.Units * shape.Weights <= Math.Max(MostHeld, shape.Units * shape.Held / 4);
    }

    public override Tensor SquaredNorms()
    {
        List<Tensor> norms = [], held = [];
        foreach ((int first, int count) in Chunks())
        {
            using IDisposable scope = NewDisposeScope();
            (Tensor a, Tensor g) = _slice(first, count);
            if (_shape.Positions == 1)
            {
                norms.Add(OverGroups(RowNorms.Squared(a.reshape(a.shape[0], -1)) * RowNorms.Squared(g.reshape(g.shape[0], -1))).MoveToOuterDisposeScope());
                continue;
            }

            if (_gram)
            {
                (a, g) = (a.to(ScalarType.Float64), g.to(ScalarType.Float64));
                Tensor gram = (a.transpose(1, 2).bmm(a) * g.transpose(1, 2).bmm(g)).sum(new long[] { 1, 2 });
                norms.Add(OverGroups(gram).clamp_min(LastingScalars.Zero).to(ScalarType.Float32).MoveToOuterDisposeScope());
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
        Tensor weight = sums(_weight);
        if (_products is not null)
        {
            if (_arrange is null) weight.view(1, -1).addmm_(factors.unsqueeze(0), _products, beta: 1, alpha: 1);
            else weight.add_(_arrange(factors.unsqueeze(0).mm(_products)), LastingScalars.One);
            return;
        }

        using IDisposable outer = NewDisposeScope();
        Tensor sum = _arrange is null ? weight.view(_shape.Groups, _shape.Outputs, _shape.Inputs) : zeros([_shape.Groups, _shape.Outputs, _shape.Inputs], device: weight.device);
        foreach ((int first, int count) in Chunks())
        {
            using IDisposable scope = NewDisposeScope();
            (Tensor a, Tensor g) = _slice(first, count);
            // [G, p, n·T] · [G, n·T, d]; factors on the smaller of the two.
            Tensor left = (g.reshape(count, -1, _shape.Positions) * factors.slice(0, first, first + count, 1).view(count, 1, 1))
                .view(count, _shape.Groups, _shape.Outputs, _shape.Positions).permute(1, 2, 0, 3).reshape(_shape.Groups, _shape.Outputs, -1);
            Tensor right = a.transpose(1, 2).reshape(count, _shape.Groups, _shape.Positions, _shape.Inputs).transpose(0, 1).reshape(_shape.Groups, -1, _shape.Inputs);
            if (_shape.Groups == 1) sum[0].addmm_(left[0], right[0], beta: 1, alpha: 1);
            else sum.add_(left.bmm(right), LastingScalars.One);
        }

        if (_arrange is not null) weight.add_(_arrange(sum), LastingScalars.One);
    }

    private Tensor OverGroups(Tensor squares) => _shape.Groups == 1 ? squares : squares.view(-1, _shape.Groups).sum(new long[] { 1 });

    private IEnumerable<(int First, int Count)> Chunks()
    {
        long each = Math.Max(1, _shape.Positions == 1 ? 1 : _shape.Held + (_gram ? _shape.Groups * _shape.Positions * _shape.Positions : _shape.Weights));
        int size = _shape.Positions == 1 ? _shape.Units : (int)Math.Clamp(ChunkValues / each, 1, _shape.Units);
        for (int first = 0; first < _shape.Units; first += size) yield return (first, Math.Min(size, _shape.Units - first));
    }
}
