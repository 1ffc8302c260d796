namespace Federation.Privacy.Homomorphic;

/// <summary>A polynomial with coefficients in [0, t), from the lowest. Dispose wipes it.</summary>
public sealed class Plaintext : IDisposable
{
    private readonly SecretWords _coefficients;

    /// <param name="coefficients">At most N of them, each below t; copied. Missing ones are zero.</param>
    /// <exception cref="ArgumentException">There are more, or one is too large.</exception>
    public Plaintext(BfvParameters parameters, ReadOnlySpan<ulong> coefficients)
    {
        if (coefficients.Length > parameters.Degree) throw new ArgumentException($"A plaintext has at most {parameters.Degree} coefficients, not {coefficients.Length}.", nameof(coefficients));
        int wrong = coefficients.IndexOfAnyExceptInRange(0UL, parameters.PlainModulus.Value - 1);
        if (wrong >= 0) throw new ArgumentException($"Coefficient {wrong} is not below the plain modulus {parameters.PlainModulus.Value}.", nameof(coefficients));
        Parameters = parameters;
        _coefficients = new(parameters.Degree);
        coefficients.CopyTo(_coefficients.Span);
    }

    public BfvParameters Parameters { get; }

    /// <summary>All N, from the lowest.</summary>
    /// <exception cref="ObjectDisposedException">The plaintext has been wiped: its zeros are no message.</exception>
    public ReadOnlySpan<ulong> Coefficients => _coefficients.Span;

    public void Dispose() => _coefficients.Dispose();
}

/// <summary>(c₀, c₁) with c₀ + c₁·s ≈ (q/t)·m modulo the data level's first primes, coefficient form, canonical.</summary>
public sealed class Ciphertext
{
    private readonly ulong[] _words;

    /// <param name="primes">L, from <see cref="BfvParameters.FewestPrimes"/> to the data level's number.</param>
    /// <param name="words">2·L·N: c₀, then c₁, each prime after prime; kept, not copied.</param>
    /// <exception cref="ArgumentException">The sizes do not fit, or a word is not below its prime.</exception>
    public Ciphertext(BfvParameters parameters, int primes, ulong[] words)
    {
        if (primes < parameters.FewestPrimes || primes > parameters.DataRing.Moduli.Count) throw new ArgumentException($"A ciphertext has {parameters.FewestPrimes} to {parameters.DataRing.Moduli.Count} primes, not {primes}.", nameof(primes));
        (Parameters, Ring, _words) = (parameters, parameters.DataRing.First(primes), words);
        if (words.Length != 2 * Ring.Words) throw new ArgumentException($"A ciphertext of {primes} primes has {2 * Ring.Words} words, not {words.Length}.", nameof(words));
        if (!Ring.IsCanonical(First) || !Ring.IsCanonical(Second)) throw new ArgumentException("A word of the ciphertext is not below its prime.", nameof(words));
    }

    /// <summary>Of words that ring operations gave: nothing is checked.</summary>
    internal Ciphertext(BfvParameters parameters, RnsRing ring, ulong[] words) => (Parameters, Ring, _words) = (parameters, ring, words);

    public BfvParameters Parameters { get; }

    /// <summary>Where c₀ and c₁ lie.</summary>
    public RnsRing Ring { get; }

    /// <summary>L.</summary>
    public int Primes => Ring.Moduli.Count;

    public ReadOnlySpan<ulong> Words => _words;

    /// <summary>c₀.</summary>
    public ReadOnlySpan<ulong> First => _words.AsSpan(0, Ring.Words);

    /// <summary>c₁.</summary>
    public ReadOnlySpan<ulong> Second => _words.AsSpan(Ring.Words);
}

/// <summary>(−(a·s + e), a) modulo all primes, values at the roots.</summary>
public sealed class PublicKey
{
    private readonly ulong[] _words;

    /// <param name="words">2·k·N, canonical; kept, not copied.</param>
    /// <exception cref="ArgumentException">The size does not fit, or a word is not below its prime.</exception>
    public PublicKey(BfvParameters parameters, ulong[] words)
    {
        (Parameters, _words) = (parameters, words);
        if (words.Length != 2 * parameters.KeyRing.Words) throw new ArgumentException($"A public key has {2 * parameters.KeyRing.Words} words, not {words.Length}.", nameof(words));
        if (!parameters.KeyRing.IsCanonical(First) || !parameters.KeyRing.IsCanonical(Second)) throw new ArgumentException("A word of the public key is not below its prime.", nameof(words));
    }

    public BfvParameters Parameters { get; }

    public ReadOnlySpan<ulong> Words => _words;

    /// <summary>−(a·s + e).</summary>
    public ReadOnlySpan<ulong> First => _words.AsSpan(0, Parameters.KeyRing.Words);

    /// <summary>a.</summary>
    public ReadOnlySpan<ulong> Second => _words.AsSpan(Parameters.KeyRing.Words);
}

/// <summary>A ternary polynomial modulo all primes, values at the roots. Dispose wipes it.</summary>
public sealed class SecretKey : IDisposable
{
    private readonly SecretWords _words;

    /// <param name="words">k·N, canonical; copied to memory that the collector does not move.</param>
    /// <exception cref="ArgumentException">The size does not fit, or a word is not below its prime.</exception>
    public SecretKey(BfvParameters parameters, ReadOnlySpan<ulong> words)
    {
        if (words.Length != parameters.KeyRing.Words) throw new ArgumentException($"A secret key has {parameters.KeyRing.Words} words, not {words.Length}.", nameof(words));
        if (!parameters.KeyRing.IsCanonical(words)) throw new ArgumentException("A word of the secret key is not below its prime.", nameof(words));
        Parameters = parameters;
        _words = new(words.Length);
        words.CopyTo(_words.Span);
    }

    public BfvParameters Parameters { get; }

    /// <exception cref="ObjectDisposedException">The key has been wiped.</exception>
    public ReadOnlySpan<ulong> Words => _words.Span;

    public void Dispose() => _words.Dispose();
}
