using System.Numerics;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Tests.Homomorphic;

/// <summary>What decryption cannot show: that secrets and errors are there and have the right distribution. Each test raises a false alarm with probability 10⁻⁷ or less.</summary>
public sealed class ManagedBfvEngineTests
{
    private const double FalseAlarms = 1e-7;
    private const int Repeats = 24;

    private static readonly double[] s_ternary = [1.0 / 3, 1.0 / 3, 1.0 / 3];
    private static readonly double[] s_binomial = Binomial();

    public static TheoryData<string> Sets => ["1024, one prime", "4096 default, t = 1032193", "4096, 60 and 49 bits, t odd and composite", "8192, a special prime smaller than the others", "key ring"];

    [Theory]
    [MemberData(nameof(Sets))]
    public void GenerateSecretKey_Coefficients_AreTernary(string set)
    {
        using ManagedBfvEngine engine = new(BfvSets.All[set], new SecureRandom(), ownsRandom: true);
        List<int> all = [];
        for (int repeat = 0; repeat < Repeats; repeat++)
        {
            using SecretKey key = engine.GenerateSecretKey();
            all.AddRange(Signed(engine.Parameters.KeyRing, Coefficients(engine.Parameters.KeyRing, key.Words)));
        }

        Assert.Null(Frequencies.Complaint(all.ToArray(), -1, s_ternary, FalseAlarms));
    }

    [Theory] // p₀ + p₁·s = −e, one e a key
    [MemberData(nameof(Sets))]
    public void GeneratePublicKey_Errors_AreCentredBinomial(string set)
    {
        using ManagedBfvEngine engine = new(BfvSets.All[set], new SecureRandom(), ownsRandom: true);
        RnsRing ring = engine.Parameters.KeyRing;
        using SecretKey key = engine.GenerateSecretKey();
        List<int> all = [];
        for (int repeat = 0; repeat < Repeats; repeat++)
        {
            PublicKey publicKey = engine.GeneratePublicKey(key);
            ulong[] phase = publicKey.Second.ToArray();
            ring.Multiply(phase, key.Words);
            ring.Add(phase, publicKey.First);
            all.AddRange(Signed(ring, Coefficients(ring, phase)));
        }

        Assert.Null(Frequencies.Complaint(all.ToArray(), -21, s_binomial, FalseAlarms));
    }

    [Theory]
    [MemberData(nameof(Sets))]
    public void EncryptSymmetric_Errors_AreCentredBinomial(string set)
    {
        BfvParameters parameters = BfvSets.All[set];
        using ManagedBfvEngine engine = new(parameters, new SecureRandom(), ownsRandom: true);
        RnsRing ring = parameters.DataRing;
        using SecretKey key = engine.GenerateSecretKey();
        using Plaintext plain = BfvSets.Any(parameters);
        ulong[] message = RingInputs.Element(ring, j => MessageScale.Plain(ring.Product, parameters.PlainModulus.Value, plain.Coefficients[j]));
        List<int> all = [];
        for (int repeat = 0; repeat < Repeats; repeat++)
        {
            Ciphertext ciphertext = engine.EncryptSymmetric(plain, key);
            ulong[] phase = ciphertext.Second.ToArray();
            ring.Forward(phase);
            ring.Multiply(phase, key.Words[..ring.Words]);
            ring.Inverse(phase);
            ring.Add(phase, ciphertext.First);
            ring.Subtract(phase, message);
            all.AddRange(Signed(ring, phase));
        }

        Assert.Null(Frequencies.Complaint(all.ToArray(), -21, s_binomial, FalseAlarms));
    }

    [Theory] // u ternary, then for each half an error of its own; divided by the special prime in BigInteger
    [MemberData(nameof(Sets))]
    public void Encrypt_KnownRandomness_IsTheFormula(string set)
    {
        BfvParameters parameters = BfvSets.All[set];
        using ManagedBfvEngine engine = new(parameters, new SecureRandom(), ownsRandom: true);
        RnsRing all = parameters.KeyRing, data = parameters.DataRing;
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        using Plaintext plain = BfvSets.Any(parameters);
        using SecureRandom given = SecureRandom.WithKnownKey(new byte[32]), again = SecureRandom.WithKnownKey(new byte[32]);
        Ciphertext ciphertext = engine.Encrypt(plain, publicKey, given);

        int[] u = new int[parameters.Degree], error = new int[parameters.Degree];
        RingSampler.Ternary(again, u);
        foreach (bool first in (bool[])[true, false])
        {
            RingSampler.Binomial(again, error);
            ulong[] product = RingInputs.Element(all, j => u[j]);
            all.Forward(product);
            all.Multiply(product, first ? publicKey.First : publicKey.Second);
            BigInteger[] values = RingInputs.Composed(all, Coefficients(all, product));
            BigInteger last = all.Moduli.Count > 1 ? all.Moduli[^1].Value : 1;
            BigInteger[] expected = [.. values.Select((value, j) =>
            {
                BigInteger sum = (value + error[j] + all.Product) % all.Product, rounded = ((2 * sum) + last) / (2 * last);
                return (rounded + (first ? MessageScale.Plain(data.Product, parameters.PlainModulus.Value, plain.Coefficients[j]) : 0)) % data.Product;
            })];
            Assert.Equal(expected, RingInputs.Composed(data, first ? ciphertext.First : ciphertext.Second));
        }
    }

    [Fact]
    public void Decrypt_AfterDispose_NeedsNoRandomness()
    {
        BfvParameters parameters = BfvSets.All["1024, one prime"];
        ManagedBfvEngine engine = new(parameters, new SecureRandom(), ownsRandom: true);
        using SecretKey key = engine.GenerateSecretKey();
        using Plaintext plain = BfvSets.Any(parameters);
        Ciphertext ciphertext = engine.EncryptSymmetric(plain, key);
        engine.Dispose();
        Assert.Throws<ObjectDisposedException>(engine.GenerateSecretKey);
        using Plaintext opened = engine.Decrypt(ciphertext, key);
        Assert.Equal(plain.Coefficients.ToArray(), opened.Coefficients.ToArray());
    }

    private static ulong[] Coefficients(RnsRing ring, ReadOnlySpan<ulong> values)
    {
        ulong[] words = values.ToArray();
        ring.Inverse(words);
        return words;
    }

    private static int[] Signed(RnsRing ring, ReadOnlySpan<ulong> element)
    {
        // The same small integer modulo every prime, or int.MaxValue, which no distribution has.
        int[] values = new int[ring.Degree];
        for (int i = 0; i < ring.Moduli.Count; i++)
        {
            ulong q = ring.Moduli[i].Value;
            for (int j = 0; j < values.Length; j++)
            {
                ulong word = element[(i * ring.Degree) + j];
                int value = word < 1000 ? (int)word : q - word < 1000 ? -(int)(q - word) : int.MaxValue;
                values[j] = i == 0 || values[j] == value ? value : int.MaxValue;
            }
        }

        return values;
    }

    private static double[] Binomial()
    {
        double[] probabilities = new double[43];
        double value = 1 / Math.Pow(2, 42);
        for (int k = 0; k <= 42; k++, value = value * (43 - k) / k) probabilities[k] = value;
        return probabilities;
    }
}
