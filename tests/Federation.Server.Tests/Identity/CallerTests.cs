using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.V1;
using Grpc.Core;
using Grpc.Net.Client;

namespace Federation.Server.Tests.Identity;

/// <summary>Who may call what, on which port, with which certificate.</summary>
public sealed class CallerTests : IAsyncLifetime
{
    private TestCoordinator _test = null!;
    private TestNode _node = null!;

    public async ValueTask InitializeAsync()
    {
        _test = await TestCoordinator.StartAsync();
        _node = await _test.EnrolAsync("a");
    }

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Call_WithoutACertificate_IsRefusedOnBothPorts()
    {
        await Tiny.RefusedAsync(Refusal.NoCertificate, StatusCode.Unauthenticated, async () => await new Node.NodeClient(Anonymous(_test.Coordinator.NodesAddress)).HeartbeatAsync(new HeartbeatRequest()), "fed node enroll");
        await Tiny.RefusedAsync(Refusal.NoCertificate, StatusCode.Unauthenticated, async () => await new Operator.OperatorClient(Anonymous(_test.Coordinator.OperatorsAddress)).ListSitesAsync(new ListSitesRequest()), "admin credential");
    }

    [Fact]
    public async Task Call_CertificateOfAnotherCa_IsRefused()
    {
        using CertificateAuthority other = CertificateAuthority.Create(DateTimeOffset.UtcNow);
        await Tiny.RefusedAsync(Refusal.ForeignCertificate, StatusCode.Unauthenticated, () => HeartbeatAsync(Issue("a", CertificateRole.Site)));
        await Tiny.RefusedAsync(Refusal.ForeignCertificate, StatusCode.Unauthenticated, () => ListAsync(Issue("admin", CertificateRole.Admin)));

        // With the real CA beside it, or the caller would be the one to refuse.
        Credential Issue(string name, CertificateRole role)
        {
            using Credential foreign = other.Issue(name, role, DateTimeOffset.UtcNow);
            using ECDsa key = foreign.Certificate.GetECDsaPrivateKey()!;
            using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(foreign.Certificate.RawData);
            return Credential.Of(certificate, key, X509CertificateLoader.LoadCertificate(_node.Credential.CaCertificate.RawData));
        }
    }

