using System.Numerics;

namespace Federation.Privacy.Homomorphic;

/// <summary>
/// Parameters of BFV (Fan and Vercauteren 2012) as SEAL has them: degree N, primes (the last is SEAL's special prime: only keys have it), plain modulus t.
/// Every set here keeps SEAL's limit for 128 bits of security.
/// </summary>
public sealed class BfvParameters : IEquatable<BfvParameters>
{
    private readonly byte[][] _ids;

    /// <param name="degree">N: 1024, 2048, … or 32768.</param>
    /// <param name="primes">Distinct, of at most 60 bits, 1 more than a multiple of 2N; together within SEAL's limit for N.</param>
    /// <param name="plainModulus">t in [2, 2⁶⁰), without a factor in common with q and below q.</param>
    /// <exception cref="ArgumentException">One of them does not fit; the message says which and what would.</exception>
    public BfvParameters(int degree, IReadOnlyList<ulong> primes, ulong plainModulus)
        : this(degree, primes, plainModulus, LargestModulusBits(degree))
    {
    }

    private BfvParameters(int degree, IReadOnlyList<ulong> primes, ulong plainModulus, int limit)
    {
        // Before the ring: its tables cost time and memory, and parameters may come from the network.
        BigInteger product = Product(primes.Take(limit + 1));
        if (product.GetBitLength() > limit) throw new ArgumentException($"The primes have {product.GetBitLength()} bits together; degree {degree} allows {limit} at 128 bits of security.", nameof(primes));
        if (plainModulus is < 2 or >= 1UL << 60) throw new ArgumentException($"A plain modulus is in [2, 2^60), not {plainModulus}.", nameof(plainModulus));
        BigInteger data = Product(primes.Take(Math.Max(1, primes.Count - 1)));
        if (primes.Count > 0 && !product.IsZero && (data <= plainModulus || BigInteger.GreatestCommonDivisor(product, plainModulus) != 1)) throw new ArgumentException($"The plain modulus {plainModulus} must be below the product of the data primes and have no factor in common with it.", nameof(plainModulus));
        KeyRing = new RnsRing(degree, primes);
        DataRing = KeyRing.First(Math.Max(1, primes.Count - 1));
        (Degree, Primes, PlainModulus) = (degree, [.. primes], new Modulus(plainModulus));
        FewestPrimes = Enumerable.Range(1, DataRing.Moduli.Count).First(count => KeyRing.First(count).Product > plainModulus);
        _ids = [.. Enumerable.Range(1, primes.Count).Select(count => SealParameterId.Of(degree, Primes.Take(count), plainModulus))];
    }

    /// <summary>N.</summary>
    public int Degree { get; }

    /// <summary>Of the key level, the special prime last.</summary>
    public IReadOnlyList<ulong> Primes { get; }

    /// <summary>t.</summary>
    public Modulus PlainModulus { get; }

    /// <summary>Modulo all primes: keys.</summary>
    public RnsRing KeyRing { get; }

    /// <summary>Modulo all but the last prime (the same ring if there is only one): fresh ciphertexts.</summary>
    public RnsRing DataRing { get; }

    /// <summary>Of a ciphertext: SEAL's chain of levels ends where the product of the primes is no longer above t.</summary>
    public int FewestPrimes { get; }

    /// <summary>SEAL's name (<c>parms_id</c>, 32 bytes) of the level with the first primes: all of them for keys, all but the last for fresh ciphertexts.</summary>
    /// <param name="primes">1 to k.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such level.</exception>
    public ReadOnlySpan<byte> LevelId(int primes) => primes >= 1 && primes <= _ids.Length ? _ids[primes - 1] : throw new ArgumentOutOfRangeException(nameof(primes), primes, $"These parameters have levels of 1 to {_ids.Length} primes.");

    /// <summary>SEAL's default primes for a degree.</summary>
    /// <exception cref="ArgumentException">There is no default for the degree, or t does not fit.</exception>
    public static BfvParameters Default(int degree, ulong plainModulus) => new(degree, DefaultPrimes(degree), plainModulus);

    /// <summary>The key ring of secure aggregation: N = 8192, the first four default primes (174 bits; ciphertexts 130), t = 2⁴⁰.</summary>
    public static BfvParameters ForKeys { get; } = new(8192, [.. DefaultPrimes(8192).Take(4)], 1UL << 40);

    /// <summary><see cref="ForKeys"/> at a degree that hides nothing, for tests of the protocol's logic by the hundred thousand. Everything that comes from a store or a network is decoded for <see cref="ForKeys"/> alone.</summary>
    internal static BfvParameters WithoutSecrecy(int degree) => new(degree, ForKeys.Primes, ForKeys.PlainModulus.Value, limit: 1024);

    public bool Equals(BfvParameters? other) => other is not null && Degree == other.Degree && PlainModulus.Value == other.PlainModulus.Value && Primes.SequenceEqual(other.Primes);

    public override bool Equals(object? obj) => Equals(obj as BfvParameters);

    public override int GetHashCode() => HashCode.Combine(Degree, Primes.Count, Primes[0], PlainModulus.Value);

    public override string ToString() => $"N = {Degree}, {Primes.Count} primes ({KeyRing.Product.GetBitLength()} bits), t = {PlainModulus.Value}";

    private static BigInteger Product(IEnumerable<ulong> primes) => primes.Aggregate(BigInteger.One, (product, prime) => product * prime);

    /// <summary>Homomorphic Encryption Standard 2018, table 1, ternary secrets, classical 128 bits.</summary>
    private static int LargestModulusBits(int degree) => degree switch
    {
        1024 => 27,
        2048 => 54,
        4096 => 109,
        8192 => 218,
        16384 => 438,
        32768 => 881,
        _ => throw new ArgumentException($"A degree is 1024, 2048, 4096, 8192, 16384 or 32768, not {degree}.", nameof(degree)),
    };

    private static ulong[] DefaultPrimes(int degree) => degree switch
    {
        4096 => [0xffffee001, 0xffffc4001, 0x1ffffe0001],
        8192 => [0x7fffffd8001, 0x7fffffc8001, 0xfffffffc001, 0xffffff6c001, 0xfffffebc001],
        16384 => [0xfffffffd8001, 0xfffffffa0001, 0xfffffff00001, 0x1fffffff68001, 0x1fffffff50001, 0x1ffffffee8001, 0x1ffffffea0001, 0x1ffffffe88001, 0x1ffffffe48001],
        _ => throw new ArgumentException($"There are default primes for 4096, 8192 and 16384, not for {degree}: give your own.", nameof(degree)),
    };
}
