using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Privacy.Canonical;

namespace Federation.Protocol.Identity;

/// <summary>What a party may do; stands in its certificate's subject as OU.</summary>
public enum CertificateRole
{
    Coordinator,
    Site,

    /// <summary>Operators, by <see cref="OperatorRole"/>.</summary>
    Admin,
    Operator,
    Viewer,
}

/// <summary>How certificates of a federation look: P-256, issued by the coordinator's CA, subject <c>CN=name, OU=role</c>, one extended key usage.</summary>
public static class CertificateProfile
{
    /// <summary>RFC 5280 id-kp-serverAuth: the coordinator only.</summary>
    public const string ServerAuthentication = "1.3.6.1.5.5.7.3.1";

    /// <summary>RFC 5280 id-kp-clientAuth: sites and operators.</summary>
    public const string ClientAuthentication = "1.3.6.1.5.5.7.3.2";

    /// <summary>
    /// Extension of the coordinator's certificate that holds a copy of the CA's certificate: TLS stacks leave roots out of the handshake, and a site that
    /// enrols knows only the hash of the CA's key. Under ITU-T X.667's arc for UUIDs.
    /// </summary>
    private const string CaCopy = "2.25.203866394129518390498163452907215839207";

    private const string CommonName = "2.5.4.3", OrganizationalUnit = "2.5.4.11";

    public static X500DistinguishedName Subject(string name, CertificateRole role)
    {
        var builder = new X500DistinguishedNameBuilder();
        builder.AddOrganizationalUnitName(NameOf(role));
        builder.AddCommonName(name);
        return builder.Build();
    }

    /// <summary>The subject's CN, or null where it has none or several.</summary>
    public static string? NameOf(X509Certificate2 certificate) => Single(certificate, CommonName);

    /// <summary>The role by OU; null where the OU is no role or the key usage does not fit it.</summary>
    public static CertificateRole? RoleOf(X509Certificate2 certificate)
    {
        CertificateRole? role = Single(certificate, OrganizationalUnit) switch
        {
            "coordinator" => CertificateRole.Coordinator,
            "site" => CertificateRole.Site,
            "admin" => CertificateRole.Admin,
            "operator" => CertificateRole.Operator,
            "viewer" => CertificateRole.Viewer,
            _ => null,
        };
        string usage = role == CertificateRole.Coordinator ? ServerAuthentication : ClientAuthentication;
        return role is not null && HasUsage(certificate, usage) ? role : null;
    }

    /// <summary>The extension that the coordinator's certificate carries, so that a site which enrols can check it.</summary>
    public static X509Extension CaCopyOf(X509Certificate2 ca) => new(CaCopy, ca.RawData, critical: false);

    /// <summary>The CA's certificate from the coordinator's; null where there is none, or it is malformed. Trust it only by the hash of its key.</summary>
    public static X509Certificate2? CaCopyIn(X509Certificate2 coordinator)
    {
        if (coordinator.Extensions[CaCopy] is not { } extension) return null;
        try
        {
            return X509CertificateLoader.LoadCertificate(extension.RawData);
        }
        catch (CryptographicException)
        {
            return null; // hostile bytes are no certificate
        }
    }

    /// <summary>When a certificate is to be exchanged for a new one: with a third of its lifetime left.</summary>
    public static DateTimeOffset RenewalOf(X509Certificate2 certificate)
    {
        DateTimeOffset from = certificate.NotBefore.ToUniversalTime(), until = certificate.NotAfter.ToUniversalTime();
        return until - ((until - from) / 3);
    }

    /// <summary>Whether this key, private or public, is the certificate's.</summary>
    public static bool HasKey(X509Certificate2 certificate, AsymmetricAlgorithm key) => certificate.PublicKey.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo());

    /// <summary>Whether a coordinator's answer to a signing request is the asker's: of the CA, in date, of this name and key.</summary>
    public static bool IsOf(X509Certificate2 certificate, X509Certificate2 ca, string name, AsymmetricAlgorithm key, DateTimeOffset now) =>
        StatusOf(certificate, ca, now) == CertificateStatus.Valid && NameOf(certificate) == name && HasKey(certificate, key);

    /// <summary>SHA-256 of the subject public key info, lower-case hex.</summary>
    public static string SpkiSha256(X509Certificate2 certificate) => Sha256Hex.Of(certificate.PublicKey.ExportSubjectPublicKeyInfo());

    /// <summary>Whether the certificate was issued by this CA and is within its dates at <paramref name="now"/>; no revocation lists are asked.</summary>
    public static CertificateStatus StatusOf(X509Certificate2 certificate, X509Certificate2 ca, DateTimeOffset now)
    {
        // An organisation's CA is seldom a root, and its key alone is trusted: the chain ends with it, whoever signed it.
        bool isRoot = ca.SubjectName.RawData.AsSpan().SequenceEqual(ca.IssuerName.RawData);
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        if (isRoot)
        {
            chain.ChainPolicy.CustomTrustStore.Add(ca);
        }
        else
        {
            chain.ChainPolicy.ExtraStore.Add(ca);
            chain.ChainPolicy.VerificationFlags = X509VerificationFlags.AllowUnknownCertificateAuthority;
        }

        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = now.UtcDateTime;
        bool isBuilt = chain.Build(certificate);
        if (chain.ChainElements.Count < 2 || !CryptographicOperations.FixedTimeEquals(chain.ChainElements[1].Certificate.RawDataMemory.Span, ca.RawDataMemory.Span)) return CertificateStatus.Foreign;
        if (isBuilt) return CertificateStatus.Valid;
        return chain.ChainStatus.All(status => status.Status is X509ChainStatusFlags.NotTimeValid || (!isRoot && status.Status is X509ChainStatusFlags.PartialChain)) ? CertificateStatus.OutOfDate : CertificateStatus.Foreign;
    }

    /// <summary>For TLS handshakes, whose other side is judged by <see cref="StatusOf"/> alone: no store of this machine is read, and no address that a stranger's certificate names is asked.</summary>
    public static X509ChainPolicy NoChain => new() { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };

    private static string NameOf(CertificateRole role) => role switch
    {
        CertificateRole.Coordinator => "coordinator",
        CertificateRole.Site => "site",
        CertificateRole.Admin => "admin",
        CertificateRole.Operator => "operator",
        CertificateRole.Viewer => "viewer",
        _ => throw new ArgumentOutOfRangeException(nameof(role), role, "No such role."),
    };

    private static string? Single(X509Certificate2 certificate, string oid)
    {
        string? found = null;
        foreach (X500RelativeDistinguishedName part in certificate.SubjectName.EnumerateRelativeDistinguishedNames())
        {
            if (part.HasMultipleElements) return null;
            if (part.GetSingleElementType().Value != oid) continue;
            if (found is not null) return null;
            found = part.GetSingleElementValue();
        }

        return found;
    }

    private static bool HasUsage(X509Certificate2 certificate, string oid)
    {
        foreach (X509Extension extension in certificate.Extensions)
        {
            if (extension is not X509EnhancedKeyUsageExtension usages) continue;
            return usages.EnhancedKeyUsages.Cast<Oid>().Any(usage => usage.Value == oid);
        }

        return false;
    }
}

public enum CertificateStatus
{
    Valid,

    /// <summary>Issued by the CA, but not yet or no longer valid.</summary>
    OutOfDate,

    /// <summary>Not issued by the CA, or malformed.</summary>
    Foreign,
}
