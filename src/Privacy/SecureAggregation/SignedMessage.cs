using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>A protocol message with its sender's name, identity key and signature (ECDSA P-256, SHA-256, P1363). The body is a canonical encoding, so its label keeps one kind of message from standing for another.</summary>
public sealed record SignedMessage
{
    private const int SignatureBytes = 64;

    /// <summary>Of a body: hashes and indices of the largest committee and cohort stay far below.</summary>
    public const int MostBytes = 1 << 20;

    private SignedMessage(string site, byte[] key, byte[] body, byte[] signature) => (Site, Key, Body, Signature) = (site, key, body, signature);

    public string Site { get; }

    /// <summary>SubjectPublicKeyInfo of the site's identity.</summary>
    public ReadOnlyMemory<byte> Key { get; }

    public ReadOnlyMemory<byte> Body { get; }

    public ReadOnlyMemory<byte> Signature { get; }

    public static SignedMessage Sign(string site, ECDsa identity, byte[] body) =>
        new(site, identity.ExportSubjectPublicKeyInfo(), body, identity.SignData(body, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation));

    /// <summary>The body, if the roster's site signed it.</summary>
    /// <exception cref="ProtocolException">The site or its key is not in the roster, or the signature is wrong.</exception>
    public ReadOnlySpan<byte> Verify(Roster roster)
    {
        if (!roster.Sites.TryGetValue(Site, out string? hash) || Sha256Hex.Of(Key.Span) != hash) throw new ProtocolException(Refusal.NotInRoster, $"The site '{Site}' with this key is not in roster {roster.Version}.");
        // In the roster's hash or not: only P-256 signs here.
        if (!P256Key.HasForm(Key.Span)) throw new ProtocolException(Refusal.WrongSignature, $"The key of '{Site}' is no P-256 key.");
        return P256Key.Verifies(Key.Span, Body.Span, Signature.Span) ? Body.Span : throw new ProtocolException(Refusal.WrongSignature, $"The signature of '{Site}' is wrong.");
    }

    public byte[] Encode() => new CanonicalWriter("signed").Field(Site).Field(Key.Span).Field(Body.Span).Field(Signature.Span).ToArray();

    /// <exception cref="FormatException">The bytes are no signed message.</exception>
    public static SignedMessage Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "signed");
        string site = reader.Text(4 * Roster.LongestName);
        byte[] key = reader.Bytes(P256Key.Bytes), body = reader.Field(MostBytes).ToArray(), signature = reader.Bytes(SignatureBytes);
        reader.End();
        return new(site, key, body, signature);
    }
}
