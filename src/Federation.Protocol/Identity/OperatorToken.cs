using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using Federation.Formats;
using Federation.Privacy.Canonical;

namespace Federation.Protocol.Identity;

/// <summary>An operator's bearer token: <c>fedop1.&lt;name&gt;.&lt;secret&gt;.&lt;hash of the CA's key&gt;</c>. The coordinator stores only the secret's SHA-256; the last part tells the operator's program whom to send it to.</summary>
public sealed record OperatorToken
{
    /// <summary>What a token begins with.</summary>
    public const string Version = "fedop1";

    private const int SecretBytes = 32, HashBytes = 32;
    private readonly byte[] _secret;

    private OperatorToken(string name, byte[] secret, string caSpkiSha256) => (Name, _secret, CaSpkiSha256) = (name, secret, caSpkiSha256);

    public string Name { get; }

    /// <summary>Lower-case hex; the token is sent to no coordinator whose CA has another key.</summary>
    public string CaSpkiSha256 { get; }

    /// <summary>What the coordinator stores, lower-case hex.</summary>
    public string SecretSha256 => Sha256Hex.Of(_secret);

    /// <summary>A new token with 256 bits from the operating system's generator.</summary>
    public static OperatorToken Create(string name, string caSpkiSha256) => new(name, RandomNumberGenerator.GetBytes(SecretBytes), caSpkiSha256);

    /// <summary>Null: the text is no token.</summary>
    public static OperatorToken? TryParse(string text)
    {
        string[] parts = text.Trim().Split('.', 5);
        return parts.Length == 4 && parts[0] == Version && Names.IsSiteName(parts[1]) && Decode(parts[2], SecretBytes) is { } secret && Decode(parts[3], HashBytes) is { } hash
            ? new OperatorToken(parts[1], secret, Convert.ToHexStringLower(hash))
            : null;
    }

    /// <summary>What is wrong with a text that is no token, as far as that can be known; does not repeat it.</summary>
    public static string DamageOf(string text)
    {
        string[] parts = text.Trim().Split('.');
        return parts.Length != 4 ? string.Create(CultureInfo.InvariantCulture, $"it has {parts.Length} parts between dots; 4 are right")
            : parts[0] != Version ? $"it does not begin with '{Version}.'"
            : !Names.IsSiteName(parts[1]) ? "its second part is no operator's name"
            : Decode(parts[2], SecretBytes) is null ? "its third part, the secret, is not 43 characters of base64url"
            : "its last part, which says whose coordinator it is for, is not 43 characters of base64url";
    }

    /// <summary>The secret form, to be written to a file of mode 0600 and nowhere else.</summary>
    public string Reveal() => $"{Version}.{Name}.{Base64Url.EncodeToString(_secret)}.{Base64Url.EncodeToString(Convert.FromHexString(CaSpkiSha256))}";

    /// <summary>Without the secret.</summary>
    public override string ToString() => $"token of {Name}";

    private static byte[]? Decode(string text, int length)
    {
        if (text.Length > 64 || !Base64Url.IsValid(text, out int decoded) || decoded != length) return null;
        byte[] bytes = Base64Url.DecodeFromChars(text);
        return Base64Url.EncodeToString(bytes) == text ? bytes : null; // one text for each value
    }
}
