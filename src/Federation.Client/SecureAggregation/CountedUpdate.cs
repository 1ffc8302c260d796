using Federation.Privacy.SecureAggregation;

namespace Federation.Client.SecureAggregation;

/// <summary>What a site's update without noise is in the sum that is opened: cut, clipped and rounded as its contribution is.</summary>
internal static class CountedUpdate
{
    /// <param name="update">As it was encoded; not changed.</param>
    /// <param name="weight">With which it was encoded.</param>
    /// <param name="roundingKey">With which it was encoded: the same integers come of it.</param>
    /// <returns>As many values; the update itself but for rounding, where nothing was cut.</returns>
    public static float[] Of(UpdateEncoding encoding, ReadOnlyMemory<float> update, double weight, ReadOnlySpan<byte> roundingKey)
    {
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, weight, roundingKey);
        var decoder = new UpdateDecoder(encoding, contributors: 1);
        decoder.SetWeight(weight);
        using UpdateWorkspace encodes = encoder.CreateWorkspace(), decodes = decoder.CreateWorkspace();
        ulong[] block = new ulong[UpdateLayout.BlockLength];
        float[] counted = new float[encoding.Values];
        for (int i = 0; i < encoding.Blocks; i++)
        {
            encoder.Encode(i, block, encodes);
            decoder.Decode(i, block, decoder.ValuesOfBlock(i) is var count and > 0 ? counted.AsSpan(i * encoding.Layout.ValuesPerBlock, count) : [], decodes);
        }

        return counted;
    }
}
