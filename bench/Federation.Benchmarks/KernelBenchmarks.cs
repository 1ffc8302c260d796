using BenchmarkDotNet.Attributes;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Benchmarks;

[MemoryDiagnoser]
public class NoiseKernels
{
    private readonly SecureRandom _random = new();
    private readonly long[] _noise = new long[1 << 20];
    private readonly float[] _vector = new float[1 << 20];
    private readonly HadamardRotation _rotation = new(new byte[32], 1 << 16);
    private DiscreteGaussianSampler _sampler = null!;

    [Params(6.1, 1000, 1e8)]
    public double Sigma { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _sampler = new DiscreteGaussianSampler(Sigma * Sigma, _random);
        Array.Fill(_vector, 1f);
    }

    [Benchmark]
    public void DiscreteGaussian() => _sampler.Fill(_noise);

    [Benchmark]
    public double Clip() => Clipping.Flat(_vector, 500);

    [Benchmark]
    public void Hadamard() => _rotation.Forward(_vector);

    [GlobalCleanup]
    public void Cleanup() => _random.Dispose();
}

[MemoryDiagnoser]
public class AccountingKernels
{
    private readonly PldAccountant _pld = new();
    private readonly RdpAccountant _rdp = new();
    private readonly RepeatedEvent _run = new(new GaussianEvent(1, 0.01), 10_000);

    [Benchmark]
    public double Pld() => _pld.AtDelta([_run], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;

    [Benchmark]
    public double Rdp() => _rdp.AtDelta([_run], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
}
