using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>A member's fresh key pair of one attempt, and what it has in common with each other member: keys for the shares between them, and the key of their zero shares.</summary>
internal sealed class ShareEncryption : IDisposable
{
    private const int TagBytes = 16, KeyBytes = 32;

    private readonly ECDiffieHellman _own = ECDiffieHellman.Create(ECCurve.NamedCurves.nistP256);

    public byte[] PublicKey => _own.ExportSubjectPublicKeyInfo();

    public static int Length(int share) => share + TagBytes;

    /// <summary>AES-256-GCM. Each key encrypts one share, so the nonce is zero.</summary>
    public byte[] Encrypt(ReadOnlySpan<byte> otherKey, byte[] answers, int from, int to, ReadOnlySpan<byte> share)
    {
        byte[] key = Derive(otherKey, answers, "epoch-share-key", from, to), encrypted = new byte[Length(share.Length)];
        using (AesGcm cipher = new(key, TagBytes)) cipher.Encrypt(new byte[12], share, encrypted.AsSpan(0, share.Length), encrypted.AsSpan(share.Length));
        CryptographicOperations.ZeroMemory(key);
        return encrypted;
    }

    /// <returns>Whether it opened.</returns>
    public bool TryDecrypt(ReadOnlySpan<byte> otherKey, byte[] answers, int from, int to, ReadOnlySpan<byte> encrypted, Span<byte> share)
    {
        if (encrypted.Length != Length(share.Length)) return false;
        byte[] key = Derive(otherKey, answers, "epoch-share-key", from, to);
        try
        {
            using AesGcm cipher = new(key, TagBytes);
            cipher.Decrypt(new byte[12], encrypted[..share.Length], encrypted[share.Length..], share);
            return true;
        }
        catch (CryptographicException)
        {
            return false;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }
    }

    /// <summary>k_ij, the same for both.</summary>
    public byte[] ZeroShareKey(ReadOnlySpan<byte> otherKey, byte[] answers, int own, int other) => Derive(otherKey, answers, "zero-share-key", Math.Min(own, other), Math.Max(own, other));

    /// <summary>Whether these bytes are a point on the curve.</summary>
    public static bool IsKey(ReadOnlySpan<byte> key)
    {
        try
        {
            using ECDiffieHellman other = ECDiffieHellman.Create();
            other.ImportSubjectPublicKeyInfo(key, out int read);
            return read == key.Length && other.ExportParameters(false).Curve.Oid.Value == ECCurve.NamedCurves.nistP256.Oid.Value;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    public void Dispose() => _own.Dispose();

    private byte[] Derive(ReadOnlySpan<byte> otherKey, byte[] answers, string what, int first, int second)
    {
        using ECDiffieHellman other = ECDiffieHellman.Create();
        other.ImportSubjectPublicKeyInfo(otherKey, out _);
        byte[] secret = _own.DeriveRawSecretAgreement(other.PublicKey);
        try
        {
            return HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, KeyBytes, answers, new CanonicalWriter(what).Field(answers).Field((ulong)first).Field((ulong)second).ToArray());
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }
}
