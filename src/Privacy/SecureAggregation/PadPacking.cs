using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>46 bits a coefficient: coefficient i of a block is its bits 46·i … 46·i + 45, the lowest bit of a byte first. A value of q or more is refused, so that a block has one form.</summary>
internal static unsafe class PadPacking
{
    private const ulong Mask = (1UL << PadRing.Bits) - 1;
    private const int Groups512 = PadRing.Degree / 8, GroupBytes512 = 46, Groups256 = PadRing.Degree / 4, GroupBytes256 = 23;

    // Of eight coefficients: the first byte of each, and the bits before it there. Even ones touch no byte of each other, nor do odd ones.
    private static readonly int[] s_starts = [0, 5, 11, 17, 23, 28, 34, 40];
    private static readonly byte[] s_even = PackingPlaces(0), s_odd = PackingPlaces(1);
    private static readonly byte[] s_unpacking = [.. Enumerable.Range(0, 64).Select(i => (byte)(s_starts[i / 8] + (i % 8)))];

    /// <summary>Words that a vector of bytes takes from nowhere.</summary>
    private const byte Nothing = 0xff;

    /// <param name="words">N residues.</param>
    /// <param name="block">Overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack(ReadOnlySpan<ulong> words, Span<byte> block, VectorWidth width)
    {
        Checked(words.Length, block.Length);
        if (width != VectorWidth.Bits512 || !Avx512Vbmi.IsSupported)
        {
            PackScalar(words, block);
            return;
        }

        Vector512<ulong> shifts = Vector512.Create(0UL, 6, 4, 2, 0, 6, 4, 2);
        Vector512<byte> even = Vector512.Create(s_even), odd = Vector512.Create(s_odd);
        Vector512<byte> notEven = Vector512.Equals(even, Vector512.Create(Nothing)), notOdd = Vector512.Equals(odd, Vector512.Create(Nothing));
        Vector512<byte> packed = default;
        fixed (ulong* source = words)
        fixed (byte* target = block)
        {
            ulong* from = source;
            byte* to = target;
            for (int i = 0; i < Groups512; i++, from += 8, to += GroupBytes512)
            {
                Vector512<byte> shifted = Avx512F.ShiftLeftLogicalVariable(Vector512.Load(from), shifts).AsByte();
                packed = Vector512.AndNot(Avx512Vbmi.PermuteVar64x8(shifted, even), notEven) | Vector512.AndNot(Avx512Vbmi.PermuteVar64x8(shifted, odd), notOdd);
                if (i < Groups512 - 1) packed.Store(to); // what is stored too much, the next group overwrites
            }
        }

        Span<byte> last = stackalloc byte[64];
        packed.CopyTo(last);
        last[..GroupBytes512].CopyTo(block[^GroupBytes512..]);
    }

    /// <summary>The plain twin: four coefficients in 23 bytes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static void PackScalar(ReadOnlySpan<ulong> words, Span<byte> block)
    {
        Span<byte> last = stackalloc byte[24];
        for (int i = 0; i < Groups256; i++)
        {
            ulong a = words[4 * i], b = words[(4 * i) + 1], c = words[(4 * i) + 2], d = words[(4 * i) + 3];
            Span<byte> group = i < Groups256 - 1 ? block.Slice(GroupBytes256 * i, 24) : last; // the 24th byte is the next group's
            BinaryPrimitives.WriteUInt64LittleEndian(group, a | (b << 46));
            BinaryPrimitives.WriteUInt64LittleEndian(group[8..], (b >> 18) | (c << 28));
            BinaryPrimitives.WriteUInt64LittleEndian(group[16..], (c >> 36) | (d << 10));
        }

        last[..GroupBytes256].CopyTo(block[^GroupBytes256..]);
    }

    /// <summary>sums[i] ← sums[i] + coefficient i, modulo 2⁶⁴.</summary>
    /// <param name="block">Packed.</param>
    /// <returns>Whether every coefficient is below q; if not, the sums are worthless.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool Add(ReadOnlySpan<byte> block, Span<ulong> sums, VectorWidth width)
    {
        Checked(sums.Length, block.Length);
        return width switch
        {
            VectorWidth.Bits512 when Avx512Vbmi.IsSupported => Add512(block, sums),
            VectorWidth.Bits512 or VectorWidth.Bits256 => Add256(block, sums),
            _ => AddScalar(block, sums),
        };
    }

