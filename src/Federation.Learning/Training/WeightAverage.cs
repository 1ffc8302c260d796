using Federation.Formats.Runs;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.Training;

/// <summary>The exponential moving average of a module's parameters after each step: a ← βa + (1 − β)w from a = 0, and a/(1 − βᵗ) in the end.</summary>
/// <remarks>Kingma and Ba 2015, section 7.2. Buffers, such as running means, are as the last step leaves them.</remarks>
internal sealed class WeightAverage : IDisposable
{
    private readonly Parameter[] _parameters;
    private readonly Tensor[] _sums;
    private readonly double _decay;
    private readonly Scalar _kept, _added;
    private long _steps;

    private WeightAverage(nn.Module module, double decay)
    {
        using IDisposable off = no_grad();
        _parameters = [.. module.parameters()];
        _sums = [.. _parameters.Select(parameter => zeros_like(parameter).DetachFromDisposeScope())];
        (_decay, _kept, _added) = (decay, decay, 1 - decay);
    }

    /// <returns>Null: the spec asks for none.</returns>
    public static WeightAverage? Of(nn.Module module, LocalSpec local) => local.WeightAverage > 0 ? new(module, local.WeightAverage) : null;

    /// <summary>Takes the weights as they are now.</summary>
    public void Add()
    {
        using IDisposable off = no_grad(), scope = NewDisposeScope();
        for (int i = 0; i < _sums.Length; i++) _sums[i].mul_(_kept).add_(_parameters[i], _added);
        _steps++;
    }

    /// <summary>Puts the average in the parameters' place; without a step they stay.</summary>
    public void Apply()
    {
        if (_steps == 0) return;
        using IDisposable off = no_grad(), scope = NewDisposeScope();
        using Scalar correction = 1 / (1 - Math.Pow(_decay, _steps));
        for (int i = 0; i < _sums.Length; i++) _parameters[i].copy_(_sums[i].mul(correction));
    }

    public void Dispose()
    {
        foreach (Tensor sum in _sums) sum.Dispose();
        _kept.Dispose();
        _added.Dispose();
    }
}
