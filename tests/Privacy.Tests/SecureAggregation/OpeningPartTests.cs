using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Privacy.Tests.Homomorphic;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>
/// What a real member answers, taken apart by a plain twin: less λ·share·c₁ and less the zero share, computed here by the book, its part must be a smudge, whole numbers uniform in [−2⁶⁴·B, 2⁶⁴·B).
/// So an answer without a zero share or a smudge, with a narrower or wider one, or with a context that lacks opening, epoch, U or A, fails.
/// </summary>
public sealed class OpeningPartTests : IDisposable
{
    private const int LogB = 10; // 8·√(4·(2 + 8192·5·2/3)/12) = 763
    private const double FalseAlarms = 1e-8;

    private static readonly BigInteger s_bound = BigInteger.One << (64 + LogB);

    private readonly TestFederation _federation = new(5, 3);
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare[] _shares;
    private readonly RnsRing _ring;

    public OpeningPartTests()
    {
        (_certificate, _shares) = _federation.MakeEpoch();
        _ring = _certificate.Descriptor.Parameters.DataRing;
    }

    public void Dispose()
    {
        foreach (CommitteeShare share in _shares) share.Dispose();
        _federation.Dispose();
    }

    [Theory] // members with others above, below and on both sides
    [InlineData(Opening.Update, 1)]
    [InlineData(Opening.Update, 2)]
    [InlineData(Opening.Update, 4)]
    [InlineData(Opening.Evaluation, 2)]
    public void Answer_LessShareAndZeroShare_IsAUniformSmudge(string purpose, int member)
    {
        TestRound round = new(_federation, _certificate, 4, round: 3, purpose);
        BigInteger[] smudge = Rest(round, member, [1, 2, 4]), another = Rest(round, member, member == 1 ? [1, 3, 5] : [2, 3, 4]);
        foreach (BigInteger[] one in (BigInteger[][])[smudge, another])
        {
            Assert.All(one, value => Assert.InRange(value, -s_bound, s_bound - 1));
            // The first six bits, bits between, and the last six.
            foreach (int shift in (int[])[64 + LogB + 1 - 6, 50, 30, 0])
            {
                long[] counts = new long[64];
                foreach (BigInteger value in one) counts[(int)(((value + s_bound) >> shift) & 63)]++;
                Assert.InRange(Frequencies.PValue(counts, [.. Enumerable.Repeat(1.0 / 64, 64)]), FalseAlarms, 1);
            }
        }

        Assert.DoesNotContain(true, smudge.Zip(another, (first, second) => first == second)); // fresh for each answer
    }

    [Theory] // literals, so that a change of the formula is seen
    [InlineData(4, 5, 10)]
    [InlineData(10, 10, 11)]
    [InlineData(4096, 32, 16)]
    [InlineData(100_000, 32, 19)]
    public void NoiseBits_OfCohortAndCommittee_AreThese(int contributions, int members, int bits)
    {
        Assert.Equal(bits, PartialDecryption.NoiseBits(8192, contributions, members));
        Assert.True(PartialDecryption.Fits(bits, members)); // so every run that can be asked for opens
        Assert.False(PartialDecryption.Fits(25 - BitOperations.Log2((uint)members), members));
    }

    /// <summary>d − λ·share·c₁ − z, centred.</summary>
    private BigInteger[] Rest(TestRound round, int member, int[] active)
    {
        ulong[] rest = PackedElement.Unpack(_ring, _federation.Opener(_certificate, _shares[member - 1]).Answer(round.Request(active), round.Seconds).Part);
        ulong[] product = new ulong[_ring.Words];
        foreach (Ciphertext key in round.Keys) _ring.Add(product, key.Second);
        _ring.Forward(product);
        ulong[] factors = [.. _ring.Moduli.Select(q => PlainSharing.Lagrange(q.Value, member, active))];
        for (int i = 0; i < product.Length; i++)
        {
            ulong q = _ring.Moduli[i / _ring.Degree].Value;
            product[i] = PlainSharing.Multiplied(product[i], PlainSharing.Multiplied(_shares[member - 1].Words[i], factors[i / _ring.Degree], q), q);
        }

        _ring.Inverse(product);
        _ring.Subtract(rest, product);
        byte[] context = Context(round, active);
        foreach (int other in active.Where(other => other != member))
        {
            ulong[] mask = new ulong[_ring.Words];
            using SecureRandom stream = SecureRandom.WithKnownKey(HMACSHA256.HashData(_shares[member - 1].ZeroShareKeys[other].Span, context));
            RingSampler.Uniform(stream, _ring, mask);
            if (other > member) _ring.Subtract(rest, mask);
            else _ring.Add(rest, mask);
        }

        return PlainSharing.Centred(_ring, rest);
    }

    /// <summary>SECAGG's ctx: label, opening, epoch certificate, U's hash, A.</summary>
    private byte[] Context(TestRound round, int[] active)
    {
        byte[] opening = Canonical("opening", "heart"u8.ToArray(), Number(1), Number(round.Opening.Round), Encoding.UTF8.GetBytes(round.Opening.Purpose));
        IEnumerable<byte[]> sites = round.Keys.SelectMany((key, i) => (byte[][])[Encoding.UTF8.GetBytes($"site-{i + 1}"), SHA256.HashData(PackedElement.Pack(_ring, key.First)), SHA256.HashData(PackedElement.Pack(_ring, key.Second))]);
        byte[] set = SHA256.HashData(Canonical("contributors", [Number((ulong)round.Keys.Count), .. sites]));
        return Canonical("zero-share", [opening, SHA256.HashData(_certificate.Body), set, Number((ulong)active.Length), .. active.Select(member => Number((ulong)member))]);
    }

    private static byte[] Canonical(string label, params byte[][] fields) => [.. Encoding.ASCII.GetBytes($"fed/v1/{label}\0"), .. fields.SelectMany(field => (byte[])[.. Number((ulong)field.Length)[..4], .. field])];

    private static byte[] Number(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }
}
