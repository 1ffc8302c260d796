using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Privacy.Tests.SecureAggregation;

namespace Federation.Privacy.Tests.Fuzz;

/// <summary>Mutated bytes into every decoder of secure aggregation (SEAL's objects: <see cref="Homomorphic.Seal.SealFuzzTests"/>): an object or a FormatException, nothing else, and no more memory than twice the input beside what any small message takes. Files and stored shares, which are checked and not only decoded: <see cref="FileFuzzTests"/>. <c>FED_FUZZ</c> sets the number of inputs of each; an encoding of over 100 kB gets one in ten.</summary>
public sealed class DecoderFuzzTests
{
    /// <summary>Of an exception with its trace, and of the objects of a message of a few bytes.</summary>
    private const int Slack = 16 << 10;

    private static readonly ulong[] s_sums = new ulong[PadRing.Degree];
    private static readonly BfvParameters s_small = new(1024, [0x7e00001], 16);

    public static TheoryData<string> Decoders => [.. Targets().Keys];

    [Theory]
    [MemberData(nameof(Decoders))]
    public void Decode_MutatedBytes_GivesAnObjectOrAFormatException(string decoder)
    {
        (byte[] valid, Target decode) = Targets()[decoder];
        decode(valid);
        Fuzzer.Run<FormatException>(decoder, valid.Length > 100_000 ? Fuzzer.Inputs(3000) / 10 : Fuzzer.Inputs(300), new ByteMutator(decoder.Length, [valid], 160), Decode, length => (2L * length) + Slack, refusal => refusal.GetType().Name);

        bool Decode(ReadOnlySpan<byte> input)
        {
            decode(input);
            return true;
        }
    }

    private delegate void Target(ReadOnlySpan<byte> bytes);

    private static Dictionary<string, (byte[] Valid, Target Decode)> Targets() => s_targets.Value;

    private static readonly Lazy<Dictionary<string, (byte[] Valid, Target Decode)>> s_targets = new(() =>
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
            ["roster"] = (federation.Roster.Encode(), bytes => Roster.Decode(bytes)),
            ["signed message"] = (answer.Encode(), bytes => SignedMessage.Decode(bytes)),
            ["epoch descriptor"] = (federation.Descriptor.Encode(), bytes => EpochDescriptor.Decode(bytes)),
            ["epoch answer"] = (answer.Body.ToArray(), bytes => EpochAnswer.Decode(bytes)),
            ["epoch commitment"] = (new EpochCommitment(hash, 1, hash, [(2, hash), (3, hash)]).Encode(), bytes => EpochCommitment.Decode(bytes)),
            ["epoch acceptance"] = (new EpochAcceptance(hash, 1, [1, 2, 3]).Encode(), bytes => EpochAcceptance.Decode(bytes)),
            ["epoch qualification"] = (new EpochQualification(hash, 1).Encode(), bytes => EpochQualification.Decode(bytes)),
            ["epoch reveal"] = (new EpochReveal(hash, 1, new byte[500]).Encode(), bytes => EpochReveal.Decode(bytes)),
            ["epoch certificate"] = (certificate.Encode(), bytes => EpochCertificate.Decode(bytes)),
            ["opening"] = (opening.Encode(), bytes => Opening.Decode(bytes)),
            ["round descriptor"] = (new RoundDescriptor(hash, hash, ["a", "b", "c"], 3, 1, WeightRule.One, hash, encoding).Encode(), bytes => RoundDescriptor.Decode(bytes)),
            ["update encoding"] = (encoding.Encode(), bytes => UpdateEncoding.Decode(bytes)),
            ["contribution header"] = (new ContributionHeader(opening, "a", hash, hash, hash, hash, hash).Encode(), bytes => ContributionHeader.Decode(bytes)),
            ["opening answer"] = (new OpeningAnswer(opening, hash, hash, [1, 2, 3], 1, hash, 1, hash).Encode(), bytes => OpeningAnswer.Decode(bytes)),
            ["opening request"] = (new OpeningRequest(opening, new RoundDescriptor(hash, hash, ["a", "b", "c"], 3, 1, WeightRule.One, hash, null), [answer, answer, answer], [1, 2, 3]).Encode(), bytes => OpeningRequest.Decode(bytes)),
            ["opening answers"] = (SignedOpeningAnswer.Encode([new(answer, new byte[300])]), bytes => SignedOpeningAnswer.Decode(bytes)),
            ["reveals"] = (EpochReveal.Encode([new(hash, 1, new byte[500])]), bytes => EpochReveal.DecodeList(bytes)),
            ["opening entry"] = (OpeningRecord.Empty.With(opening, hash, hash, [1, 2, 3], new byte[300]).Last.Bytes, bytes => OpeningRecord.Load([(bytes.ToArray(), null)])),
            ["packed element"] = (PackedElement.Pack(s_small.KeyRing, ciphertext.First), bytes => PackedElement.Unpack(s_small.KeyRing, bytes)),
            ["committee share"] = (stored, bytes => CommitteeShare.Decode(bytes).Dispose()),
            ["epoch shares"] = (EpochShares.Encode(new Dictionary<int, byte[]> { [1] = new byte[100], [2] = new byte[60] }), bytes => EpochShares.Decode(bytes)),
            ["encrypted share"] = (encrypted, bytes => Assert.Equal(bytes.SequenceEqual(encrypted), to.TryDecrypt(fromKey, new byte[32], 1, 2, bytes, new byte[500]))),
            ["pad block"] = (new byte[PadRing.BlockBytes], bytes => PadBlock(bytes)),
        };
    });

    private static void PadBlock(ReadOnlySpan<byte> bytes)
    {
        bool refused = false;
        try
        {
            PadSum.Add(bytes, s_sums);
        }
        catch (ArgumentException)
        {
            refused = true;
        }

        Assert.Equal(bytes.Length != PadRing.BlockBytes, refused);
    }
}
