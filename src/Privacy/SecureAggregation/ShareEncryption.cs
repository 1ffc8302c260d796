using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;

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
        byte[] encrypted = new byte[Length(share.Length)];
        using SecretMemory<byte> key = Derive(otherKey, answers, "epoch-share-key", from, to);
        using AesGcm cipher = new(key.Span, TagBytes);
        cipher.Encrypt(new byte[12], share, encrypted.AsSpan(0, share.Length), encrypted.AsSpan(share.Length));
        return encrypted;
    }

    /// <returns>Whether it opened.</returns>
    public bool TryDecrypt(ReadOnlySpan<byte> otherKey, byte[] answers, int from, int to, ReadOnlySpan<byte> encrypted, Span<byte> share)
    {
        if (encrypted.Length != Length(share.Length)) return false;
        using SecretMemory<byte> key = Derive(otherKey, answers, "epoch-share-key", from, to);
        try
        {
            using AesGcm cipher = new(key.Span, TagBytes);
            cipher.Decrypt(new byte[12], encrypted[..share.Length], encrypted[share.Length..], share);
            return true;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    /// <summary>k_ij, the same for both; the caller's to dispose.</summary>
    public SecretMemory<byte> ZeroShareKey(ReadOnlySpan<byte> otherKey, byte[] answers, int own, int other) => Derive(otherKey, answers, "zero-share-key", Math.Min(own, other), Math.Max(own, other));

    public void Dispose() => _own.Dispose();

    private SecretMemory<byte> Derive(ReadOnlySpan<byte> otherKey, byte[] answers, string what, int first, int second)
    {
        using ECDiffieHellman other = ECDiffieHellman.Create();
        other.ImportSubjectPublicKeyInfo(otherKey, out _);
        byte[] secret = _own.DeriveRawSecretAgreement(other.PublicKey);
        try
        {
            SecretMemory<byte> key = new(KeyBytes);
            HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, key.Span, answers, new CanonicalWriter(what).Field(answers).Field((ulong)first).Field((ulong)second).ToArray());
            return key;
        }
        finally
        {
            CryptographicOperations.ZeroMemory(secret);
        }
    }
}
