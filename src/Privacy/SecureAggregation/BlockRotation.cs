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
        HadamardRotation.Transform(values[..UpdateLayout.BlockLength]);
    }

    /// <inheritdoc cref="Forward"/>
    public void Inverse(int slice, Span<float> values)
    {
        HadamardRotation.Transform(values[..UpdateLayout.BlockLength]);
        FlipSigns(slice, values);
    }

    public void Dispose() => _signs.Dispose();

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void FlipSigns(int slice, Span<float> values)
    {
        _signs.Fill((ulong)slice, 0, _bits);
        Span<Vector256<uint>> eights = MemoryMarshal.Cast<float, Vector256<uint>>(values[..UpdateLayout.BlockLength]);
        Vector256<uint> places = Vector256.Create(1u, 2, 4, 8, 16, 32, 64, 128), sign = Vector256.Create(1u << 31);
        for (int i = 0; i < eights.Length; i++) eights[i] ^= Vector256.Equals(Vector256.Create((uint)_bits[i]) & places, places) & sign;
    }
}
