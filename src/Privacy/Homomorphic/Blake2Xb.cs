using System.Buffers.Binary;

namespace Federation.Privacy.Homomorphic;

/// <summary>BLAKE2Xb: as many bytes as asked for, of a message and a key.</summary>
/// <remarks>Aumasson, Neves, Wilcox-O'Hearn, Winnerlein 2016, "BLAKE2X".</remarks>
internal static class Blake2Xb
{
    /// <param name="output">1 to 2³¹ − 1 bytes, overwritten. Other lengths give other bytes, not a prefix.</param>
    /// <param name="key">At most 64 bytes; none: empty.</param>
    public static void Expand(ReadOnlySpan<byte> message, Span<byte> output, ReadOnlySpan<byte> key = default)
    {
        Span<byte> root = stackalloc byte[Blake2b.LargestDigest], parameters = stackalloc byte[64];
        parameters.Clear();
        parameters[2] = parameters[3] = 1; // fan-out, depth
        BinaryPrimitives.WriteInt32LittleEndian(parameters[12..], output.Length);
        Blake2b.Hash(message, root, key, parameters);

        parameters.Clear();
        BinaryPrimitives.WriteInt32LittleEndian(parameters[4..], Blake2b.LargestDigest); // leaf length
        BinaryPrimitives.WriteInt32LittleEndian(parameters[12..], output.Length);
        parameters[17] = Blake2b.LargestDigest; // inner length
        for (int place = 0; !output.IsEmpty; place++)
        {
            BinaryPrimitives.WriteInt32LittleEndian(parameters[8..], place);
            Span<byte> part = output[..Math.Min(output.Length, Blake2b.LargestDigest)];
            Blake2b.Hash(root, part, default, parameters);
            output = output[part.Length..];
        }
    }
}
