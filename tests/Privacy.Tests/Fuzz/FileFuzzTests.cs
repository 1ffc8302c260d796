using System.Security.Cryptography;
using Federation.Privacy.SecureAggregation;
using Federation.Privacy.Tests.SecureAggregation;

namespace Federation.Privacy.Tests.Fuzz;

/// <summary>Mutated bytes where files and stored shares are checked from beginning to end: transcripts of epochs and openings, contributions, a member's share in its store. Each is whole, or refused by one of the named errors. One input for a hundred of a decoder's: each takes signatures to check.</summary>
public sealed class FileFuzzTests : IDisposable
{
    private const int Slack = 64 << 10; // of checking signatures: keys of the library under it, exceptions with their traces

    private readonly TestFederation _federation = new(3, 3);
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare[] _shares;

    public FileFuzzTests() => (_certificate, _shares) = _federation.MakeEpoch();

    public void Dispose()
    {
        foreach (CommitteeShare share in _shares) share.Dispose();
        _federation.Dispose();
    }

    [Fact] // the check computes the key from everybody's part again: several elements of the ring beside what is decoded
    public void Verify_AnEpochsTranscript_IsWholeOrRefusedByName()
    {
        byte[] transcript = _federation.Transcript;
        Run<ProtocolException>("epoch transcript", transcript, 2000, multiple: 6, bytes => new TranscriptAudit().AddEpoch(bytes));
    }

    [Fact]
    public void Verify_AnOpeningsTranscript_IsWholeOrRefusedByName()
    {
        TestRound round = new(_federation, _certificate, 3);
        OpeningRequest request = round.Request(1, 2, 3);
        byte[] file = OpeningTranscriptFile.Encode(request, [.. _shares.Select(share => _federation.Opener(_certificate, share).Answer(request, round.Seconds).Message)]);
        Run<ProtocolException>("opening transcript", file, file.Length, multiple: 2, bytes => OpeningTranscriptFile.Verify(bytes, _certificate, _federation.Roster));
        TranscriptAudit audit = new();
        audit.AddEpoch(_federation.Transcript);
        Run<ProtocolException>("opening transcript in an audit", file, file.Length, multiple: 2, bytes => audit.AddOpening(bytes));
    }

    [Fact]
    public async Task Check_AContribution_IsWholeOrRefusedByName()
    {
        UpdateEncoding encoding = new(UpdateLayout.Choose(14, 3), 3000, 1e6, 0.1f, null, 2, 0, 20);
        SiteRound round = new(new("heart", 1, 1, Opening.Update), new(new byte[32], new byte[32], _federation.Names, 3, 1, WeightRule.Claimed, new byte[32], encoding), _certificate);
        MemoryStream stream = new();
        await ContributionFile.WriteUpdateAsync(stream, round, "site-1", _federation.Identity(1), new float[3000], 3, new byte[32], _federation.Random, 1, TestContext.Current.CancellationToken);
        byte[] file = stream.ToArray();
        // Whole, and only the header changed, which is at the end. The copy of the file is the test's own.
        int body = (int)ContributionFile.BodyBytes(round);
        byte[] header = file[body..];
        Run<ProtocolException>("contribution", file, 200, multiple: 2, bytes => Check(bytes.ToArray()), beside: 2L * file.Length);
        Run<ProtocolException>("contribution's header", header, header.Length, multiple: 2, bytes => Check([.. file.AsSpan(0, body), .. bytes]), beside: 3L * file.Length);

        void Check(byte[] bytes) => ContributionFile.Check(new MemoryStream(bytes), bytes.Length, round, _federation.Roster, "site-1");
    }

    [Fact]
    public void Unprotect_AStoredShare_IsItOrRefusedByName()
    {
        byte[] key = RandomNumberGenerator.GetBytes(32), stored = _shares[0].Protect(key);
        // The plain bytes beside the words: they are decrypted before they are decoded.
        Run<CryptographicException>("stored share", stored, 100, multiple: 3, bytes => CommitteeShare.Unprotect(key, bytes).Dispose());
    }

    private delegate void Target(ReadOnlySpan<byte> bytes);

    /// <param name="headBytes">Where most changes fall.</param>
    /// <param name="multiple">Of the input's length, that may be taken.</param>
    /// <param name="beside">Bytes that the test itself takes.</param>
    private static void Run<TRefusal>(string name, byte[] valid, int headBytes, int multiple, Target check, long beside = 0)
        where TRefusal : Exception
    {
        check(valid);
        Fuzzer.Run<Named>(name, Fuzzer.Inputs(20_000) / 100, new ByteMutator(name.Length, [valid], headBytes), Decode, length => ((long)multiple * length) + Slack + beside, named => named.InnerException is ProtocolException { Reason: var reason } ? $"{reason}" : named.InnerException!.GetType().Name);

        bool Decode(ReadOnlySpan<byte> input)
        {
            try
            {
                check(input);
                return true;
            }
            catch (Exception error) when (error is TRefusal or FormatException)
            {
                throw new Named(error);
            }
        }
    }

    private sealed class Named(Exception inner) : Exception("", inner);
}
