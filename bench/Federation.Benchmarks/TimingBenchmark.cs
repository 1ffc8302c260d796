using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Benchmarks;

/// <summary>
/// Whether time depends on secrets: each operation with one fixed secret and with random ones, in random turn, compared by Welch's t on the whole times and on those below several quantiles. |t| above 4.5 with 10,000 samples is a reason to look; a dependence makes it grow with the root of the number.
/// The last line is known to depend on its secret, and shows that the comparison sees it.
/// </summary>
/// <remarks>Reparaz, Balasch, Verbauwhede 2017 ("dudect").</remarks>
internal static class TimingBenchmark
{
    private const double Suspicious = 4.5;

    public static int Run(string[] args)
    {
        int samples = 10_000;
        if (args is not [] && !(args is ["--samples", var given] && int.TryParse(given, CultureInfo.InvariantCulture, out samples) && samples >= 100))
        {
            Console.Error.WriteLine($"'{string.Join(' ', args)}' is not an option: --samples N, N at least 100.");
            return 2;
        }

        BfvParameters parameters = BfvParameters.ForKeys;
        using ManagedBfvEngine engine = new(parameters, new SecureRandom(), ownsRandom: true);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        SecretKey[] keys = [.. Enumerable.Range(0, 64).Select(_ => engine.GenerateSecretKey())];
        using Plaintext zeros = new(parameters, []);
        Ciphertext ciphertext = engine.Encrypt(zeros, publicKey);
        Console.WriteLine($"{parameters}; {samples} samples each; Welch's t: all times, then the fastest 99, 90, 50 in 100");
        bool suspicious = false;
        // Both classes read the same memory and write their secret to fresh memory: caches know neither better.
        suspicious |= Compare("encrypt, plaintext of zeros or random", samples, random => Message(parameters, random), plaintext => engine.Encrypt(plaintext, publicKey));
        suspicious |= Compare("encrypt with the secret key, plaintext of zeros or random", samples, random => Message(parameters, random), plaintext => engine.EncryptSymmetric(plaintext, key));
        suspicious |= Compare("encrypt with the secret key, one key or random ones", samples, random => Key(key, keys, random), secret => engine.EncryptSymmetric(zeros, secret));
        suspicious |= Compare("public key, one secret key or random ones", samples, random => Key(key, keys, random), secret => engine.GeneratePublicKey(secret));
        suspicious |= Compare("decrypt, the right key or random ones", samples, random => Key(key, keys, random), secret => engine.Decrypt(ciphertext, secret).Dispose());
        Compare("noise budget (depends on the noise), the same", Math.Max(200, samples / 50), random => Key(key, keys, random), secret => engine.NoiseBudget(ciphertext, secret));
        return suspicious ? 1 : 0;
    }

    private static Plaintext Message(BfvParameters parameters, bool random)
    {
        ulong[] words = new ulong[parameters.Degree];
        RandomNumberGenerator.Fill(System.Runtime.InteropServices.MemoryMarshal.AsBytes(words.AsSpan()));
        ulong mask = random ? (1UL << 40) - 1 : 0;
        foreach (ref ulong word in words.AsSpan()) word &= mask;
        return new(parameters, words);
    }

    private static SecretKey Key(SecretKey key, SecretKey[] keys, bool random)
    {
        ReadOnlySpan<ulong> one = key.Words, other = keys[RandomNumberGenerator.GetInt32(keys.Length)].Words;
        ulong[] words = new ulong[one.Length];
        ulong mask = random ? ulong.MaxValue : 0;
        for (int i = 0; i < words.Length; i++) words[i] = (one[i] & ~mask) | (other[i] & mask);
        return new(key.Parameters, words);
    }

    private static bool Compare<T>(string name, int samples, Func<bool, T> prepare, Action<T> work)
        where T : IDisposable
    {
        List<double> fix = [], random = [];
        for (int i = -200; i < 2 * samples; i++)
        {
            bool isRandom = RandomNumberGenerator.GetInt32(2) == 1;
            using T secret = prepare(isRandom);
            long start = Stopwatch.GetTimestamp();
            work(secret);
            double time = Stopwatch.GetElapsedTime(start).TotalMicroseconds;
            if (i >= 0) (isRandom ? random : fix).Add(time);
        }

        double[] all = [.. fix.Concat(random).Order()];
        double[] t = [.. new[] { 1, 0.99, 0.9, 0.5 }.Select(part =>
        {
            double limit = all[(int)(part * (all.Length - 1))];
            return Welch([.. fix.Where(time => time <= limit)], [.. random.Where(time => time <= limit)]);
        })];
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{name,-60}{all[all.Length / 2],10:F0} µs   t = {string.Join("  ", t.Select(value => value.ToString("F2", CultureInfo.InvariantCulture).PadLeft(7)))}"));
        return t.Any(value => Math.Abs(value) > Suspicious);
    }

    private static double Welch(double[] a, double[] b)
    {
        (double meanA, double errorA) = Moments(a);
        (double meanB, double errorB) = Moments(b);
        return (meanA - meanB) / Math.Sqrt(errorA + errorB);

        static (double Mean, double Error) Moments(double[] values)
        {
            double mean = values.Average();
            return (mean, values.Sum(value => (value - mean) * (value - mean)) / (values.Length - 1.0) / values.Length);
        }
    }
}
