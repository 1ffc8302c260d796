using System.Security.Cryptography.X509Certificates;
using Federation.Client;
using Federation.Protocol.Identity;
using Federation.V1;
using Microsoft.Extensions.Time.Testing;

namespace Federation.EndToEnd.Tests;

/// <summary>Certificates that last an hour under a clock that runs faster: the node's process goes on over several of them.</summary>
public sealed class RenewalTests
{
    [Fact]
    public async Task Node_OverSeveralLifetimesOfItsCertificate_GoesOnAsTheSameSite()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using TestFederation federation = await TestFederation.StartAsync(time: time, siteCertificates: TimeSpan.FromHours(1));
        await federation.EnrollAsync("a");
        var folder = new NodeFolder(federation.NodeState("a"));
        X509Certificate2 first = Certificate(folder);
        string roster = await federation.RosterHashAsync();
        using var stop = new CancellationTokenSource();
        Task<NodeOutcome> node = federation.RunNodeAsync("a", OneVector.Learner(1), cancellationToken: stop.Token, exitAfterRun: true);

        HashSet<string> shown = [first.SerialNumber];
        DateTimeOffset end = time.GetUtcNow() + TimeSpan.FromHours(4);
        while (time.GetUtcNow() < end || shown.Count < 4)
        {
            Assert.False(node.IsCompleted, $"the node ended: {node.Exception?.GetBaseException().Message}");
            time.Advance(TimeSpan.FromSeconds(10));
            await Task.Delay(2, TestContext.Current.CancellationToken); // the node's calls take real time
            shown.Add(Certificate(folder).SerialNumber);
        }

        Assert.True(time.GetUtcNow() > first.NotAfter.ToUniversalTime().AddHours(1));
        Assert.Equal(CertificateProfile.SpkiSha256(first), CertificateProfile.SpkiSha256(Certificate(folder)));
        Site site = Assert.Single((await federation.Operator.ListSitesAsync(new ListSitesRequest())).Sites);
        Assert.Equal(("enrolled", CertificateProfile.SpkiSha256(first)), (site.State, site.KeySha256));
        Assert.Equal(roster, await federation.RosterHashAsync());
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 1, least: 1), "", OneVector.Initial(1));
        while (!node.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1)); // without ticks no round opens
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }

        Assert.Equal((run, "completed"), ((await node).RunId, (await node).State));
        using Credential stored = Credential.Load(folder.Certificate, folder.Key); // what a restart finds
        Assert.Equal("a", stored.Name);
    }

    [Fact]
    public async Task Node_OffForLongerThanItsCertificate_SaysThatANewInvitationIsNeeded()
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using TestFederation federation = await TestFederation.StartAsync(time: time, siteCertificates: TimeSpan.FromHours(1));
        await federation.EnrollAsync("a");
        time.AdjustTime(time.GetUtcNow() + TimeSpan.FromHours(1));
        var error = await Assert.ThrowsAsync<Formats.InvalidInputException>(() => federation.RunNodeAsync("a", OneVector.Learner(1)));
        Assert.Contains("new invitation", error.Message, StringComparison.Ordinal);
    }

    [Theory] // in date by its own clock, so that it is the clocks that have to be set
    [InlineData(40)]
    [InlineData(-2)]
    public async Task Node_WhoseCoordinatorsClockIsWrong_GoesOnWhenItIsSet(int days)
    {
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow);
        await using TestFederation federation = await TestFederation.StartAsync(time: time);
        await federation.EnrollAsync("a");
        var log = new KeptLog();
        Task<NodeOutcome> node = federation.RunNodeAsync("a", OneVector.Learner(1), loggers: log, clock: TimeProvider.System);
        await log.SaysAsync("Joined");

        time.AdjustTime(time.GetUtcNow() + TimeSpan.FromDays(days));
        while (!log.Lines.Any(line => line.Contains("one of the two has to be set", StringComparison.Ordinal)))
        {
            Assert.False(node.IsCompleted, $"the node ended: {node.Exception?.GetBaseException().Message}");
            time.Advance(TimeSpan.FromSeconds(1)); // its poll comes to an end
            await Task.Delay(5, TestContext.Current.CancellationToken);
        }

        time.AdjustTime(DateTimeOffset.UtcNow);
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 1, least: 1), "", OneVector.Initial(1));
        while (!node.IsCompleted)
        {
            time.Advance(TimeSpan.FromMilliseconds(100));
            await Task.Delay(10, TestContext.Current.CancellationToken);
        }

        Assert.Equal((run, "completed"), ((await node).RunId, (await node).State));
    }

    private static X509Certificate2 Certificate(NodeFolder folder) => X509CertificateLoader.LoadCertificateFromFile(folder.Certificate);
}
