using System.Net;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.V1;
using Grpc.Core;
using Microsoft.Extensions.Time.Testing;

namespace Federation.Server.Tests.Identity;

public sealed class EnrolmentTriesTests
{
    private readonly FakeTimeProvider _time = new(DateTimeOffset.UnixEpoch);

    [Fact]
    public async Task Enrol_AfterFiveTriesInVain_IsRefusedUntilAMinuteIsOverAndSaysHowLong()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        string good = (await test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "a" })).Token;
        string wrong = InvitationToken.Create("a", InvitationToken.Parse(good).CaSpkiSha256).Reveal();
        for (int i = 0; i < 5; i++)
        {
            await Tiny.RefusedAsync(Refusal.TokenUnknown, StatusCode.PermissionDenied, () => test.CertifyAsync(wrong, "a"));
            test.Sleep(TimeSpan.FromSeconds(10));
        }

        await Tiny.RefusedAsync(Refusal.TooManyTries, StatusCode.ResourceExhausted, () => test.CertifyAsync(wrong, "a"), "in 10 s");
        await Tiny.RefusedAsync(Refusal.TooManyTries, StatusCode.ResourceExhausted, () => test.CertifyAsync(good, "a"), "in 10 s");
        test.Sleep(TimeSpan.FromSeconds(10));
        await test.CertifyAsync(good, "a");
    }

    [Fact]
    public async Task Enrol_ManySitesFromOneAddress_NoneIsHeldUp()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        for (int i = 0; i < 12; i++) await test.EnrolAsync($"site-{i}", join: false);
    }

    [Fact]
    public void Try_FromManyAddresses_IsHeldUpByItsName()
    {
        var tries = new EnrolmentTries(_time);
        for (int i = 1; i <= 5; i++) Fail(tries, $"10.0.0.{i}", "a");
        Assert.True(RpcError.Is(Fail(tries, "10.0.0.6", "a"), Refusal.TooManyTries));
        Assert.Equal("taken", tries.Try(IPAddress.Parse("10.0.0.6"), "b", () => "taken"));
        Assert.Contains("'a'", Fail(tries, "10.0.0.7", "a").Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void Try_AfterAnotherAddressFailedWaitedAndCameIn_IsRefusedWithItsReason()
    {
        var tries = new EnrolmentTries(_time);
        Fail(tries, "10.0.0.1", null);
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.Equal("taken", tries.Try(IPAddress.Parse("10.0.0.1"), null, () => "taken"));
        Fail(tries, "10.0.0.2", null);
    }

    [Fact]
    public void Try_ManyNamesFromOneAddress_IsHeldUpByItsAddress()
    {
        var tries = new EnrolmentTries(_time);
        for (int i = 1; i <= 5; i++) Fail(tries, "10.0.0.1", i % 2 == 0 ? null : $"site-{i}");
        Assert.True(RpcError.Is(Fail(tries, "10.0.0.1", "another"), Refusal.TooManyTries));
        Assert.Equal("taken", tries.Try(IPAddress.Parse("10.0.0.2"), "another", () => "taken"));
    }

    [Theory]
    [InlineData("2001:db8::1", "2001:db8::ffff:1", true)]
    [InlineData("2001:db8::1", "2001:db8:0:1::1", false)]
    [InlineData("10.0.0.1", "::ffff:10.0.0.1", true)]
    [InlineData("10.0.0.1", "10.0.0.2", false)]
    public void Try_AddressesOfOneParty_CountTogether(string one, string other, bool same) =>
        Assert.Equal(same, EnrolmentTries.KeyOf(IPAddress.Parse(one)) == EnrolmentTries.KeyOf(IPAddress.Parse(other)));

    [Fact]
    public void Failed_MoreKeysThanThereIsRoomFor_ForgetsThoseLongestAgoAndKeepsWhoTriesOn()
    {
        var limit = new TryLimit(_time, capacity: 100);
        for (int i = 0; i < 10_000; i++)
        {
            limit.Failed($"key-{i}");
            limit.Failed("stubborn");
            Assert.InRange(limit.Count, 1, 100);
        }

        Assert.Equal(TryLimit.Window, limit.Wait("stubborn"));
        Assert.Equal(TimeSpan.Zero, limit.Wait("key-0"));
    }

    [Fact]
    public void Failed_AfterAMinute_NothingOfItIsKept()
    {
        var limit = new TryLimit(_time);
        for (int i = 0; i < 1000; i++) limit.Failed($"key-{i}");
        _time.Advance(TryLimit.Window);
        limit.Failed("last");
        Assert.Equal(1, limit.Count);
    }

    [Fact]
    public void Wait_ClockPutBack_LocksNobodyOut()
    {
        var limit = new TryLimit(_time);
        _time.Advance(TimeSpan.FromDays(1));
        for (int i = 0; i < 5; i++) limit.Failed("a");
        _time.AdjustTime(DateTimeOffset.UnixEpoch);
        Assert.Equal(TimeSpan.Zero, limit.Wait("a"));
    }

    private static RpcException Fail(EnrolmentTries tries, string address, string? name) => Assert.Throws<RpcException>(() =>
        tries.Try<string>(IPAddress.Parse(address), name, () => throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.TokenUnknown, "No.")));
}
