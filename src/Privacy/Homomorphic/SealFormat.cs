namespace Federation.Privacy.Homomorphic;

/// <summary>
/// Microsoft SEAL's bytes of the objects of BFV, both ways. Writers give what SEAL 4.4 itself writes; readers take what SEAL 3.4 to 4.4 wrote, compressed or not, seeded or not (seeded from 3.6 on).
/// Every byte that is read may be hostile: no memory beyond what the parameters allow is taken, and whatever is wrong is a <see cref="SealFormatException"/>.
/// </summary>
/// <remarks>Secrets: buffers of this class are wiped, but not those inside the libraries that compress. Store secret keys uncompressed, and wipe the bytes that come back.</remarks>
public static class SealFormat
{
    private const int ModulusBytes = SealHeader.Bytes + sizeof(ulong), ArrayBytes = SealHeader.Bytes + sizeof(ulong);
    private const int PlaintextFields = SealParameterId.Bytes + (2 * sizeof(ulong)), CiphertextFields = SealParameterId.Bytes + 1 + (5 * sizeof(ulong)), ParameterFields = 1 + (2 * sizeof(ulong)) + ModulusBytes;
    private const int MostPrimes = 64; // SEAL's limit
    private const int GeneratorBytes = SealHeader.Bytes + 1 + SealGenerator.SeedBytes;

    public static byte[] Save(BfvParameters parameters, SealCompression compression = SealCompression.None, SealVersion version = SealVersion.Seal44)
    {
        using SealWriter writer = new(version, ParameterFields + (ModulusBytes * parameters.Primes.Count));
        writer.Byte(SealParameterId.Bfv);
        writer.UInt64((ulong)parameters.Degree);
        writer.UInt64((ulong)parameters.Primes.Count);
        foreach (ulong prime in parameters.Primes) writer.Modulus(prime);
        writer.Modulus(parameters.PlainModulus.Value);
        return writer.Finish(compression);
    }

    /// <summary>Without the zeros at the end, as SEAL's decryptor leaves plaintexts.</summary>
    public static byte[] Save(Plaintext plaintext, SealCompression compression = SealCompression.None, SealVersion version = SealVersion.Seal44)
    {
        ReadOnlySpan<ulong> words = plaintext.Coefficients;
        words = words[..Math.Max(1, words.LastIndexOfAnyExcept(0UL) + 1)];
        return SavePlain(new byte[SealParameterId.Bytes], words, compression, version);
    }

    public static byte[] Save(SecretKey key, SealCompression compression = SealCompression.None, SealVersion version = SealVersion.Seal44) =>
        SavePlain(key.Parameters.LevelId(key.Parameters.Primes.Count), key.Words, compression, version);

    public static byte[] Save(Ciphertext ciphertext, SealCompression compression = SealCompression.None, SealVersion version = SealVersion.Seal44) =>
        SavePair(ciphertext.Parameters, ciphertext.Primes, atRoots: false, ciphertext.Words, compression, version);

    public static byte[] Save(PublicKey key, SealCompression compression = SealCompression.None, SealVersion version = SealVersion.Seal44) =>
        SavePair(key.Parameters, key.Parameters.Primes.Count, atRoots: true, key.Words, compression, version);

    /// <exception cref="SealFormatException">The bytes are no parameters, or such as <see cref="BfvParameters"/> refuses.</exception>
    public static BfvParameters LoadParameters(ReadOnlySpan<byte> bytes)
    {
        const string Name = "encryption parameters";
        using SealBody body = new(Name, bytes, ParameterFields + (ModulusBytes * MostPrimes));
        SealReader reader = new(body);
        reader.Byte("scheme", "only BFV (1) is read", SealParameterId.Bfv);
        ulong degree = reader.UInt64("polynomial modulus degree");
        if (degree is < 1024 or > 32768) throw reader.Wrong("polynomial modulus degree", sizeof(ulong), $"{degree}", "it is 1024 to 32768");
        ulong count = reader.UInt64("number of primes");
        if (count is < 1 or > MostPrimes) throw reader.Wrong("number of primes", sizeof(ulong), $"{count}", $"there are 1 to {MostPrimes}");
        ulong[] primes = new ulong[count];
        for (int i = 0; i < primes.Length; i++) primes[i] = ReadModulus(ref reader, $"prime {i}");
        ulong plainModulus = ReadModulus(ref reader, "plain modulus");
        reader.End();
        try
        {
            return new((int)degree, primes, plainModulus);
        }
        catch (ArgumentException exception)
        {
            throw new SealFormatException(Name, "values", SealHeader.Bytes, "parameters that are not supported", exception.Message.Split(" (Parameter ")[0].TrimEnd('.'));
        }
    }

