using Federation.Privacy.Mechanisms;

namespace Federation.Benchmarks;

/// <summary>25 million discrete Gaussian values; <c>taskset -c 0</c> keeps it to one core, <c>DOTNET_EnableAVX512=0</c> and <c>DOTNET_EnableAVX2=0</c> take vectors away.</summary>
internal static class NoiseBenchmark
{
    public static int Run()
    {
        using SecureRandom random = new();
        long[] noise = new long[25_000_000];
        List<Measured> measured = [];
        foreach (double sigma in (double[])[6.1, 1000, 1e8])
        {
            DiscreteGaussianSampler sampler = new(sigma * sigma, random);
            measured.Add(Measured.Of($"25 million values, σ = {sigma}", 5, () => sampler.Fill(noise)));
        }

        ExactSampler exact = new(random);
        foreach (int length in (int[])[1, 100, 1000, 10_000])
        {
            measured.Add(Measured.Of($"{length} values, σ = 1000, a new sampler", 5, () => new DiscreteGaussianSampler(1e6, random).Fill(noise.AsSpan(0, length))));
            measured.Add(Measured.Of($"{length} values, σ = 1000, the exact sampler", 5, () =>
            {
                for (int i = 0; i < length; i++) noise[i] = (long)exact.DiscreteGaussian(1e6);
            }));
        }

        Measured.Print(measured);
        return 0;
    }
}
