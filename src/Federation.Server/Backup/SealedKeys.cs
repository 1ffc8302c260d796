using System.Security.Cryptography;
using Federation.Formats;
using Federation.Server.Identity;

namespace Federation.Server.Backup;

/// <summary>Private keys in PEM files under a passphrase: PKCS #8 by PBES2, as <c>openssl pkey</c> reads and writes them.</summary>
internal static class SealedKeys
{
    /// <summary>Fewer characters are too easily guessed.</summary>
    public const int ShortestPassphrase = 12;

    // PBKDF2 with SHA-256: what OWASP names (2023).
    private static readonly PbeParameters s_cost = new(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 600_000);

    /// <param name="pem">With one private key, in any form that the coordinator starts with; certificates beside it stay as they are.</param>
    public static string Seal(string pem, string passphrase)
    {
        using AsymmetricAlgorithm key = CertificateAuthority.ReadKey(pem) ?? throw new InvalidInputException(new Problem("There is no private key in this file."));
        string[] labels = ["PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY"];
        string sealedPem = Replace(pem, labels, key.ExportEncryptedPkcs8PrivateKeyPem(passphrase, s_cost));
        return labels.Any(label => sealedPem.Contains($"-----BEGIN {label}-----", StringComparison.Ordinal))
            ? throw new InvalidInputException(new Problem("There are several private keys in this file, and one alone can be sealed.", Repair: "Leave the CA's own key in it."))
            : sealedPem;
    }

    /// <exception cref="InvalidInputException">The passphrase is another one.</exception>
    public static string Open(string pem, string passphrase)
    {
        foreach (AsymmetricAlgorithm key in (AsymmetricAlgorithm[])[ECDsa.Create(), RSA.Create()])
        {
            using (key)
            {
                try
                {
                    key.ImportFromEncryptedPem(pem, passphrase);
                    return Replace(pem, ["ENCRYPTED PRIVATE KEY"], key.ExportPkcs8PrivateKeyPem());
                }
                catch (Exception error) when (error is CryptographicException or ArgumentException)
                {
                    // of the other kind, or none
                }
            }
        }

        throw new InvalidInputException(new Problem("The passphrase does not open the CA's key.", Repair: "Nothing was changed; try another one."));
    }

    private static string Replace(string pem, string[] labels, string with)
    {
        for (int from = 0; PemEncoding.TryFind(pem.AsSpan(from), out PemFields found);)
        {
            string rest = pem[from..];
            (int begin, int length) = found.Location.GetOffsetAndLength(rest.Length);
            if (labels.Contains(rest[found.Label])) return string.Concat(pem.AsSpan(0, from + begin), with, rest.AsSpan(begin + length));
            from += begin + length;
        }

        throw new InvalidInputException(new Problem($"There is no block '{string.Join("' or '", labels)}' in this file."));
    }
}
