using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Privacy.Tests.Homomorphic;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class ShamirSharingTests
{
    private static readonly RnsRing s_ring = new(1024, [0x7e00001, 0x7fff801]), s_tiny = new(16, [97]);

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(7)]
    public void Share_OfKnownRandomness_IsThePolynomialOfTheDraws(int threshold)
    {
        byte[] key = SHA256.HashData([(byte)threshold]);
        using SecureRandom random = SecureRandom.WithKnownKey(key), same = SecureRandom.WithKnownKey(key);
        ulong[][] coefficients = [.. Enumerable.Range(0, threshold).Select(_ => new ulong[s_ring.Words])];
        for (int i = 0; i < s_ring.Words; i++) coefficients[0][i] = (ulong)i * 7919;
        using ShamirSharing sharing = new(s_ring, coefficients[0], threshold, random);
        foreach (ulong[] coefficient in coefficients[1..]) RingSampler.Uniform(same, s_ring, coefficient);
        ulong[] share = new ulong[s_ring.Words], expected = new ulong[s_ring.Words];
        foreach (int point in (int[])[1, 2, 17, 32])
        {
            for (int i = 0; i < expected.Length; i++)
            {
                (ulong q, ulong power) = (s_ring.Moduli[i / s_ring.Degree].Value, 1);
                expected[i] = 0;
                foreach (ulong[] coefficient in coefficients)
                {
                    expected[i] = PlainSharing.Multiplied(coefficient[i], power, q, plus: expected[i]);
                    power = PlainSharing.Multiplied(power, (ulong)point, q);
                }
            }

            sharing.Share(point, share);
            Assert.Equal(expected, share);
        }
    }

    [Theory] // so they say nothing of it: all 97² pairs are as likely, whichever of 97 values is shared
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(60)]
    public void Shares_TwoWhereThreeAreNeeded_AreUniformWhateverTheSecret(int secret)
    {
        const double FalseAlarms = 1e-8;
        ulong[] secrets = [.. Enumerable.Repeat((ulong)secret, s_tiny.Words)], first = new ulong[s_tiny.Words], second = new ulong[s_tiny.Words];
        double[] even = [.. Enumerable.Repeat(1.0 / (97 * 97), 97 * 97)];
        using SecureRandom random = new();
        foreach ((int i, int j) in ((int, int)[])[(1, 2), (2, 5)])
        {
            long[] counts = new long[97 * 97];
            for (int sharings = 0; sharings < 10_000; sharings++)
            {
                using ShamirSharing sharing = new(s_tiny, secrets, 3, random);
                sharing.Share(i, first);
                sharing.Share(j, second);
                for (int word = 0; word < first.Length; word++) counts[(97 * first[word]) + second[word]]++;
            }

            Assert.InRange(Frequencies.PValue(counts, even), FalseAlarms, 1);
        }
    }
}
