using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// <see cref="HadamardRotation"/> of a vector's 2048-value slices, each by itself and in any order: slice s takes its signs from AES-CTR stream s under the seed, the sign of value i from bit i % 8 of byte i / 8.
/// Not thread-safe.
/// </summary>
internal sealed class BlockRotation(ReadOnlySpan<byte> seed) : IDisposable
{
    /// <summary>The norm of a slice grows at most to 1 + this times itself, by rounding.</summary>
    public const double Growth = 1.0 / (1 << 20);

    private readonly CounterMode _signs = new(seed);
    private readonly byte[] _bits = new byte[UpdateLayout.BlockLength / 8];

    /// <param name="slice">The slice's number.</param>
    /// <param name="values">2048; changed in place.</param>
    public void Forward(int slice, Span<float> values)
    {
        FlipSigns(slice, values);
        Transform(values);
    }

    /// <inheritdoc cref="Forward"/>
    public void Inverse(int slice, Span<float> values)
    {
        Transform(values);
        FlipSigns(slice, values);
    }

    public void Dispose() => _signs.Dispose();

    /// <summary>The same additions in the same order as in the plain twin, <see cref="HadamardRotation.Transform"/>, hence the same bits: three steps within a vector, then two at a time between vectors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void Transform(Span<float> values)
    {
        if (!Vector256.IsHardwareAccelerated)
        {
            HadamardRotation.Transform(values);
            return;
        }

        Span<Vector256<float>> vectors = MemoryMarshal.Cast<float, Vector256<float>>(values[..UpdateLayout.BlockLength]);
        Vector256<float> one = Vector256.Create(0f, -0f, 0f, -0f, 0f, -0f, 0f, -0f), two = Vector256.Create(0f, 0f, -0f, -0f, 0f, 0f, -0f, -0f), four = Vector256.Create(0f, 0f, 0f, 0f, -0f, -0f, -0f, -0f);
        for (int i = 0; i < vectors.Length; i++)
        {
            Vector256<float> x = vectors[i];
            x = Vector256.Shuffle(x, Vector256.Create(0, 0, 2, 2, 4, 4, 6, 6)) + (Vector256.Shuffle(x, Vector256.Create(1, 1, 3, 3, 5, 5, 7, 7)) ^ one);
            x = Vector256.Shuffle(x, Vector256.Create(0, 1, 0, 1, 4, 5, 4, 5)) + (Vector256.Shuffle(x, Vector256.Create(2, 3, 2, 3, 6, 7, 6, 7)) ^ two);
            vectors[i] = Vector256.Shuffle(x, Vector256.Create(0, 1, 2, 3, 0, 1, 2, 3)) + (Vector256.Shuffle(x, Vector256.Create(4, 5, 6, 7, 4, 5, 6, 7)) ^ four);
        }

        for (int half = 1; half < vectors.Length; half *= 4)
        {
            Vector256<float> scale = Vector256.Create(half * 4 < vectors.Length ? 1 : (float)(1 / Math.Sqrt(UpdateLayout.BlockLength)));
            for (int start = 0; start < vectors.Length; start += 4 * half)
            {
                ref Vector256<float> first = ref vectors[start], second = ref vectors[start + half], third = ref vectors[start + (2 * half)], fourth = ref vectors[start + (3 * half)];
                for (int i = 0; i < half; i++)
                {
                    Vector256<float> a = Unsafe.Add(ref first, i), b = Unsafe.Add(ref second, i), c = Unsafe.Add(ref third, i), d = Unsafe.Add(ref fourth, i);
                    (a, b, c, d) = (a + b, a - b, c + d, c - d);
                    Unsafe.Add(ref first, i) = (a + c) * scale;
                    Unsafe.Add(ref second, i) = (b + d) * scale;
                    Unsafe.Add(ref third, i) = (a - c) * scale;
                    Unsafe.Add(ref fourth, i) = (b - d) * scale;
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FlipSigns(int slice, Span<float> values)
    {
        _signs.Fill((ulong)slice, 0, _bits);
        Span<Vector256<uint>> eights = MemoryMarshal.Cast<float, Vector256<uint>>(values[..UpdateLayout.BlockLength]);
        Vector256<uint> places = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128), sign = Vector256.Create(1u << 31);
        for (int i = 0; i < eights.Length; i++) eights[i] ^= Vector256.Equals(Vector256.Create((uint)_bits[i]) & places, places) & sign;
    }
}
