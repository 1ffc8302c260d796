using System.Buffers.Binary;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

internal enum SealKind
{
    Parameters,
    Plaintext,
    Ciphertext,
    PublicKey,
    SecretKey,
}

/// <summary>One object of every kind, as bytes in any form, and the loader of each.</summary>
internal sealed class SealObjects
{
    public static readonly SealKind[] Kinds = Enum.GetValues<SealKind>();

    private readonly Dictionary<SealKind, Func<SealCompression, SealVersion, byte[]>> _save;

    public SealObjects(BfvParameters parameters)
    {
        Parameters = parameters;
        using ManagedBfvEngine engine = new(parameters, new(), ownsRandom: true);
        SecretKey secret = engine.GenerateSecretKey();
        PublicKey open = engine.GeneratePublicKey(secret);
        Plaintext plaintext = new(parameters, [1, 2, 0, 3]);
        Ciphertext ciphertext = engine.Encrypt(plaintext, open);
        _save = new()
        {
            [SealKind.Parameters] = (compression, version) => SealFormat.Save(parameters, compression, version),
            [SealKind.Plaintext] = (compression, version) => SealFormat.Save(plaintext, compression, version),
            [SealKind.Ciphertext] = (compression, version) => SealFormat.Save(ciphertext, compression, version),
            [SealKind.PublicKey] = (compression, version) => SealFormat.Save(open, compression, version),
            [SealKind.SecretKey] = (compression, version) => SealFormat.Save(secret, compression, version),
        };
    }

    public BfvParameters Parameters { get; }

    public byte[] Save(SealKind kind, SealCompression compression = SealCompression.None, SealVersion version = SealVersion.Seal44) => _save[kind](compression, version);

    /// <summary>The object as words, to compare.</summary>
    public ulong[] Load(SealKind kind, ReadOnlySpan<byte> bytes) => LoadObject(kind, bytes) switch
    {
        BfvParameters parameters => [(ulong)parameters.Degree, .. parameters.Primes, parameters.PlainModulus.Value],
        Plaintext plaintext => plaintext.Coefficients.ToArray(),
        Ciphertext ciphertext => ciphertext.Words.ToArray(),
        PublicKey key => key.Words.ToArray(),
        object key => ((SecretKey)key).Words.ToArray(),
    };

    public object LoadObject(SealKind kind, ReadOnlySpan<byte> bytes) => kind switch
    {
        SealKind.Parameters => SealFormat.LoadParameters(bytes),
        SealKind.Plaintext => SealFormat.LoadPlaintext(Parameters, bytes),
        SealKind.Ciphertext => SealFormat.LoadCiphertext(Parameters, bytes),
        SealKind.PublicKey => SealFormat.LoadPublicKey(Parameters, bytes),
        _ => SealFormat.LoadSecretKey(Parameters, bytes),
    };

    /// <summary>Where a second polynomial starts, and a seed instead of it.</summary>
    public byte[] Seeded(SealKind kind, byte generator = 1)
    {
        byte[] whole = Save(kind);
        int half = (whole.Length - 113) / 2;
        byte[] seeded = [.. whole[..(113 + half)], .. new byte[16], generator, .. Enumerable.Range(0, 64).Select(i => (byte)i)];
        Header(seeded, 113 + half, 81);
        BinaryPrimitives.WriteUInt64LittleEndian(seeded.AsSpan(105), (ulong)half / 8);
        BinaryPrimitives.WriteUInt64LittleEndian(seeded.AsSpan(89 + 8), 24 + (ulong)half);
        BinaryPrimitives.WriteUInt64LittleEndian(seeded.AsSpan(8), (ulong)seeded.Length);
        return seeded;
    }

    /// <summary>An uncompressed object as SEAL 3.x wrote it: without the correction factor, and up to 3.4 with another form of header.</summary>
    public static byte[] Old(SealKind kind, byte[] bytes, int minor)
    {
        byte[] old = kind is SealKind.Ciphertext or SealKind.PublicKey ? [.. bytes[..81], .. bytes[89..]] : [.. bytes];
        for (int i = 0; i + 16 <= old.Length; i++)
        {
            if (old[i] != 0x5E || old[i + 1] != 0xA1 || old[i + 2] != 0x10) continue;
            ulong size = i == 0 ? (ulong)old.Length : BinaryPrimitives.ReadUInt64LittleEndian(old.AsSpan(i + 8));
            if (minor == 4)
            {
                byte compression = old[i + 5];
                old.AsSpan(i + 2, 14).Clear();
                old[i + 3] = compression;
                BinaryPrimitives.WriteUInt32LittleEndian(old.AsSpan(i + 4), (uint)size);
            }
            else
            {
                old[i + 3] = 3;
                old[i + 4] = (byte)minor;
                BinaryPrimitives.WriteUInt64LittleEndian(old.AsSpan(i + 8), size);
            }
        }

        return old;
    }

    /// <summary>A body in a container of its own, whatever it is.</summary>
    public static byte[] Stored(ReadOnlySpan<byte> packed, SealCompression compression)
    {
        byte[] stored = [.. new byte[16], .. packed];
        Header(stored, 0, (ulong)stored.Length);
        stored[5] = (byte)compression;
        return stored;
    }

    private static void Header(Span<byte> bytes, int offset, ulong size) => new SealHeader(4, 4, SealCompression.None, size).Write(bytes[offset..]);
}
