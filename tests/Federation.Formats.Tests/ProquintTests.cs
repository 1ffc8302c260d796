using System.Net;
using CsCheck;

namespace Federation.Formats.Tests;

public sealed class ProquintTests
{
    [Theory] // the paper's examples, arXiv:0901.4016
    [InlineData("127.0.0.1", "lusab-babad")]
    [InlineData("63.84.220.193", "gutih-tugad")]
    [InlineData("63.118.7.35", "gutuk-bisog")]
    [InlineData("140.98.193.141", "mudof-sakat")]
    [InlineData("64.255.6.200", "haguz-biram")]
    [InlineData("128.30.52.45", "mabiv-gibot")]
    [InlineData("147.67.119.2", "natag-lisaf")]
    [InlineData("212.58.253.68", "tibup-zujah")]
    [InlineData("216.35.68.215", "tobog-higil")]
    [InlineData("216.68.232.21", "todah-vobij")]
    [InlineData("198.81.129.136", "sinid-makam")]
    [InlineData("12.110.110.204", "budov-kuras")]
    public void Write_PaperExample_IsThePapersWords(string address, string words)
    {
        byte[] bytes = IPAddress.Parse(address).GetAddressBytes();

        Assert.Equal(words, Proquint.Write(bytes));
        Assert.True(Proquint.TryRead(words, out byte[]? read));
        Assert.Equal(bytes, read);
    }

    [Fact]
    public void TryRead_WordsOfAnyBytes_GivesTheBytes() => Gen.Byte.Array[2, 64].Where(bytes => bytes.Length % 2 == 0).Sample(bytes => Proquint.TryRead(Proquint.Write(bytes), out byte[]? read) && read.AsSpan().SequenceEqual(bytes));

    [Fact]
    public void OfHash_Sha256_Is12WordsOfItsFirst24Bytes()
    {
        string hash = string.Concat(Enumerable.Repeat("7f000001", 8));

        Assert.Equal(string.Join('-', Enumerable.Repeat("lusab-babad", 6)), Proquint.OfHash(hash));
    }

    [Theory]
    [InlineData("")]
    [InlineData("lusab-baba")]
    [InlineData("lusab-babac")]
    [InlineData("lusab-bebad")]
    [InlineData("7f000001")]
    public void TryRead_NoWords_IsFalse(string text) => Assert.False(Proquint.TryRead(text, out _));
}
