using System.Text.Json.Nodes;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

/// <summary>Slots of ours and of Microsoft SEAL.</summary>
public sealed class SealBatchEncoderTests
{
    private const SealVersion Version = SealVersion.Seal41;

    [Theory]
    [MemberData(nameof(SealSets.WithSlots), MemberType = typeof(SealSets))]
    public void BatchEncoder_Slots_AreThoseOfSeal(string set)
    {
        BfvParameters parameters = SealSets.All[set].Parameters;
        BatchEncoder encoder = new(parameters);
        Random random = new(1);
        ulong[] values = [.. Enumerable.Range(0, parameters.Degree).Select(_ => (ulong)random.NextInt64((long)parameters.PlainModulus.Value))];
        using Plaintext plaintext = encoder.Encode(values);
        JsonNode answer = RealSeal.Ask("batch", new()
        {
            ["parameters"] = Text(SealFormat.Save(parameters, SealCompression.None, Version)),
            ["plaintext"] = Text(SealFormat.Save(plaintext, SealCompression.Zstandard, Version)),
            ["values"] = new JsonArray([.. values.Select(value => (JsonNode)$"{value}")]),
        });
        Assert.Equal(values.Select(value => $"{value}"), answer["values"]!.AsArray().Select(value => (string)value!));
        using Plaintext encoded = SealFormat.LoadPlaintext(parameters, RealSeal.Bytes(answer["plaintext"]));
        Assert.Equal(values, encoder.Decode(encoded));
        Assert.Equal(plaintext.Coefficients, encoded.Coefficients);
    }

    private static JsonNode Text(byte[] bytes) => Convert.ToBase64String(bytes);
}
