using System.Numerics;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Homomorphic;

/// <summary>
/// BFV in residues, compatible with SEAL: the same keys, the same public-key encryption (an encryption of zero modulo all primes, divided by the special one), the same rounding of messages.
/// Encryption and decryption have no branch and no index that depends on a secret. Thread-safe.
/// </summary>
/// <remarks>Fan and Vercauteren 2012; public-key encryption with the switch of moduli: SEAL 3.4 and later.</remarks>
public sealed class ManagedBfvEngine : IBfvEngine
{
    private readonly SecureRandom _random;
    private readonly bool _ownsRandom;
    private readonly MessageScale _scale;

    /// <param name="random">Of keys and errors.</param>
    /// <param name="ownsRandom">Whether it is disposed with the engine.</param>
    public ManagedBfvEngine(BfvParameters parameters, SecureRandom random, bool ownsRandom = false)
    {
        (Parameters, _random, _ownsRandom) = (parameters, random, ownsRandom);
        _scale = new MessageScale(parameters.DataRing, parameters.PlainModulus);
    }

    public string Name => "managed";

    public BfvParameters Parameters { get; }

    public SecretKey GenerateSecretKey()
    {
        RnsRing ring = Parameters.KeyRing;
        using SecretWords words = new(ring.Words);
        BfvKeys.Ternary(_random, ring, words.Span);
        return new(Parameters, words.Span);
    }

    public PublicKey GeneratePublicKey(SecretKey key)
    {
        RnsRing ring = Parameters.Own(key).Parameters.KeyRing;
        ulong[] words = new ulong[2 * ring.Words];
        RingSampler.Uniform(_random, ring, words.AsSpan(ring.Words));
        BfvKeys.PublicPart(_random, ring, key.Words, words.AsSpan(ring.Words), words.AsSpan(0, ring.Words));
        return new(Parameters, words);
    }

    public Ciphertext Encrypt(Plaintext plaintext, PublicKey key) => Encrypt(plaintext, key, _random);

    /// <summary>With given randomness: whoever knows it can compute the ciphertext again.</summary>
    internal Ciphertext Encrypt(Plaintext plaintext, PublicKey key, SecureRandom random)
    {
        Parameters.Own(key);
        ReadOnlySpan<ulong> message = Parameters.Own(plaintext).Coefficients;
        RnsRing all = Parameters.KeyRing, data = Parameters.DataRing;
        using SecretIntegers small = new(all.Degree);
        using SecretWords u = new(all.Words), sum = new(all.Words), error = new(all.Words);
        BfvKeys.Ternary(random, all, u.Span);
        ulong[] words = new ulong[2 * data.Words];
        for (int part = 0; part < 2; part++)
        {
            u.Span.CopyTo(sum.Span);
            all.Multiply(sum.Span, part == 0 ? key.First : key.Second);
            all.Inverse(sum.Span);
            RingSampler.Binomial(random, small.Span);
            all.FromSigned(small.Span, error.Span);
            all.Add(sum.Span, error.Span);
            if (all.Moduli.Count > 1) all.DivideByLast(sum.Span);
            sum.Span[..data.Words].CopyTo(words.AsSpan(part * data.Words));
        }

        _scale.AddTo(words.AsSpan(0, data.Words), message);
        return new(Parameters, data, words);
    }

    public Ciphertext EncryptSymmetric(Plaintext plaintext, SecretKey key)
    {
        RnsRing data = Parameters.Own(key).Parameters.DataRing;
        ReadOnlySpan<ulong> message = Parameters.Own(plaintext).Coefficients;
        ulong[] words = new ulong[2 * data.Words];
        Span<ulong> first = words.AsSpan(0, data.Words), second = words.AsSpan(data.Words);
        RingSampler.Uniform(_random, data, second);
        BfvKeys.PublicPart(_random, data, key.Words[..data.Words], second, first);
        data.Inverse(first);
        data.Inverse(second);
        _scale.AddTo(first, message);
        return new(Parameters, data, words);
    }

    public Ciphertext Add(Ciphertext a, Ciphertext b) => CiphertextSums.Add(Parameters, a, b);

    public Ciphertext AddMany(IReadOnlyList<Ciphertext> ciphertexts) => CiphertextSums.AddMany(Parameters, ciphertexts);

    public Ciphertext Subtract(Ciphertext a, Ciphertext b) => CiphertextSums.Subtract(Parameters, a, b);

    public Ciphertext Multiply(Ciphertext ciphertext, ulong factor) => CiphertextSums.Multiply(Parameters, ciphertext, factor);

    public Plaintext Decrypt(Ciphertext ciphertext, SecretKey key)
    {
        using SecretWords phase = Phase(ciphertext, key);
        using SecretWords message = new(Parameters.Degree);
        new MessageRounding(ciphertext.Ring, Parameters.PlainModulus).Round(phase.Span, message.Span);
        return new(Parameters, message.Span);
    }

    public int NoiseBudget(Ciphertext ciphertext, SecretKey key)
    {
        using SecretWords phase = Phase(ciphertext, key);
        BigInteger q = ciphertext.Ring.Product, largest = 0;
        for (int i = 0; i < Parameters.Degree; i++)
        {
            BigInteger noise = ciphertext.Ring.Compose(phase.Span, i) * Parameters.PlainModulus.Value % q;
            largest = BigInteger.Max(largest, BigInteger.Min(noise, q - noise));
        }

        return Math.Max(0, (int)q.GetBitLength() - (int)largest.GetBitLength() - 1);
    }

    public void Dispose()
    {
        if (_ownsRandom) _random.Dispose();
    }

    /// <summary>c₀ + c₁·s.</summary>
    private SecretWords Phase(Ciphertext ciphertext, SecretKey key)
    {
        RnsRing ring = Parameters.Own(ciphertext).Ring;
        Parameters.Own(key);
        SecretWords phase = new(ring.Words);
        ciphertext.Second.CopyTo(phase.Span);
        ring.Forward(phase.Span);
        ring.Multiply(phase.Span, key.Words[..ring.Words]);
        ring.Inverse(phase.Span);
        ring.Add(phase.Span, ciphertext.First);
        return phase;
    }
}