    [Fact]
    public async Task Call_CertificateSignedByASitesKey_IsRefused()
    {
        // A site cannot make itself or anybody else an admin.
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256), site = _node.Credential.Certificate.GetECDsaPrivateKey()!;
        var request = new CertificateRequest(CertificateProfile.Subject("admin", CertificateRole.Admin), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(CertificateProfile.ClientAuthentication)], false));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 forged = request.Create(_node.Credential.Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(site), now.AddMinutes(-1), now.AddDays(1), [1]);
        await Tiny.RefusedAsync(Refusal.ForeignCertificate, StatusCode.Unauthenticated, () => ListAsync(Credential.Of(forged, key, X509CertificateLoader.LoadCertificate(_node.Credential.CaCertificate.RawData))));
    }

    [Fact]
    public async Task Call_CertificateSaysItsIssuerIsTheCaAndIsNot_IsRefused()
    {
        // The CA's name on a certificate is not its signature.
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using CertificateAuthority real = CertificateAuthority.Load(_test.Folder.Ca);
        var request = new CertificateRequest(CertificateProfile.Subject("admin", CertificateRole.Admin), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(CertificateProfile.ClientAuthentication)], false));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 forged = request.Create(real.Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(key), now.AddMinutes(-1), now.AddDays(1), [1]);
        await Tiny.RefusedAsync(Refusal.ForeignCertificate, StatusCode.Unauthenticated, () => ListAsync(Credential.Of(forged, key, X509CertificateLoader.LoadCertificate(real.Certificate.RawData))));
    }

    [Fact]
    public async Task Call_SiteThatWasNeverEnrolled_IsRefusedThoughTheCaSigned()
    {
        using CertificateAuthority ca = CertificateAuthority.Load(_test.Folder.Ca);
        await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, () => HeartbeatAsync(ca.Issue("stranger", CertificateRole.Site, DateTimeOffset.UtcNow)));
        await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, () => HeartbeatAsync(ca.Issue("a", CertificateRole.Site, DateTimeOffset.UtcNow)), "'a'"); // the name is right, the key is not
    }

    [Fact]
    public async Task Call_ServiceOfTheOtherPort_IsRefused()
    {
        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, async () => await new Node.NodeClient(_test.Channel(_test.Coordinator.OperatorsAddress, _node.Credential)).HeartbeatAsync(new HeartbeatRequest()), "8443");
        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, async () => await new Operator.OperatorClient(_test.Channel(_test.Coordinator.NodesAddress, Admin())).ListSitesAsync(new ListSitesRequest()), "8444");
        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, async () => await _test.Enrolment(_test.Coordinator.OperatorsAddress).EnrollAsync(new EnrollRequest { Token = "x" }));
    }

    [Fact]
    public async Task Call_WithAnothersRole_IsRefused()
    {
        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, () => ListAsync(_node.Credential), "Only an operator's credential");
        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, () => HeartbeatAsync(Admin()), "Only a site");
        using CertificateAuthority ca = CertificateAuthority.Load(_test.Folder.Ca);
        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, () => ListAsync(ca.Issue("coordinator", CertificateRole.Coordinator, DateTimeOffset.UtcNow)));
    }

    [Fact]
    public async Task Call_AfterTheCertificateEnded_IsRefusedNamingItsDates()
    {
        _test.Sleep(TimeSpan.FromDays(800));
        await Tiny.RefusedAsync(Refusal.ExpiredCertificate, StatusCode.Unauthenticated, async () => await _node.Client.HeartbeatAsync(new HeartbeatRequest()), "valid from");
    }

    [Fact]
    public async Task Join_AnotherProtocolVersion_IsRefusedNamingBoth()
    {
        foreach (uint version in new uint[] { 0, 2, uint.MaxValue })
        {
            await Tiny.RefusedAsync(Refusal.ProtocolVersion, StatusCode.FailedPrecondition, async () => await _node.Client.JoinAsync(new JoinRequest { ProtocolVersion = version, Role = NodeRole.Trainer }), $"version {version}, the coordinator {ProtocolVersion.Current}");
        }
    }

    [Fact]
    public async Task Join_RoleOrDataIdThatIsNone_IsRefused()
    {
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _node.JoinAsync(NodeRole.Unspecified));
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _node.JoinAsync(NodeRole.Trainer, "../etc"));
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => _node.JoinAsync(NodeRole.Trainer, [.. Enumerable.Repeat("x", 1001)]));
    }

    [Fact]
    public async Task NextTask_WithoutJoining_IsRefusedSayingSo()
    {
        TestNode silent = await _test.EnrolAsync("b", join: false);
        await Tiny.RefusedAsync(Refusal.NotJoined, StatusCode.FailedPrecondition, silent.NextAsync, "Join first");
        await Tiny.RefusedAsync(Refusal.NotJoined, StatusCode.FailedPrecondition, async () => await silent.Client.HeartbeatAsync(new HeartbeatRequest()));
    }

    private async Task HeartbeatAsync(Credential credential) => await new Node.NodeClient(_test.Channel(_test.Coordinator.NodesAddress, _test.Own(credential))).HeartbeatAsync(new HeartbeatRequest());

    private async Task ListAsync(Credential credential) => await new Operator.OperatorClient(_test.Channel(_test.Coordinator.OperatorsAddress, _test.Own(credential))).ListSitesAsync(new ListSitesRequest());

    private Credential Admin() => _test.Own(Credential.Load(_test.Folder.Admin));

    private GrpcChannel Anonymous(Uri address) => _test.Own(CoordinatorChannel.OpenForEnrolment(address, CertificateProfile.SpkiSha256(_node.Credential.CaCertificate)));
}
