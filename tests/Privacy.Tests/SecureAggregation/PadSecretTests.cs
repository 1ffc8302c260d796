using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Privacy.Tests.Mechanisms;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class PadSecretTests
{
    [Fact] // 128 secrets: 262,144 values against σ = 6.1, the figure that the security estimates rest on
    public void Values_OfFreshSecrets_AreDiscreteGaussians()
    {
        using SecureRandom random = new();
        long[] values = new long[128 * PadRing.Degree];
        for (int i = 0; i < values.Length; i += PadRing.Degree)
        {
            using PadSecret secret = new(random);
            secret.Values.CopyTo(values.AsSpan(i));
        }

        Assert.Null(Fit.Complaint(values, 6.1 * 6.1));
    }

    [Fact]
    public void ToPlaintext_ASumBesideItThatCouldWrap_IsRefused()
    {
        using SecureRandom random = new();
        using PadSecret secret = new(random);
        ulong largest = ((1UL << 40) - 1) / 10;
        secret.ToPlaintext(BfvParameters.ForKeys, [largest], 10).Dispose();
        Assert.Contains("could wrap", Assert.Throws<ArgumentOutOfRangeException>(() => secret.ToPlaintext(BfvParameters.ForKeys, [0, largest + 1], 10)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SumFrom_ThePlaintext_ComesBackCentred()
    {
        using SecureRandom random = new();
        using PadSecret secret = new(random);
        using Plaintext plaintext = secret.ToPlaintext(BfvParameters.ForKeys, [7, 8], 3);
        Assert.Equal(secret.Values.ToArray(), PadSecret.SumFrom(plaintext));
        Assert.Equal([7UL, 8UL, 0UL], plaintext.Coefficients.Slice(PadRing.Degree, 3).ToArray());
        // Sums of both signs, up to half of t.
        using Plaintext sums = new(BfvParameters.ForKeys, [1UL << 39, (1UL << 39) + 1, (1UL << 40) - 1, 3UL << 38, 1UL << 38]);
        Assert.Equal([1L << 39, 1 - (1L << 39), -1, -(1L << 38), 1L << 38], PadSecret.SumFrom(sums)[..5]);
        BfvParameters small = new(1024, [0x7e00001], 16), narrow = new(4096, [0xffffee001, 0xffffc4001, 0x1ffffe0001], 65537);
        Assert.Throws<ArgumentException>(() => secret.ToPlaintext(small, [], 3));
        Assert.Contains("t > 204600", Assert.Throws<ArgumentException>(() => secret.ToPlaintext(narrow, [], 100)).Message, StringComparison.Ordinal);
    }
}
