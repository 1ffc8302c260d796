using System.Runtime.CompilerServices;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol.Identity;

namespace Federation.Server.Identity;

/// <summary>What a certificate says: <see cref="CertificateProfile"/>'s answers.</summary>
public sealed record CertificateFacts(CertificateRole? Role, string? Name, string KeySha256);

/// <summary>Reads and checks each connection's certificate once: a connection carries thousands of calls, and a chain costs as much as all the rest of a small one.</summary>
public sealed class SeenCertificates(CertificateAuthority ca, TimeProvider time)
{
    // By object: a connection keeps its certificate, and takes it along when it ends.
    private readonly ConditionalWeakTable<X509Certificate2, Seen> _seen = [];

    public CertificateFacts FactsOf(X509Certificate2 certificate) => _seen.GetOrAdd(certificate, Read).Facts;

    public CertificateStatus StatusOf(X509Certificate2 certificate)
    {
        DateTimeOffset now = time.GetUtcNow();
        Seen seen = _seen.GetOrAdd(certificate, Read);
        // No list of revoked certificates is asked, so what was valid once is valid until the first of the two ends.
        if (seen.ValidFrom <= now && now <= seen.Until) return CertificateStatus.Valid;
        CertificateStatus status = CertificateProfile.StatusOf(certificate, ca.Certificate, now);
        if (status == CertificateStatus.Valid) seen.ValidFrom = now;
        return status;
    }

    private Seen Read(X509Certificate2 certificate) => new(
        new CertificateFacts(CertificateProfile.RoleOf(certificate), CertificateProfile.NameOf(certificate), CertificateProfile.SpkiSha256(certificate)),
        new DateTimeOffset(Math.Min(certificate.NotAfter.ToUniversalTime().Ticks, ca.Certificate.NotAfter.ToUniversalTime().Ticks), TimeSpan.Zero));

    private sealed class Seen(CertificateFacts facts, DateTimeOffset until)
    {
        private long _validFrom = DateTimeOffset.MaxValue.UtcTicks;

        public CertificateFacts Facts => facts;

        public DateTimeOffset Until => until;

        /// <summary>When it was found valid; several calls may write at once.</summary>
        public DateTimeOffset ValidFrom
        {
            get => new(Volatile.Read(ref _validFrom), TimeSpan.Zero);
            set => Volatile.Write(ref _validFrom, value.UtcTicks);
        }
    }
}
