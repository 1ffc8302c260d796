using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Privacy.Tests.SecureAggregation;

namespace Federation.Privacy.Tests.Fuzz;

/// <summary>Mutated bytes into every decoder of secure aggregation (SEAL's objects: <see cref="Homomorphic.Seal.SealFuzzTests"/>): an object or a FormatException, nothing else, and no more memory than a few times the largest object. <c>FED_FUZZ</c> sets the number of inputs of each.</summary>
public sealed class DecoderFuzzTests
{
    private static readonly BfvParameters s_small = new(1024, [0x7e00001], 16);

    public static TheoryData<string> Decoders => [.. Targets().Keys];

    [Theory]
    [MemberData(nameof(Decoders))]
    public void Decode_MutatedBytes_GivesAnObjectOrAFormatException(string decoder)
    {
        (byte[][] valid, Action<byte[]> decode, long mostMemory) = Targets()[decoder];
        foreach (byte[] bytes in valid) decode(bytes);
        Fuzzer.Run<FormatException>(decoder, Fuzzer.Inputs(300), new ByteMutator(decoder.Length, valid, 160), Decode, mostMemory + (8L * valid.Max(bytes => bytes.Length)), refusal => refusal.GetType().Name);

        bool Decode(ReadOnlySpan<byte> input)
        {
            decode(input.ToArray());
            return true;
        }
    }

    private static Dictionary<string, (byte[][] Valid, Action<byte[]> Decode, long MostMemory)> Targets() => s_targets.Value;

    private static readonly Lazy<Dictionary<string, (byte[][] Valid, Action<byte[]> Decode, long MostMemory)>> s_targets = new(() =>
    {
        using ManagedBfvEngine engine = new(s_small, new SecureRandom(), ownsRandom: true);
        using SecretKey key = engine.GenerateSecretKey();
        PublicKey publicKey = engine.GeneratePublicKey(key);
        using Plaintext plaintext = new(s_small, [1, 2, 3]);
        Ciphertext ciphertext = engine.Encrypt(plaintext, publicKey);
        using TestFederation federation = new(3, 3);
        (EpochCertificate certificate, CommitteeShare[] shares) = federation.MakeEpoch();
        byte[] stored = shares[0].Encode();
        foreach (CommitteeShare share in shares) share.Dispose();
        ShareEncryption from = new(), to = new(); // as long as the process
        byte[] fromKey = from.PublicKey, encrypted = from.Encrypt(to.PublicKey, new byte[32], 1, 2, new byte[500]);
        using EpochMember member = federation.Member(1);
        SignedMessage answer = member.Answer();
        byte[] hash = new byte[32];
        Opening opening = new("heart", 1, 1, Opening.Update);
        UpdateEncoding encoding = new(UpdateLayout.Choose(16, 3), 100, 1, 0.1f, hash, cut: null, noiseVariance: 0.1);
        return new()
        {
            ["roster"] = ([federation.Roster.Encode()], bytes => Roster.Decode(bytes), 100_000),
            ["signed message"] = ([answer.Encode()], bytes => SignedMessage.Decode(bytes), 100_000),
            ["epoch descriptor"] = ([federation.Descriptor.Encode()], bytes => EpochDescriptor.Decode(bytes), 100_000),
            ["epoch answer"] = ([answer.Body.ToArray()], bytes => EpochAnswer.Decode(bytes), 100_000),
            ["epoch commitment"] = ([new EpochCommitment(hash, 1, hash, [(2, hash), (3, hash)]).Encode()], bytes => EpochCommitment.Decode(bytes), 100_000),
            ["epoch acceptance"] = ([new EpochAcceptance(hash, 1, [1, 2, 3]).Encode()], bytes => EpochAcceptance.Decode(bytes), 100_000),
            ["epoch qualification"] = ([new EpochQualification(hash, 1).Encode()], bytes => EpochQualification.Decode(bytes), 100_000),
            ["epoch reveal"] = ([new EpochReveal(hash, 1, new byte[500]).Encode()], bytes => EpochReveal.Decode(bytes), 100_000),
            ["epoch certificate"] = ([certificate.Encode()], bytes => EpochCertificate.Decode(bytes), 4_000_000),
            ["opening"] = ([opening.Encode()], bytes => Opening.Decode(bytes), 100_000),
            ["round descriptor"] = ([new RoundDescriptor(hash, hash, ["a", "b", "c"], 3, 1, WeightRule.One, hash, encoding).Encode()], bytes => RoundDescriptor.Decode(bytes), 100_000),
            ["update encoding"] = ([encoding.Encode()], bytes => UpdateEncoding.Decode(bytes), 100_000),
            ["contribution header"] = ([new ContributionHeader(opening, "a", hash, hash, hash, hash, hash).Encode()], bytes => ContributionHeader.Decode(bytes), 100_000),
            ["opening answer"] = ([new OpeningAnswer(opening, hash, hash, [1, 2, 3], 1, hash, 1, hash).Encode()], bytes => OpeningAnswer.Decode(bytes), 100_000),
            ["opening request"] = ([new OpeningRequest(opening, new RoundDescriptor(hash, hash, ["a", "b", "c"], 3, 1, WeightRule.One, hash, null), [answer, answer, answer], [1, 2, 3]).Encode()], bytes => OpeningRequest.Decode(bytes), 100_000),
            ["opening answers"] = ([SignedOpeningAnswer.Encode([new(answer, new byte[300])])], bytes => SignedOpeningAnswer.Decode(bytes), 100_000),
            ["reveals"] = ([EpochReveal.Encode([new(hash, 1, new byte[500])])], bytes => EpochReveal.DecodeList(bytes), 100_000),
            ["opening entry"] = ([OpeningRecord.Empty.With(opening, hash, hash, [1, 2, 3], new byte[300]).Last.Bytes], bytes => OpeningRecord.Load([(bytes, null)]), 100_000),
            ["packed element"] = ([PackedElement.Pack(s_small.KeyRing, ciphertext.First)], bytes => PackedElement.Unpack(s_small.KeyRing, bytes), 100_000),
            ["committee share"] = ([stored], bytes => CommitteeShare.Decode(bytes).Dispose(), 2_000_000),
            ["encrypted share"] = ([encrypted], bytes => to.TryDecrypt(fromKey, new byte[32], 1, 2, bytes, new byte[500]), 100_000),
            ["pad block"] = ([new byte[PadRing.BlockBytes]], bytes => PadBlock(bytes), 100_000),
        };
    });

    private static void PadBlock(byte[] bytes)
    {
        if (bytes.Length == PadRing.BlockBytes) PadSum.Add(bytes, new ulong[PadRing.Degree]);
        else Assert.Throws<ArgumentException>(() => PadSum.Add(bytes, new ulong[PadRing.Degree]));
    }
}
