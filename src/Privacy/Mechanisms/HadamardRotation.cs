using System.Numerics;
using System.Runtime.InteropServices;

namespace Federation.Privacy.Mechanisms;

/// <summary>
/// x → H·D·x in blocks, D random signs and H the orthonormal Walsh-Hadamard matrix: spreads a vector's length evenly over its coordinates, so that a grid and cuts fit them all.
/// Norms stay but for rounding: one may grow to 1 + (log₂ n + 2)·2⁻²⁴ times itself, so a norm that must hold is clipped after the rotation.
/// The signs are public: they come from a seed that everybody in the round knows.
/// </summary>
/// <remarks>Ailon and Chazelle 2009; for federated updates: Suresh, Yu, Kumar, McMahan 2017, section 3.</remarks>
public sealed class HadamardRotation
{
    private readonly byte[] _seed;

    /// <param name="seed">32 bytes.</param>
    /// <param name="blockLength">A power of two.</param>
    /// <exception cref="ArgumentOutOfRangeException">The seed or the length is not as said.</exception>
    public HadamardRotation(ReadOnlySpan<byte> seed, int blockLength)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, 32, nameof(seed));
        if (!BitOperations.IsPow2(blockLength)) throw new ArgumentOutOfRangeException(nameof(blockLength), blockLength, "A block's length must be a power of two.");
        (_seed, BlockLength) = (seed.ToArray(), blockLength);
    }

    public int BlockLength { get; }

    /// <summary>The least multiple of the block's length that holds so many values; the rest is for zeros.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The length is negative, or padded more than 2³¹ − 1.</exception>
    public int PaddedLength(int length) => length >= 0 && length <= int.MaxValue - BlockLength + 1 ? Padded(length) : throw new ArgumentOutOfRangeException(nameof(length), length, $"A length must be 0 to {int.MaxValue - BlockLength + 1}.");

    private int Padded(int length) => (length + BlockLength - 1) / BlockLength * BlockLength;

    /// <param name="vector">Whole blocks; changed in place.</param>
    /// <exception cref="ArgumentException">The length is not a multiple of the block's.</exception>
    public void Forward(Span<float> vector)
    {
        Checked(vector.Length);
        FlipSigns(vector);
        for (int start = 0; start < vector.Length; start += BlockLength) Transform(vector.Slice(start, BlockLength));
    }

    /// <summary>Undoes <see cref="Forward"/>, up to rounding.</summary>
    /// <param name="vector">Whole blocks; changed in place.</param>
    /// <exception cref="ArgumentException">The length is not a multiple of the block's.</exception>
    public void Inverse(Span<float> vector)
    {
        Checked(vector.Length);
        for (int start = 0; start < vector.Length; start += BlockLength) Transform(vector.Slice(start, BlockLength));
        FlipSigns(vector);
    }

    /// <summary>The plain twin of <see cref="Transform"/>: H[i, j] = (−1)^(bits that i and j share)/√n.</summary>
    internal static float[] TransformPlain(ReadOnlySpan<float> block)
    {
        float[] result = new float[block.Length];
        for (int i = 0; i < result.Length; i++)
        {
            double sum = 0;
            for (int j = 0; j < block.Length; j++) sum += BitOperations.PopCount((uint)(i & j)) % 2 == 0 ? block[j] : -block[j];
            result[i] = (float)(sum / Math.Sqrt(block.Length));
        }

        return result;
    }

    internal static void Transform(Span<float> block)
    {
        int count = Vector<float>.Count;
        for (int half = 1; half < block.Length; half *= 2)
        {
            for (int start = 0; start < block.Length; start += 2 * half)
            {
                Span<float> left = block.Slice(start, half), right = block.Slice(start + half, half);
                if (half >= count)
                {
                    Span<Vector<float>> a = MemoryMarshal.Cast<float, Vector<float>>(left), b = MemoryMarshal.Cast<float, Vector<float>>(right);
                    for (int i = 0; i < a.Length; i++) (a[i], b[i]) = (a[i] + b[i], a[i] - b[i]);
                }
                else
                {
                    for (int i = 0; i < half; i++) (left[i], right[i]) = (left[i] + right[i], left[i] - right[i]);
                }
            }
        }

        float scale = (float)(1 / Math.Sqrt(block.Length));
        foreach (ref float value in block) value *= scale;
    }

    private void FlipSigns(Span<float> vector)
    {
        using SecureRandom random = SecureRandom.WithKnownKey(_seed);
        Span<uint> bits = MemoryMarshal.Cast<float, uint>(vector), signs = stackalloc uint[256];
        for (int i = 0; i < bits.Length; i++)
        {
            int place = i % (32 * signs.Length);
            if (place == 0) random.Fill(MemoryMarshal.AsBytes(signs));
            bits[i] ^= signs[place / 32] >> (place % 32) << 31;
        }
    }

    private void Checked(int length)
    {
        if (length % BlockLength != 0) throw new ArgumentException($"{length} values are not whole blocks of {BlockLength}: pad with zeros to a multiple.", nameof(length));
    }
}
