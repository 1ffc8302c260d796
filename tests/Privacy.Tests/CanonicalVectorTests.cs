using System.Globalization;
using System.Text.Json;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.Tests;

/// <summary>The committed vectors were computed by an independent program.</summary>
public sealed class CanonicalVectorTests
{
    public static TheoryData<int> Indices => [.. Enumerable.Range(0, Vectors().Count)];

    [Theory]
    [MemberData(nameof(Indices))]
    public void Writer_PublishedFields_GivePublishedBytesAndHash(int index)
    {
        JsonElement vector = Vectors()[index];
        var writer = new CanonicalWriter(vector.GetProperty("what").GetString()!);
        foreach ((JsonElement field, JsonElement kind) in vector.GetProperty("fields").EnumerateArray().Zip(vector.GetProperty("kinds").EnumerateArray()))
        {
            if (kind.GetString() == "u64") writer.Field(ulong.Parse(field.GetString()!, CultureInfo.InvariantCulture));
            else writer.Field(field.GetString()!);
        }

        Assert.Equal(vector.GetProperty("bytes").GetString(), Convert.ToHexStringLower(writer.ToArray()));
        Assert.Equal(vector.GetProperty("sha256").GetString(), Convert.ToHexStringLower(writer.Hash()));
        if (vector.TryGetProperty("seed", out JsonElement seed))
        {
            string[] fields = [.. vector.GetProperty("fields").EnumerateArray().Select(field => field.GetString()!)];
            Assert.Equal(seed.GetString(), DerivedSeed.For(ulong.Parse(fields[0], CultureInfo.InvariantCulture), fields[1], ulong.Parse(fields[2], CultureInfo.InvariantCulture), fields[3]).ToString(CultureInfo.InvariantCulture));
        }
    }

    [Fact]
    public void Writer_FieldsSplitOtherwise_GiveOtherBytes() =>
        Assert.NotEqual(new CanonicalWriter("x").Field("ab").Field("c").ToArray(), new CanonicalWriter("x").Field("a").Field("bc").ToArray());

    [Fact] // both would be the bytes of U+FFFD
    public void Writer_HalfASurrogatePair_IsRefused()
    {
        Assert.ThrowsAny<ArgumentException>(() => new CanonicalWriter("x").Field("\ud800"));
        Assert.ThrowsAny<ArgumentException>(() => new CanonicalWriter("x").Field("a\udfff"));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Upper")]
    [InlineData("with space")]
    [InlineData("zero\0")]
    public void Writer_BadLabel_IsRefused(string label) => Assert.Throws<ArgumentException>(() => new CanonicalWriter(label));

    [Fact]
    public void IsValid_OnlyLowerCaseHexOfFullLength()
    {
        string hash = Sha256Hex.Of("abc"u8);
        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hash); // FIPS 180-4, example 1
        Assert.True(Sha256Hex.IsValid(hash));
        Assert.False(Sha256Hex.IsValid(hash.ToUpperInvariant()));
        Assert.False(Sha256Hex.IsValid(hash[1..]));
        Assert.False(Sha256Hex.IsValid("../../../../etc/passwd".PadRight(64, '0')));
    }

    private static List<JsonElement> Vectors() =>
        [.. JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "vectors.json"))).RootElement.GetProperty("vectors").EnumerateArray()];
}