    /// <summary>The plain twin.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool AddScalar(ReadOnlySpan<byte> block, Span<ulong> sums) => AddFrom(0, block, sums);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Add512(ReadOnlySpan<byte> block, Span<ulong> sums)
    {
        Vector512<byte> places = Vector512.Create(s_unpacking);
        Vector512<ulong> shifts = Vector512.Create(0UL, 6, 4, 2, 0, 6, 4, 2), mask = Vector512.Create(Mask), largest = default;
        fixed (byte* source = block)
        fixed (ulong* target = sums)
        {
            byte* from = source;
            ulong* to = target;
            for (int i = 0; i < Groups512 - 1; i++, from += GroupBytes512, to += 8)
            {
                Vector512<ulong> values = Avx512F.ShiftRightLogicalVariable(Avx512Vbmi.PermuteVar64x8(Vector512.Load(from), places).AsUInt64(), shifts) & mask;
                largest = Vector512.Max(largest, values);
                (Vector512.Load(to) + values).Store(to);
            }
        }

        return Vector512.LessThanAll(largest, Vector512.Create(PadRing.Modulus)) & AddFrom(PadRing.Degree - 8, block, sums);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static bool Add256(ReadOnlySpan<byte> block, Span<ulong> sums)
    {
        Vector256<byte> places = Vector256.Create((byte)0, 1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1, 2, 3, 4, 5, 6, 7, 6, 7, 8, 9, 10, 11, 12, 13);
        Vector256<ulong> shifts = Vector256.Create(0UL, 6, 4, 2), mask = Vector256.Create(Mask);
        Vector256<long> largest = default;
        fixed (byte* source = block)
        fixed (ulong* target = sums)
        {
            byte* from = source;
            ulong* to = target;
            for (int i = 0; i < Groups256 - 1; i++, from += GroupBytes256, to += 4)
            {
                Vector256<byte> bytes = Vector256.Create(Vector128.Load(from), Vector128.Load(from + 11));
                Vector256<ulong> values = Avx2.ShiftRightLogicalVariable(Avx2.Shuffle(bytes, places).AsUInt64(), shifts) & mask;
                largest = Vector256.Max(largest, values.AsInt64());
                (Vector256.Load(to) + values).Store(to);
            }
        }

        return Vector256.LessThanAll(largest, Vector256.Create((long)PadRing.Modulus)) & AddFrom(PadRing.Degree - 4, block, sums);
    }

    private static bool AddFrom(int first, ReadOnlySpan<byte> block, Span<ulong> sums)
    {
        ulong largest = 0;
        for (int i = first; i < sums.Length; i++)
        {
            int bit = PadRing.Bits * i, start = Math.Min(bit / 8, block.Length - 8);
            ulong value = (BinaryPrimitives.ReadUInt64LittleEndian(block[start..]) >> (bit - (8 * start))) & Mask;
            largest = Math.Max(largest, value);
            sums[i] = unchecked(sums[i] + value);
        }

        return largest < PadRing.Modulus;
    }

    /// <summary>For each byte of a group, where the shifted coefficients have it.</summary>
    private static byte[] PackingPlaces(int parity)
    {
        byte[] places = [.. Enumerable.Repeat(Nothing, 64)];
        for (int k = parity; k < 8; k += 2)
        {
            int end = ((46 * k) + 46 + 7) / 8;
            for (int i = s_starts[k]; i < end; i++) places[i] = (byte)((8 * k) + i - s_starts[k]);
        }

        return places;
    }

    private static void Checked(int words, int bytes)
    {
        if (words != PadRing.Degree || bytes != PadRing.BlockBytes) throw new ArgumentException($"A block has {PadRing.Degree} coefficients in {PadRing.BlockBytes} bytes, not {words} in {bytes}.");
    }
}
