using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Runs;

/// <summary>A signature with the key that made it: ECDSA on P-256 over SHA-256. Whether the key counts is for a site's policy to say.</summary>
/// <param name="PublicKey">SubjectPublicKeyInfo, DER.</param>
/// <param name="Signature">IEEE P1363.</param>
public sealed record RunSignature(byte[] PublicKey, byte[] Signature)
{
    /// <summary>Of a signature.</summary>
    public const int SignatureBytes = 64;

    /// <summary>As policies name the key.</summary>
    [JsonIgnore]
    public string KeySha256 => Sha256Hex.Of(PublicKey);

    /// <param name="key">On P-256.</param>
    public static RunSignature Of(ECDsa key, byte[] bytes) =>
        new(key.ExportSubjectPublicKeyInfo(), key.SignData(bytes, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));

    /// <summary>Whether the key signed exactly these bytes.</summary>
    public bool Signs(byte[] bytes) => Signature.Length == SignatureBytes && P256Key.Verifies(PublicKey, bytes, Signature);
}
