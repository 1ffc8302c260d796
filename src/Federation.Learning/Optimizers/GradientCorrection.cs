using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.Optimizers;

/// <summary>What is added to each step's gradient before the optimizer sees it, the same whatever the step's records are: μ(w − w₀) + d, w₀ the global model, d SCAFFOLD's c − cᵢ.</summary>
/// <remarks>Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith 2020 (FedProx), equation 2: the gradient of (μ/2)‖w − w₀‖². Under DP-SGD it comes after clipping and noise; a function of earlier noisy steps, it costs nothing. Karimireddy et al. 2020 (SCAFFOLD), Algorithm 1, line 10.</remarks>
internal sealed class GradientCorrection
{
    private readonly float _proximal;
    private readonly float[][] _anchors; // of each parameter, in the module's order
    private readonly float[]?[] _drifts;

    private GradientCorrection(float proximal, float[][] anchors, float[]?[] drifts) => (_proximal, _anchors, _drifts) = (proximal, anchors, drifts);

    /// <param name="start">The global model, with a tensor for each of the module's parameters.</param>
    /// <returns>Null: nothing is added.</returns>
    public static GradientCorrection? Of(nn.Module module, LearningTask task, ModelState start)
    {
        if (task is { Spec.Local.Proximal: 0, Drift: null }) return null;
        Dictionary<string, float[]> values = start.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Values), drifts = task.Drift?.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Values) ?? [];
        string[] names = [.. module.named_parameters().Select(entry => entry.name)];
        return new((float)task.Spec.Local.Proximal, [.. names.Select(name => values[name])], [.. names.Select(name => drifts.GetValueOrDefault(name))]);
    }

    /// <param name="index">Of the parameter, from 0.</param>
    /// <param name="weights">Its values now.</param>
    /// <param name="gradient">As many; changed in place.</param>
    public void Add(int index, ReadOnlySpan<float> weights, Span<float> gradient)
    {
        float[] anchor = _anchors[index];
        if (_proximal != 0) for (int i = 0; i < gradient.Length; i++) gradient[i] += _proximal * (weights[i] - anchor[i]);
        if (_drifts[index] is { } drift) for (int i = 0; i < gradient.Length; i++) gradient[i] += drift[i];
    }

    /// <summary>The same around an optimizer of Torch's.</summary>
    public optim.Optimizer Around(optim.Optimizer inner) => new Corrected(this, inner);

    private sealed class Corrected : optim.Optimizer
    {
        private readonly optim.Optimizer _inner;
        private readonly Parameter[] _parameters;
        private readonly Tensor[] _anchors;
        private readonly Tensor?[] _drifts;
        private readonly Scalar _proximal;

        public Corrected(GradientCorrection correction, optim.Optimizer inner)
            : base(IntPtr.Zero)
        {
            (_inner, _proximal, _parameters) = (inner, correction._proximal, [.. inner.parameters()]);
            _anchors = [.. _parameters.Select((parameter, i) => Like(parameter, correction._anchors[i]))];
            _drifts = [.. _parameters.Select((parameter, i) => correction._drifts[i] is { } drift ? Like(parameter, drift) : null)];
        }

        private static Tensor Like(Parameter parameter, float[] values) => tensor(values, parameter.shape, dtype: parameter.dtype, device: parameter.device).DetachFromDisposeScope();

        public override IEnumerable<Parameter> parameters() => _parameters;

        public override IEnumerable<optim.ILearningRateController> ParamGroups => _inner.ParamGroups;

        public override void zero_grad() => _inner.zero_grad();

        /// <summary>Another tensor takes the gradient's place: its own may be what was released, or a view of it.</summary>
        public override Tensor? step(Func<Tensor>? closure = null)
        {
            Tensor? loss = closure?.Invoke();
            using IDisposable scope = NewDisposeScope();
            using (no_grad())
            {
                for (int i = 0; i < _parameters.Length; i++)
                {
                    if (_parameters[i].grad is not { } gradient) continue;
                    Tensor corrected = gradient.add(_parameters[i].Minus(_anchors[i]), _proximal);
                    _parameters[i].grad = _drifts[i] is { } drift ? corrected.Plus(drift) : corrected;
                }
            }

            _inner.step();
            return loss;
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                _inner.Dispose();
                foreach (Tensor anchor in _anchors) anchor.Dispose();
                foreach (Tensor? drift in _drifts) drift?.Dispose();
                _proximal.Dispose();
            }

            base.Dispose(disposing);
        }
    }
}
