using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

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

    /// <summary>A block by additions of pairs. Every path adds in the same order, hence the same bits.</summary>
    internal static void Transform(Span<float> block)
    {
        if (Vector256.IsHardwareAccelerated && block.Length >= 8) Transform256(block);
        else TransformScalar(block);
    }

    internal static void TransformScalar(Span<float> block)
    {
        for (int half = 1; half < block.Length; half *= 2)
        {
            for (int start = 0; start < block.Length; start += 2 * half)
            {
                Span<float> left = block.Slice(start, half), right = block.Slice(start + half, half);
                for (int i = 0; i < half; i++) (left[i], right[i]) = (left[i] + right[i], left[i] - right[i]);
            }
        }

        float scale = Scale(block.Length);
        foreach (ref float value in block) value *= scale;
    }

    /// <summary>Three steps within a vector, then two at a time between vectors, and the last alone where their number is odd.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Transform256(Span<float> block)
    {
        Span<Vector256<float>> vectors = MemoryMarshal.Cast<float, Vector256<float>>(block);
        Vector256<float> one = Vector256.Create(0f, -0f, 0f, -0f, 0f, -0f, 0f, -0f), two = Vector256.Create(0f, 0f, -0f, -0f, 0f, 0f, -0f, -0f), four = Vector256.Create(0f, 0f, 0f, 0f, -0f, -0f, -0f, -0f);
        Vector256<float> scale = Vector256.Create(Scale(block.Length)), unscaled = Vector256<float>.One;
        for (int i = 0; i < vectors.Length; i++)
        {
            Vector256<float> x = vectors[i];
            x = Vector256.Shuffle(x, Vector256.Create(0, 0, 2, 2, 4, 4, 6, 6)) + (Vector256.Shuffle(x, Vector256.Create(1, 1, 3, 3, 5, 5, 7, 7)) ^ one);
            x = Vector256.Shuffle(x, Vector256.Create(0, 1, 0, 1, 4, 5, 4, 5)) + (Vector256.Shuffle(x, Vector256.Create(2, 3, 2, 3, 6, 7, 6, 7)) ^ two);
            x = Vector256.Shuffle(x, Vector256.Create(0, 1, 2, 3, 0, 1, 2, 3)) + (Vector256.Shuffle(x, Vector256.Create(4, 5, 6, 7, 4, 5, 6, 7)) ^ four);
            vectors[i] = vectors.Length == 1 ? x * scale : x;
        }

        int half = 1;
        for (; 4 * half <= vectors.Length; half *= 4)
        {
            Vector256<float> last = 4 * half == vectors.Length ? scale : unscaled;
            for (int start = 0; start < vectors.Length; start += 4 * half)
            {
                ref Vector256<float> first = ref vectors[start], second = ref vectors[start + half], third = ref vectors[start + (2 * half)], fourth = ref vectors[start + (3 * half)];
                for (int i = 0; i < half; i++)
                {
                    Vector256<float> a = Unsafe.Add(ref first, i), b = Unsafe.Add(ref second, i), c = Unsafe.Add(ref third, i), d = Unsafe.Add(ref fourth, i);
                    (a, b, c, d) = (a + b, a - b, c + d, c - d);
                    Unsafe.Add(ref first, i) = (a + c) * last;
                    Unsafe.Add(ref second, i) = (b + d) * last;
                    Unsafe.Add(ref third, i) = (a - c) * last;
                    Unsafe.Add(ref fourth, i) = (b - d) * last;
                }
            }
        }

        if (half == vectors.Length) return;
        for (int i = 0; i < half; i++) (vectors[i], vectors[half + i]) = ((vectors[i] + vectors[half + i]) * scale, (vectors[i] - vectors[half + i]) * scale);
    }

    private static float Scale(int length) => (float)(1 / Math.Sqrt(length));

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