    /// <summary>In coefficient form, as BFV has plaintexts.</summary>
    /// <exception cref="SealFormatException">The bytes are no plaintext, or one of other parameters.</exception>
    public static Plaintext LoadPlaintext(BfvParameters parameters, ReadOnlySpan<byte> bytes)
    {
        using SealBody body = new("plaintext", bytes, PlaintextFields + ArrayBytes + (sizeof(ulong) * parameters.Degree));
        SealReader reader = new(body);
        if (reader.Take("parms_id", SealParameterId.Bytes).ContainsAnyExcept((byte)0)) throw reader.Wrong("parms_id", SealParameterId.Bytes, "not zero", "a plaintext of BFV is in coefficient form, without parms_id");
        ulong count = reader.UInt64("coefficient count");
        if (count > (ulong)parameters.Degree) throw reader.Wrong("coefficient count", sizeof(ulong), $"{count}", $"there are at most {parameters.Degree}");
        reader.ExpectScale();
        reader.ArrayCount("coefficients", "as many as the coefficient count says", (int)count);
        ReadOnlySpan<ulong> words = reader.Words("coefficients", (int)count, parameters.PlainModulus.Value);
        reader.End();
        return new(parameters, words);
    }

    /// <exception cref="SealFormatException">The bytes are no secret key, or one of other parameters.</exception>
    public static SecretKey LoadSecretKey(BfvParameters parameters, ReadOnlySpan<byte> bytes)
    {
        RnsRing ring = parameters.KeyRing;
        using SealBody body = new("secret key", bytes, PlaintextFields + ArrayBytes + (sizeof(ulong) * ring.Words));
        SealReader reader = new(body);
        ReadLevel(ref reader, parameters, parameters.Primes.Count, parameters.Primes.Count);
        reader.Expect("coefficient count", (ulong)ring.Words, "N for each prime");
        reader.ExpectScale();
        reader.ArrayCount("values", "N for each prime", ring.Words);
        ReadOnlySpan<ulong> words = reader.Element("values", ring);
        reader.End();
        return new(parameters, words);
    }

    /// <summary>Of two polynomials, at the data level or below it.</summary>
    /// <exception cref="SealFormatException">The bytes are no ciphertext, or one of other parameters.</exception>
    public static Ciphertext LoadCiphertext(BfvParameters parameters, ReadOnlySpan<byte> bytes)
    {
        ulong[] words = LoadPair("ciphertext", parameters, parameters.FewestPrimes, parameters.DataRing.Moduli.Count, atRoots: false, bytes, out int primes);
        return new(parameters, primes, words);
    }

    /// <exception cref="SealFormatException">The bytes are no public key, or one of other parameters.</exception>
    public static PublicKey LoadPublicKey(BfvParameters parameters, ReadOnlySpan<byte> bytes) =>
        new(parameters, LoadPair("public key", parameters, parameters.Primes.Count, parameters.Primes.Count, atRoots: true, bytes, out _));

    private static byte[] SavePlain(ReadOnlySpan<byte> id, ReadOnlySpan<ulong> words, SealCompression compression, SealVersion version)
    {
        using SealWriter writer = new(version, PlaintextFields + ArrayBytes + (sizeof(ulong) * words.Length));
        writer.Bytes(id);
        writer.UInt64((ulong)words.Length);
        writer.Scale();
        writer.Array(words);
        return writer.Finish(compression);
    }

    private static byte[] SavePair(BfvParameters parameters, int primes, bool atRoots, ReadOnlySpan<ulong> words, SealCompression compression, SealVersion version)
    {
        using SealWriter writer = new(version, CiphertextFields + ArrayBytes + (sizeof(ulong) * words.Length));
        writer.Bytes(parameters.LevelId(primes));
        writer.Byte(atRoots ? (byte)1 : (byte)0);
        writer.UInt64(2);
        writer.UInt64((ulong)parameters.Degree);
        writer.UInt64((ulong)primes);
        writer.Scale();
        writer.UInt64(1); // correction factor
        writer.Array(words);
        return writer.Finish(compression);
    }

