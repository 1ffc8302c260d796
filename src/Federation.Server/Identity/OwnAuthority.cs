using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol.Identity;

namespace Federation.Server.Identity;

/// <summary>Takes an organisation's own CA for the federation's: everything that would make its certificates useless is found before the first one is issued.</summary>
public static class OwnAuthority
{
    private const int LeastRsaBits = 2048;

    /// <param name="certificatePath">PEM; of several certificates the first. Those above it are not needed: nodes trust this CA's key, not who signed it.</param>
    /// <param name="keyPath">PEM, not encrypted: ECDSA on P-256 or P-384, or RSA of at least 2048 bits.</param>
    /// <exception cref="InvalidInputException">Every mistake: the file, what is wrong, what would be right.</exception>
    public static CertificateAuthority Load(string certificatePath, string keyPath, DateTimeOffset now)
    {
        X509Certificate2 certificate = ReadCertificate(certificatePath);
        List<Problem> problems = [.. ProblemsOf(certificate, now).Select(problem => problem with { File = certificatePath })];
        AsymmetricAlgorithm? key = null;
        try
        {
            key = ReadKey(keyPath);
        }
        catch (InvalidInputException error)
        {
            problems.AddRange(error.Problems);
        }

        if (key is not null && !CertificateProfile.HasKey(certificate, key)) problems.Add(new Problem("The key does not belong to the certificate.", keyPath, Repair: $"Name the key that {certificatePath} was made for."));
        if (problems.Count == 0) return new CertificateAuthority(certificate, key!);
        certificate.Dispose();
        key?.Dispose();
        throw new InvalidInputException(problems);
    }

    private static IEnumerable<Problem> ProblemsOf(X509Certificate2 certificate, DateTimeOffset now)
    {
        if (certificate.Extensions.OfType<X509BasicConstraintsExtension>().FirstOrDefault() is not { CertificateAuthority: true }) yield return new Problem("This is no CA's certificate: its basic constraints do not say so.", Repair: "Ask your organisation's PKI for a subordinate CA (CA:TRUE; a path length of 0 is enough).");
        if (certificate.Extensions.OfType<X509KeyUsageExtension>().FirstOrDefault() is not { } usage || !usage.KeyUsages.HasFlag(X509KeyUsageFlags.KeyCertSign)) yield return new Problem("The certificate's key may not sign certificates.", Repair: "Its key usage has to hold keyCertSign.");
        DateTimeOffset from = certificate.NotBefore.ToUniversalTime(), until = certificate.NotAfter.ToUniversalTime();
        if (now < from) yield return new Problem(string.Create(CultureInfo.InvariantCulture, $"The certificate is valid from {from:u} on; it is {now:u} now."), Repair: "Compare this machine's clock, or wait.");
        if (now >= until) yield return new Problem(string.Create(CultureInfo.InvariantCulture, $"The certificate ended at {until:u}; it is {now:u} now."), Repair: "Have it renewed, or compare this machine's clock.");
    }

    private static X509Certificate2 ReadCertificate(string path)
    {
        try
        {
            return X509Certificate2.CreateFromPem(TextFile.Read(path));
        }
        catch (Exception error) when (error is CryptographicException or ArgumentException)
        {
            throw new InvalidInputException(new Problem($"There is no certificate in this file: {error.Message}", path, Repair: "PEM is right: -----BEGIN CERTIFICATE-----."));
        }
    }

    private static AsymmetricAlgorithm ReadKey(string path)
    {
        string pem = TextFile.Read(path);
        if (pem.Contains("ENCRYPTED", StringComparison.Ordinal)) throw new InvalidInputException(new Problem("The key is encrypted.", path, Repair: "Write it without a passphrase to a file of mode 0600 (`openssl pkey -in KEY -out PLAIN`); remove that file afterwards: the federation keeps the key in its state folder."));
        if (CertificateAuthority.ReadKey(pem) is not { } key) throw new InvalidInputException(new Problem("There is no ECDSA or RSA key in this file.", path, Repair: "PEM is right: -----BEGIN PRIVATE KEY-----, -----BEGIN EC PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----."));
        string? wrong = key switch
        {
            ECDsa curve when CertificateAuthority.CurveOf(curve) is not ("nistP256" or "nistP384") => "The key is on another curve than P-256 and P-384.",
            RSA { KeySize: < LeastRsaBits } rsa => $"The RSA key has {rsa.KeySize} bits; at least {LeastRsaBits} are right.",
            _ => null,
        };
        if (wrong is null) return key;
        key.Dispose();
        throw new InvalidInputException(new Problem(wrong, path, Repair: "A CA on P-256 or P-384, or RSA of at least 2048 bits, is right."));
    }
}
