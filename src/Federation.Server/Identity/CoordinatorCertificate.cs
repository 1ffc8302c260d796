using System.Net.Security;
using Federation.Protocol.Identity;

namespace Federation.Server.Identity;

/// <summary>What the coordinator shows to who dials: a certificate that it issues to itself, and exchanges for a new one with a third of its lifetime left, however long the process lives.</summary>
internal sealed class CoordinatorCertificate(CertificateAuthority ca, TimeProvider time)
{
    /// <summary>It costs nothing to issue another.</summary>
    internal static readonly TimeSpan Lifetime = TimeSpan.FromDays(30);

    private readonly Lock _lock = new();
    private SslStreamCertificateContext? _context;
    private DateTimeOffset _from, _renewal;

    /// <summary>For a handshake now. An earlier one may be in use by handshakes under way, so none is disposed here.</summary>
    public SslStreamCertificateContext Context
    {
        get
        {
            DateTimeOffset now = time.GetUtcNow();
            lock (_lock)
            {
                if (_context is not null && _from <= now && now < _renewal) return _context; // a clock that was put back may be before it
                Credential credential = ca.Issue("coordinator", CertificateRole.Coordinator, now, Lifetime);
                (_context, _from, _renewal) = (SslStreamCertificateContext.Create(credential.Certificate, [credential.CaCertificate], offline: true), credential.Certificate.NotBefore.ToUniversalTime(), CertificateProfile.RenewalOf(credential.Certificate));
                return _context;
            }
        }
    }
}
