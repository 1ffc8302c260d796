using System.Security.Cryptography;

namespace Federation.Privacy.SecureAggregation;

/// <summary>Public keys as they travel: SubjectPublicKeyInfo of an uncompressed point on P-256, in the one form that there is. Looked at before any library reads it.</summary>
public static class P256Key
{
    /// <summary>Of a key.</summary>
    public const int Bytes = 91;

    private static readonly byte[] s_prefix = Convert.FromHexString("3059301306072a8648ce3d020106082a8648ce3d03010703420004");

    /// <returns>Whether the bytes have this form; the point may still lie beside the curve.</returns>
    public static bool HasForm(ReadOnlySpan<byte> key) => key.Length == Bytes && key.StartsWith(s_prefix);

    /// <returns>Whether the key signed these bytes: ECDSA over SHA-256, IEEE P1363. False also where it has not the form, or lies beside the curve.</returns>
    public static bool Verifies(ReadOnlySpan<byte> key, ReadOnlySpan<byte> bytes, ReadOnlySpan<byte> signature)
    {
        if (!HasForm(key)) return false;
        try
        {
            using ECDsa signer = ECDsa.Create();
            signer.ImportSubjectPublicKeyInfo(key, out _);
            return signer.VerifyData(bytes, signature, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }

    /// <returns>Whether the bytes are a point on the curve.</returns>
    public static bool IsKey(ReadOnlySpan<byte> key)
    {
        if (!HasForm(key)) return false;
        try
        {
            using ECDiffieHellman other = ECDiffieHellman.Create();
            other.ImportSubjectPublicKeyInfo(key, out _);
            return true;
        }
        catch (CryptographicException)
        {
            return false;
        }
    }
}
