using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>One float32 vector for the sum of all trained parameters' gradients, and a view of it for each parameter.</summary>
internal sealed class GradientBuffer : IDisposable
{
    private readonly Dictionary<string, Tensor> _views = [];

    /// <exception cref="LearningException">Nothing is trained, or a parameter is not float32.</exception>
    public GradientBuffer(nn.Module model)
    {
        using IDisposable scope = NewDisposeScope();
        (string Name, Tensor Parameter)[] trained = [.. model.named_parameters().Select(entry => (entry.name, (Tensor)entry.parameter)).Where(entry => entry.Item2.requires_grad)];
        if (trained.Length == 0) throw new LearningException("The model has no parameter that requires a gradient.");
        foreach ((string name, Tensor parameter) in trained)
        {
            if (parameter.dtype != ScalarType.Float32) throw new LearningException($"'{name}' is {parameter.dtype}; gradients are clipped in float32.");
        }

        Names = [.. trained.Select(entry => entry.Name)];
        Parameters = [.. trained.Select(entry => entry.Parameter)];
        Flat = zeros(Parameters.Sum(parameter => parameter.numel()), device: Parameters[0].device).DetachFromDisposeScope();
        long start = 0;
        foreach ((string name, Tensor parameter) in trained)
        {
            long end = start + parameter.numel();
            _views[name] = Flat.slice(0, start, end, 1).view(parameter.shape).DetachFromDisposeScope();
            start = end;
        }
    }

    /// <summary>By their names in the model, as they lie one after another.</summary>
    public IReadOnlyList<string> Names { get; }

    public IReadOnlyList<Tensor> Parameters { get; }

    /// <summary>[P]</summary>
    public Tensor Flat { get; }

    public Tensor this[string name] => _views[name];

    public bool Holds(string name) => _views.ContainsKey(name);

    public void Dispose()
    {
        foreach (Tensor view in _views.Values) view.Dispose();
        Flat.Dispose();
    }
}
