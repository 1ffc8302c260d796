using System.Runtime.InteropServices;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Turns the sum of clipped gradients into what may be released: (Σ + N(0, (σC)²))/divisor.</summary>
/// <remarks>Abadi et al. 2016, Algorithm 1, "add noise". It does not depend on the gradients, so a second thread draws it while they are computed; of one key it is the same either way.</remarks>
internal sealed class GradientNoise
{
    // Drawing fewer values takes less time than handing them over.
    private const int LeastConcurrent = 1 << 14;

    private readonly GridGaussian _mechanism;
    private readonly double _divisor;
    private readonly long[] _noise;
    private Task? _drawing;

    /// <param name="divisor">A public number, never the size that was drawn or the number of units, which are private.</param>
    public GradientNoise(int dimension, double sensitivity, NoiseMultiplier noiseMultiplier, SamplingRate rate, double divisor, SecureRandom random)
    {
        _mechanism = new(noiseMultiplier.Value * sensitivity, sensitivity, dimension, random);
        (_divisor, _noise) = (divisor, new long[dimension]);
        Event = _mechanism.Sampled(rate);
    }

    /// <summary>What one step costs, under AddOrRemoveOne.</summary>
    public PrivacyEvent Event { get; }

    /// <summary>Begins to draw the noise of the next <see cref="Apply"/>. Nobody else may use the generator until then.</summary>
    public void Draw()
    {
        Discard();
        if (_noise.Length >= LeastConcurrent && Environment.ProcessorCount > 1)
        {
            _drawing = Task.Run(() => _mechanism.Draw(_noise));
            return;
        }

        _mechanism.Draw(_noise);
        _drawing = Task.CompletedTask;
    }

    /// <summary>Noise that was drawn for nothing.</summary>
    public void Discard()
    {
        if (_drawing is not { } drawing) return;
        _drawing = null;
        // A plain wait: the work is arithmetic on the pool and waits for nobody.
        ((IAsyncResult)drawing).AsyncWaitHandle.WaitOne();
        Array.Clear(_noise);
    }

    /// <param name="sum">[P], float32; holds the noisy mean afterwards.</param>
    /// <exception cref="NonFiniteTrainingException">The sum is not finite, or too large for the grid; nothing of it may be released.</exception>
    /// <exception cref="InvalidOperationException">No noise was drawn for it.</exception>
    public void Apply(Tensor sum)
    {
        Task drawing = _drawing ?? throw new InvalidOperationException("Draw comes before Apply: noise is used once.");
        drawing.GetAwaiter().GetResult();
        using IDisposable scope = NewDisposeScope();
        bool here = sum.device_type == TorchSharp.DeviceType.CPU;
        Tensor local = here ? sum : sum.cpu();
        try
        {
            _mechanism.Release(MemoryMarshal.Cast<byte, float>(local.bytes), _noise, _divisor);
            _drawing = null;
        }
        catch (NonFiniteValueException error)
        {
            throw new NonFiniteTrainingException($"The sum of clipped gradients cannot be released: {error.Message}");
        }

        if (!here) sum.copy_(local);
    }
}
