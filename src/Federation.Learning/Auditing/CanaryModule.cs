using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.Auditing;

/// <summary>
/// A site's model with a weight of its own for each canary beside it. A canary is a record whose gradient is that weight's direction alone, and longer than any clipping norm: clipped, it moves the sum by all that a record may, where nothing else moves it. The model's own weights are trained as they would be without canaries.
/// </summary>
/// <remarks>"Dirac canaries": Nasr et al. 2023 (tight auditing), section 4; Steinke, Nasr, Jagielski 2023, section 6, gradient space.</remarks>
internal sealed class CanaryModule : nn.Module<Tensor, Tensor>
{
    private const double Push = 1000; // clipping norms that an unclipped canary would move the sum by

    private readonly nn.Module<Tensor, Tensor> _site;
    private readonly ModuleList<nn.Module<Tensor, Tensor>> _canaries;
    private readonly Scalar _slope; // held, as long as native code reads it
    private Scalar? _firstCanary;

    /// <param name="site">Owned from now on.</param>
    public CanaryModule(nn.Module<Tensor, Tensor> site, int canaries, PrivacySpec privacy)
        : base("audited")
    {
        int layers = site.modules().Count(module => module.parameters(recurse: false).Any());
        // With a bound for each layer a canary reaches C/√L in a layer: it needs most of them to reach most of C.
        Layers = privacy.Clipping == GradientClipping.PerLayer ? 4 * Math.Max(1, layers) : 1;
        Signal = privacy.Clipping == GradientClipping.PerLayer ? Math.Sqrt(Layers / (double)(Layers + layers)) : 1;
        (_site, Canaries, _slope) = (site, canaries, Push * privacy.Clip);
        _canaries = new([.. Enumerable.Range(0, Layers).Select(_ => nn.Embedding(canaries, 1))]);
        RegisterComponents();
        using IDisposable off = no_grad();
        foreach (Parameter weight in _canaries.parameters()) weight.zero_();
    }

    public int Canaries { get; }

    /// <summary>How many weights each canary has, each in a layer of its own.</summary>
    public int Layers { get; }

    /// <summary>By how many clipping norms a clipped canary moves the sum along its direction.</summary>
    public double Signal { get; }

    /// <summary>By their names in the model's state, [m, 1] each.</summary>
    public IEnumerable<string> CanaryWeights => Enumerable.Range(0, Layers).Select(layer => $"{nameof(_canaries)}.{layer}.weight");

    public override Tensor forward(Tensor input) => _site.call(input);

    /// <summary>The site's rows, 0 … n − 1, and after them the canaries that are in.</summary>
    /// <param name="included">Their numbers, ascending.</param>
    public Func<Tensor, Tensor> Losses(Func<Tensor, Tensor> rowLosses, int rows, int[] included)
    {
        Scalar first = _firstCanary = rows;
        Tensor numbers = tensor(included.Select(canary => (long)canary).Append(0).ToArray());
        return records =>
        {
            // Every layer sees every record, as the trainer asks; what is not a record's own is left out of its loss.
            Tensor isCanary = records.ge(first), none = zeros_like(records);
            Tensor canary = numbers.index_select(0, where(isCanary, records.sub(first), none));
            Tensor moved = stack([.. _canaries.Select(layer => layer.call(canary).squeeze(1))]).sum(new long[] { 0 });
            return where(isCanary, moved.mul(_slope), rowLosses(where(isCanary, none, records)));
        };
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _site.Dispose();
            _canaries.Dispose();
            _slope.Dispose();
            _firstCanary?.Dispose();
        }

        base.Dispose(disposing);
    }
}
