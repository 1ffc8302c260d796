using System.Security.Cryptography;
using Seal = Microsoft.Research.SEAL;

namespace Federation.Privacy.Homomorphic;

/// <summary>
/// BFV by Microsoft SEAL's own library, compiled in with <c>-p:Seal=native</c>. Keys and errors come from SEAL's generator.
/// Every object goes in as bytes of <see cref="SealFormat"/>'s writer and comes back through its reader: the library never sees bytes that came from elsewhere.
/// </summary>
/// <remarks>
/// Thread-safe: SEAL's context is only read, all else lives for one call. The library wipes its secret keys when they are freed, but its plaintexts' memory goes back to its pool as it is.
/// Sums are ours (<see cref="CiphertextSums"/>): they hold no secret, and SEAL's evaluator would refuse a sum that is zero on its way to one that is not.
/// </remarks>
public sealed class SealNetEngine : IBfvEngine
{
    private readonly Seal.SEALContext _context;

    /// <exception cref="ArgumentException">SEAL does not take these parameters; its own words.</exception>
    public SealNetEngine(BfvParameters parameters)
    {
        Parameters = parameters;
        using Seal.EncryptionParameters given = new(Seal.SchemeType.BFV) { PolyModulusDegree = (ulong)parameters.Degree };
        Seal.Modulus[] primes = [.. parameters.Primes.Select(prime => new Seal.Modulus(prime))];
        given.CoeffModulus = primes; // copied
        foreach (Seal.Modulus prime in primes) prime.Dispose();
        given.SetPlainModulus(parameters.PlainModulus.Value);
        _context = new(given, expandModChain: true, Seal.SecLevelType.TC128);
        if (!_context.ParametersSet)
        {
            string reason = _context.ParameterErrorMessage();
            _context.Dispose();
            throw new ArgumentException($"SEAL does not take the parameters ({parameters}): {reason}", nameof(parameters));
        }
    }

    public string Name => $"SEAL {Seal.SEALVersion.Version}";

    public BfvParameters Parameters { get; }

    public SecretKey GenerateSecretKey()
    {
        using Seal.KeyGenerator generator = new(_context);
        using Seal.SecretKey made = generator.SecretKey;
        return Read(made.SaveSize(Seal.ComprModeType.None), stream => made.Save(stream, Seal.ComprModeType.None), bytes => SealFormat.LoadSecretKey(Parameters, bytes));
    }

    public PublicKey GeneratePublicKey(SecretKey key)
    {
        using Seal.SecretKey secret = Native(key);
        using Seal.KeyGenerator generator = new(_context, secret);
        generator.CreatePublicKey(out Seal.PublicKey made); // this overload gives both halves, not a half and a seed
        using (made) return Read(made.SaveSize(Seal.ComprModeType.None), stream => made.Save(stream, Seal.ComprModeType.None), bytes => SealFormat.LoadPublicKey(Parameters, bytes));
    }

    public Ciphertext Encrypt(Plaintext plaintext, PublicKey key)
    {
        using Seal.PublicKey publicKey = Native(key);
        using Seal.Plaintext message = Native(plaintext);
        using Seal.Encryptor encryptor = new(_context, publicKey);
        return Made(result => encryptor.Encrypt(message, result));
    }

    public Ciphertext EncryptSymmetric(Plaintext plaintext, SecretKey key)
    {
        using Seal.SecretKey secret = Native(key);
        using Seal.Plaintext message = Native(plaintext);
        using Seal.Encryptor encryptor = new(_context, secret);
        return Made(result => encryptor.EncryptSymmetric(message, result)); // both halves too
    }

    public Ciphertext Add(Ciphertext a, Ciphertext b) => CiphertextSums.Add(Parameters, a, b);

    public Ciphertext AddMany(IReadOnlyList<Ciphertext> ciphertexts) => CiphertextSums.AddMany(Parameters, ciphertexts);

    public Ciphertext Subtract(Ciphertext a, Ciphertext b) => CiphertextSums.Subtract(Parameters, a, b);

    public Ciphertext Multiply(Ciphertext ciphertext, ulong factor) => CiphertextSums.Multiply(Parameters, ciphertext, factor);

    public Plaintext Decrypt(Ciphertext ciphertext, SecretKey key)
    {
        using Seal.Ciphertext x = Native(ciphertext);
        using Seal.SecretKey secret = Native(key);
        using Seal.Decryptor decryptor = new(_context, secret);
        using Seal.Plaintext message = new();
        decryptor.Decrypt(x, message);
        return Read(message.SaveSize(Seal.ComprModeType.None), stream => message.Save(stream, Seal.ComprModeType.None), bytes => SealFormat.LoadPlaintext(Parameters, bytes));
    }

    public int NoiseBudget(Ciphertext ciphertext, SecretKey key)
    {
        using Seal.Ciphertext x = Native(ciphertext);
        using Seal.SecretKey secret = Native(key);
        using Seal.Decryptor decryptor = new(_context, secret);
        return decryptor.InvariantNoiseBudget(x);
    }

    public void Dispose() => _context.Dispose();

    private Seal.Plaintext Native(Plaintext plaintext) => Load(new Seal.Plaintext(), SealFormat.Save(Parameters.Own(plaintext), SealCompression.None, SealVersion.Seal41), (target, stream) => target.Load(_context, stream));

    private Seal.Ciphertext Native(Ciphertext ciphertext) => Load(new Seal.Ciphertext(), SealFormat.Save(Parameters.Own(ciphertext), SealCompression.None, SealVersion.Seal41), (target, stream) => target.Load(_context, stream));

    private Seal.PublicKey Native(PublicKey key) => Load(new Seal.PublicKey(), SealFormat.Save(Parameters.Own(key), SealCompression.None, SealVersion.Seal41), (target, stream) => target.Load(_context, stream));

    private Seal.SecretKey Native(SecretKey key) => Load(new Seal.SecretKey(), SealFormat.Save(Parameters.Own(key), SealCompression.None, SealVersion.Seal41), (target, stream) => target.Load(_context, stream));

    private Ciphertext Made(Action<Seal.Ciphertext> operation)
    {
        using Seal.Ciphertext result = new();
        operation(result);
        return Read(result);
    }

    private Ciphertext Read(Seal.Ciphertext made) => Read(made.SaveSize(Seal.ComprModeType.None), stream => made.Save(stream, Seal.ComprModeType.None), bytes => SealFormat.LoadCiphertext(Parameters, bytes));

    /// <summary>The target, filled from bytes, which are wiped; disposed if SEAL refuses them.</summary>
    private static T Load<T>(T target, byte[] bytes, Func<T, Stream, long> load)
        where T : IDisposable
    {
        bool loaded = false;
        try
        {
            using MemoryStream stream = new(bytes);
            load(target, stream);
            loaded = true;
            return target;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
            if (!loaded) target.Dispose();
        }
    }

    /// <param name="size">At least what is saved.</param>
    private static T Read<T>(long size, Func<Stream, long> save, Func<ReadOnlySpan<byte>, T> read)
    {
        byte[] bytes = GC.AllocateUninitializedArray<byte>(checked((int)size), pinned: true);
        try
        {
            using MemoryStream stream = new(bytes);
            save(stream);
            return read(bytes.AsSpan(0, (int)stream.Position));
        }
        finally
        {
            CryptographicOperations.ZeroMemory(bytes);
        }
    }
}
