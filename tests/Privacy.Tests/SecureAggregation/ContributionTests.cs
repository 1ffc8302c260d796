using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>A round without network: sites write files, the coordinator checks and sums them, the committee opens, the mean comes out.</summary>
public sealed class ContributionTests : IDisposable
{
    private readonly TestFederation _federation = new(4, 3);
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare[] _shares;

    public ContributionTests() => (_certificate, _shares) = _federation.MakeEpoch();

    public void Dispose()
    {
        foreach (CommitteeShare share in _shares) share.Dispose();
        _federation.Dispose();
    }

    [Theory] // direct; hybrid with one and with two fields; with rotation; the last block of its own for the weight
    [InlineData(true, 30, 24, false)]
    [InlineData(false, 5000, 24, false)]
    [InlineData(false, 300_000, 14, false)]
    [InlineData(false, 20_000, 16, true)]
    [InlineData(false, 4096, 14, false)]
    public async Task Mean_OfARound_IsThatOfTheUpdates(bool direct, int values, int bits, bool rotated)
    {
        UpdateLayout layout = direct ? UpdateLayout.ChooseDirect(bits, 4) : UpdateLayout.Choose(bits, 4);
        UpdateEncoding encoding = new(layout, values, clip: rotated ? 20 : 1e6, weightScale: 0.1f, rotated ? new byte[32] : null, rotated ? null : 2, noiseVariance: 0, largestWeight: 20);
        SiteRound round = Round(new(new byte[32], new byte[32], _federation.Names, 3, 1, WeightRule.Claimed, new byte[32], encoding), Opening.Update);
        Random random = new(7);
        double[] weights = [20, 5, 1.5];
        float[][] updates = [.. weights.Select(_ => Enumerable.Range(0, values).Select(_ => (float)((random.NextDouble() - 0.5) * (rotated ? 0.001 : 0.1))).ToArray())];
        List<Stream> files = [];
        List<SignedMessage> headers = [];
        for (int site = 1; site <= 3; site++)
        {
            MemoryStream file = new();
            await ContributionFile.WriteUpdateAsync(file, round, $"site-{site}", _federation.Identity(site), updates[site - 1], weights[site - 1], new byte[32], _federation.Random, threads: 2, TestContext.Current.CancellationToken);
            file.Position = 0;
            headers.Add(ContributionFile.Check(file, file.Length, round, _federation.Roster, $"site-{site}"));
            files.Add(file);
        }

        ContributionSum sum = new(round, files);
        using Plaintext opened = Open(round, sum, headers);
        List<float> mean = [];
        double weight = sum.WriteMean(opened, part => mean.AddRange(part));
        double step = encoding.Grid * 3 / 26.5;
        Assert.Equal(26.5, weight, (3 * encoding.Grid / 0.1) + 2e-6); // floats
        Assert.Equal(values, mean.Count);
        for (int i = 0; i < values; i++) Assert.Equal(updates.Zip(weights, (update, w) => update[i] * w).Sum() / 26.5, mean[i], step + 1e-6);
        foreach (int threads in (int[])[1, 2, 5, 1000])
        {
            List<float> again = [];
            Assert.Equal(weight, sum.WriteMean(opened, part => again.AddRange(part), threads: threads));
            Assert.Equal(mean, again); // bit for bit
        }
    }

    [Theory] // of the block next to the front, whatever other threads have found meanwhile; and nothing after it is handed on
    [InlineData(1)]
    [InlineData(3)]
    public async Task WriteMean_ABlockThatHasChangedOnDisk_IsTheErrorOfTheFirst(int threads)
    {
        const int Values = 300_000;
        UpdateEncoding encoding = new(UpdateLayout.Choose(14, 4), Values, 1e6, 0.1f, null, 2, 0, 20);
        SiteRound round = Round(new(new byte[32], new byte[32], _federation.Names, 3, 1, WeightRule.Claimed, new byte[32], encoding), Opening.Update);
        List<Stream> files = [];
        List<SignedMessage> headers = [];
        for (int site = 1; site <= 3; site++)
        {
            MemoryStream file = new();
            headers.Add((await ContributionFile.WriteUpdateAsync(file, round, $"site-{site}", _federation.Identity(site), new float[Values], 1, new byte[32], _federation.Random, threads: 2, TestContext.Current.CancellationToken)).Header);
            files.Add(file);
        }

        ContributionSum sum = new(round, files);
        using Plaintext opened = Open(round, sum, headers);
        foreach (int block in (int[])[17, 70])
        {
            files[1].Position = (2L * PackedElement.Length(_certificate.Descriptor.Parameters.DataRing)) + ((long)block * PadRing.BlockBytes);
            files[1].Write(new byte[PadRing.BlockBytes]);
        }

        int written = 0;
        PadResidualException error = Assert.Throws<PadResidualException>(() => sum.WriteMean(opened, part => written += part.Length, threads: threads));
        Assert.StartsWith("Block 17:", error.Message, StringComparison.Ordinal);
        Assert.InRange(written, 0, 17 * encoding.Layout.ValuesPerBlock);
    }