    /// <summary>What ciphertexts and public keys have in common.</summary>
    private static ulong[] LoadPair(string name, BfvParameters parameters, int fewestPrimes, int mostPrimes, bool atRoots, ReadOnlySpan<byte> bytes, out int primes)
    {
        using SealBody body = new(name, bytes, CiphertextFields + ArrayBytes + (2 * sizeof(ulong) * parameters.Degree * mostPrimes));
        SealReader reader = new(body);
        primes = ReadLevel(ref reader, parameters, fewestPrimes, mostPrimes);
        RnsRing ring = parameters.KeyRing.First(primes);
        reader.Byte("NTT form", atRoots ? "a public key has 1" : "a ciphertext of BFV has 0", atRoots ? (byte)1 : (byte)0);
        reader.Expect("size", 2, "only two polynomials are read");
        reader.Expect("polynomial modulus degree", (ulong)parameters.Degree, "the parameters say");
        reader.Expect("number of primes", (ulong)primes, "the level has");
        reader.ExpectScale();
        if (reader.Header.HasCorrectionFactor) reader.Expect("correction factor", 1, "objects of BFV have");
        int count = reader.ArrayCount("polynomials", "both, or the first and a seed", 2 * ring.Words, ring.Words);
        bool seeded = count == ring.Words;
        if (seeded && !reader.Header.SeedsAsToday) throw reader.Wrong("seed", 0, $"a seed of version {reader.Header.Major}.{reader.Header.Minor}", "seeds are read from 3.6 on, before which SEAL sampled otherwise: save the object again with a later SEAL");
        int expected = (sizeof(ulong) * count) + (seeded ? GeneratorBytes : 0);
        if (reader.Left != expected) throw reader.Wrong("polynomials", 0, $"{reader.Left} more bytes", $"{expected} belong to them{(seeded ? " and the seed" : "")}");
        ReadOnlySpan<ulong> first = reader.Element("first polynomial", ring), second = seeded ? [] : reader.Element("second polynomial", ring);
        SealGenerator? generator = seeded ? ReadSeed(ref reader) : null;
        reader.End();
        ulong[] words = GC.AllocateUninitializedArray<ulong>(2 * ring.Words);
        first.CopyTo(words);
        if (generator is null) second.CopyTo(words.AsSpan(ring.Words));
        else generator.Uniform(ring, words.AsSpan(ring.Words));
        return words;
    }

    private static SealGenerator ReadSeed(ref SealReader reader)
    {
        reader.Nested("seed", GeneratorBytes);
        byte kind = reader.Byte("generator", "1 is BLAKE2xb, 2 SHAKE256", (byte)SealGeneratorKind.Blake2Xb, (byte)SealGeneratorKind.Shake256);
        ReadOnlySpan<byte> seed = reader.Take("seed", SealGenerator.SeedBytes);
        try
        {
            return new((SealGeneratorKind)kind, seed);
        }
        catch (PlatformNotSupportedException exception)
        {
            throw reader.Wrong("generator", SealGenerator.SeedBytes + 1, "SHAKE256", exception.Message.TrimEnd('.'));
        }
    }

    private static int ReadLevel(ref SealReader reader, BfvParameters parameters, int fewestPrimes, int mostPrimes)
    {
        ReadOnlySpan<byte> id = reader.Take("parms_id", SealParameterId.Bytes);
        for (int primes = mostPrimes; primes >= fewestPrimes; primes--)
        {
            if (id.SequenceEqual(parameters.LevelId(primes))) return primes;
        }

        string level = fewestPrimes == mostPrimes ? "the level of keys" : "the level of fresh ciphertexts";
        throw reader.Wrong("parms_id", SealParameterId.Bytes, Convert.ToHexStringLower(id), $"it was made for other parameters or for another level: {level} of {parameters} has {Convert.ToHexStringLower(parameters.LevelId(mostPrimes))}");
    }

    private static ulong ReadModulus(ref SealReader reader, string field)
    {
        reader.Nested(field, ModulusBytes);
        return reader.UInt64(field);
    }
}
