using System.Buffers.Text;
using System.Security.Cryptography;
using Federation.Formats;
using Federation.Privacy.Canonical;

namespace Federation.Protocol.Identity;

/// <summary>A site's single-use invitation: <c>fed1.&lt;site&gt;.&lt;secret&gt;.&lt;hash of the CA's key&gt;</c>. The coordinator stores only the secret's SHA-256.</summary>
public sealed record InvitationToken
{
    private const string Version = "fed1";
    private const int SecretBytes = 16, HashBytes = 32;
    private readonly byte[] _secret;

    private InvitationToken(string site, byte[] secret, string caSpkiSha256) => (Site, _secret, CaSpkiSha256) = (site, secret, caSpkiSha256);

    public string Site { get; }

    /// <summary>Lower-case hex; the node trusts no coordinator whose CA has another key.</summary>
    public string CaSpkiSha256 { get; }

    /// <summary>What the coordinator stores, lower-case hex.</summary>
    public string SecretSha256 => Sha256Hex.Of(_secret);

    /// <summary>A new token with 128 bits from the operating system's generator.</summary>
    public static InvitationToken Create(string site, string caSpkiSha256) => new(site, RandomNumberGenerator.GetBytes(SecretBytes), caSpkiSha256);

    /// <exception cref="InvalidInputException">The text is no token; the message does not repeat it.</exception>
    public static InvitationToken Parse(string text)
    {
        string[] parts = text.Trim().Split('.');
        if (parts.Length != 4 || parts[0] != Version || !Names.IsSiteName(parts[1]) || Decode(parts[2], SecretBytes) is not { } secret || Decode(parts[3], HashBytes) is not { } hash)
        {
            throw new InvalidInputException(new Problem("This is no invitation token.", Repair: $"A token has four parts between dots and begins with '{Version}.'; `fed site invite NAME` prints one."));
        }

        return new InvitationToken(parts[1], secret, Convert.ToHexStringLower(hash));
    }

    /// <summary>The secret form, to be written to a file of mode 0600 and nowhere else.</summary>
    public string Reveal() => $"{Version}.{Site}.{Base64Url.EncodeToString(_secret)}.{Base64Url.EncodeToString(Convert.FromHexString(CaSpkiSha256))}";

    /// <summary>Without the secret.</summary>
    public override string ToString() => $"invitation of {Site}";

    private static byte[]? Decode(string text, int length)
    {
        if (text.Length > 64 || !Base64Url.IsValid(text, out int decoded) || decoded != length) return null;
        byte[] bytes = Base64Url.DecodeFromChars(text);
        return Base64Url.EncodeToString(bytes) == text ? bytes : null; // one text for each value
    }
}