    [Fact]
    public async Task Counts_OfSites_AddUpExactly()
    {
        SiteRound round = Round(new(new byte[32], new byte[32], _federation.Names, 3, 0, WeightRule.One, new byte[32], null), Opening.Evaluation);
        List<Stream> files = [];
        List<SignedMessage> headers = [];
        ulong largest = ContributionFile.LargestCount(4);
        for (int site = 1; site <= 4; site++)
        {
            MemoryStream file = new();
            await ContributionFile.WriteCountsAsync(file, round, $"site-{site}", _federation.Identity(site), [(ulong)site, largest, 0, 7], TestContext.Current.CancellationToken);
            file.Position = 0;
            headers.Add(ContributionFile.Check(file, file.Length, round, _federation.Roster, $"site-{site}"));
            files.Add(file);
        }

        using Plaintext opened = Open(round, new(round, files), headers);
        Assert.Equal([10, 4 * largest, 0, 28, 0], opened.Coefficients[..5].ToArray());
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => ContributionFile.WriteCountsAsync(new MemoryStream(), round, "site-1", _federation.Identity(1), [largest + 1], TestContext.Current.CancellationToken));
    }

    [Fact] // nothing of a file that is not whole and true gets into a sum
    public async Task Check_AnyChange_IsRefused()
    {
        UpdateEncoding encoding = new(UpdateLayout.Choose(24, 4), 3000, 1e6, 0.1f, null, 2, 0, 20);
        SiteRound round = Round(new(new byte[32], new byte[32], _federation.Names, 3, 1, WeightRule.Claimed, new byte[32], encoding), Opening.Update);
        MemoryStream file = new();
        await ContributionFile.WriteUpdateAsync(file, round, "site-1", _federation.Identity(1), new float[3000], 3, new byte[32], _federation.Random, threads: 1, TestContext.Current.CancellationToken);
        byte[] bytes = file.ToArray();
        int half = PackedElement.Length(_certificate.Descriptor.Parameters.DataRing);
        Check(bytes, round, "site-1");
        foreach (int place in (int[])[0, half, 2 * half, (2 * half) + PadRing.BlockBytes, bytes.Length - 1, bytes.Length - 100, bytes.Length - 400])
        {
            byte[] changed = [.. bytes];
            changed[place] ^= 1;
            Assert.Throws<ProtocolException>(() => Check(changed, round, "site-1"));
        }

        foreach (int length in (int[])[0, half, bytes.Length - 1]) Assert.Throws<ProtocolException>(() => Check(bytes[..length], round, "site-1"));
        Assert.Throws<ProtocolException>(() => Check([.. bytes, 0], round, "site-1"));
        Refused(Refusal.WrongSignature, () => Check(bytes, round, "site-2"));
        Refused(Refusal.AnotherOpening, () => Check(bytes, round with { Opening = new("heart", 1, 2, Opening.Update) }, "site-1"));
        Refused(Refusal.AnotherOpening, () => Check(bytes, round with { Descriptor = round.Descriptor with { MaxColluding = 2 } }, "site-1"));
        byte[] block = [.. bytes];
        block.AsSpan(2 * half, 12).Fill(0xff);
        Assert.Contains("not below q", Assert.Throws<ProtocolException>(() => Check(block, round, "site-1")).Message, StringComparison.Ordinal);
    }

    private SiteRound Round(RoundDescriptor descriptor, string purpose) => new(new("heart", 1, 1, purpose), descriptor, _certificate);

    private Plaintext Open(SiteRound round, ContributionSum sum, List<SignedMessage> headers)
    {
        int[] active = [1, 3, 4];
        OpeningRequest request = new(round.Opening, round.Descriptor, headers, active);
        SignedOpeningAnswer[] answers = [.. active.Select(member => _federation.Opener(_certificate, _shares[member - 1]).Answer(request, Enumerable.Range(0, headers.Count).Select(sum.Second)))];
        byte[] set = ContributionHeader.SetHash(headers.Select(header => ContributionHeader.Decode(header.Body.Span)));
        return OpeningSum.Open(_certificate, _federation.Roster, round.Opening, sum.Keys(), headers.Count, set, active, answers);
    }

    private void Check(byte[] bytes, SiteRound round, string site) => ContributionFile.Check(new MemoryStream(bytes), bytes.Length, round, _federation.Roster, site);

    private static void Refused(Refusal reason, Action action) => Assert.Equal(reason, Assert.Throws<ProtocolException>(action).Reason);
}
