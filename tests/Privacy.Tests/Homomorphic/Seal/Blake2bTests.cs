using System.Text;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

public sealed class Blake2bTests
{
    [Fact] // RFC 7693, appendix A
    public void Hash_Abc_IsTheRfcs() => Assert.Equal(
        "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
        Hash("abc"u8, 64, []));

    [Fact] // The reference implementation's list of keyed digests, entries 0, 1 and 255
    public void Hash_Keyed_IsTheReferences()
    {
        byte[] key = Counting(64);
        Assert.Equal("10ebb67700b1868efb4417987acf4690ae9d972fb7a590c2f02871799aaa4786b5e996e8f0f4eb981fc214b005f42d2ff4233499391653df7aefcbc13fc51568", Hash([], 64, key));
        Assert.Equal("961f6dd1e4dd30f63901690c512e78e4b45e4742ed197c3c5e45c549fd25f2e4187b0bc9fe30492b16b0d0bc4ef9b0f34c7003fac09a5ef1532e69430234cebd", Hash([0], 64, key));
        Assert.Equal("142709d62e28fcccd0af97fad0f8465b971e82201dc51070faa0372aa43e92484be1c1e73ba10906d5d1853db6a4106e0a7bf9800d373d6dee2d46d62ef2a461", Hash(Counting(255), 64, key));
    }

    [Fact] // RFC 7693, appendix E: every length of digest, input and key in one number
    public void Hash_SelfTest_IsTheRfcs()
    {
        StringBuilder all = new();
        foreach (int digest in new[] { 20, 32, 48, 64 })
        {
            foreach (int length in new[] { 0, 3, 128, 129, 255, 1024 })
            {
                all.Append(Hash(Sequence(length, length), digest, []));
                all.Append(Hash(Sequence(length, length), digest, Sequence(digest, digest)));
            }
        }

        Assert.Equal("c23a7800d98123bd10f506c61e29da5603d763b8bbad2e737f5e765a7bccd475", Hash(Convert.FromHexString(all.ToString()), 32, []));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(65, 0)]
    [InlineData(32, 65)]
    public void Hash_ImpossibleLengths_AreRefused(int digest, int key) => Assert.Throws<ArgumentException>(() => Hash([], digest, new byte[key]));

    [Fact] // SEAL's first block
    public void Expand_OfSealsFirstBlock_IsKnown()
    {
        byte[] key = new byte[64], output = new byte[4096];
        for (int i = 0; i < 8; i++) key[8 * i] = (byte)(i + 1);
        Blake2Xb.Expand(new byte[8], output, key);
        Assert.Equal("3984716049ea22d4f590de50b2754c4c", Convert.ToHexStringLower(output[..16]));
    }

    [Theory] // Every node depends on the whole length, and a last short node on its own
    [InlineData(63)]
    [InlineData(65)]
    [InlineData(200)]
    public void Expand_AnotherLength_IsNoPrefix(int length)
    {
        byte[] output = new byte[length], longer = new byte[length + 1];
        Blake2Xb.Expand("abc"u8, output);
        Blake2Xb.Expand("abc"u8, longer);
        Assert.NotEqual(longer[..length], output);
    }

    private static string Hash(ReadOnlySpan<byte> message, int digest, ReadOnlySpan<byte> key)
    {
        byte[] result = new byte[digest];
        Blake2b.Hash(message, result, key);
        return Convert.ToHexStringLower(result);
    }

    private static byte[] Counting(int length) => [.. Enumerable.Range(0, length).Select(i => (byte)i)];

    /// <summary>The RFC's deterministic input: a Fibonacci generator.</summary>
    private static byte[] Sequence(int length, int seed)
    {
        byte[] output = new byte[length];
        unchecked
        {
            uint a = 0xDEAD4BAD * (uint)seed, b = 1;
            for (int i = 0; i < length; i++)
            {
                uint sum = a + b;
                (a, b) = (b, sum);
                output[i] = (byte)(sum >> 24);
            }
        }

        return output;
    }
}
