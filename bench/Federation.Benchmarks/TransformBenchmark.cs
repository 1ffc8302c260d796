using System.Diagnostics;
using System.Globalization;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;

namespace Federation.Benchmarks;

/// <summary>One number-theoretic transform on one core: N = 2048 as the pad ring has it, N = 8192 for one prime of 50 bits, forward and back, by each width this processor has. Medians of 21 times 1000 calls.</summary>
internal static class TransformBenchmark
{
    private const int Turns = 21, Calls = 1000;

    public static int Run()
    {
        Console.WriteLine($"{Measured.Machine()}; microseconds a call");
        Console.WriteLine($"{"",-40}{"median",10}{"least",10}   native SEAL 4.4.3, Zen 3 (published)");
        foreach ((int degree, ulong prime, string forward, string back) in new[] { (2048, PadRing.Modulus, "34-38", "29-31"), (8192, Prime(8192, 50), "161-175", "135-138") })
        {
            ulong[] values = [.. Enumerable.Range(0, degree).Select(i => (ulong)i * 1_000_003 % prime)];
            foreach (VectorWidth width in new[] { VectorWidth.Bits512, VectorWidth.Bits256, VectorWidth.None })
            {
                if (width == VectorWidth.Bits512 ? !Lanes512.IsSupported : width == VectorWidth.Bits256 && !Lanes256.IsSupported) continue;
                NegacyclicTransform transform = new(degree, new Modulus(prime), width);
                string name = $"N = {degree}, {new Modulus(prime).Bits} bits, {(width == VectorWidth.None ? "scalar" : $"{(int)width} bits wide")}";
                Print(name, () => transform.Forward(values), forward);
                Print(name + ", inverse", () => transform.Inverse(values), back);
            }
        }

        return 0;
    }

    /// <summary>The largest prime of so many bits that is 1 modulo 2N.</summary>
    private static ulong Prime(int degree, int bits)
    {
        ulong candidate = (1UL << bits) - (2 * (ulong)degree) + 1;
        while (!new Modulus(candidate).IsPrime()) candidate -= 2 * (ulong)degree;
        return candidate;
    }

    private static void Print(string name, Action work, string native)
    {
        for (int i = 0; i < Calls; i++) work(); // warms up
        double[] times = [.. Enumerable.Range(0, Turns).Select(_ =>
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < Calls; i++) work();
            return Stopwatch.GetElapsedTime(start).TotalMicroseconds / Calls;
        }).Order()];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-40}{times[Turns / 2],10:F1}{times[0],10:F1}   {native}"));
    }
}
