using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace Federation.Privacy.Homomorphic;

/// <summary>Reads one SEAL object field by field; nothing is taken or returned before it is known to be there.</summary>
internal ref struct SealReader(SealBody body)
{
    private readonly string _name = body.Name;
    private readonly ReadOnlySpan<byte> _body = body.Bytes;
    private int _position;

    public SealHeader Header { get; } = body.Header;

    /// <summary>Bytes not read yet.</summary>
    public readonly int Left => _body.Length - _position;

    private readonly long Offset => SealHeader.Bytes + _position;

    /// <summary>The next bytes, not copied: they go with the reader.</summary>
    public ReadOnlySpan<byte> Take(string field, int length)
    {
        if (Left < length) throw new SealFormatException(_name, field, Offset, $"{Left} more bytes", $"it has {length}");
        _position += length;
        return _body.Slice(_position - length, length);
    }

    public byte Byte(string field, string expected, params ReadOnlySpan<byte> allowed)
    {
        byte value = Take(field, 1)[0];
        return allowed.Contains(value) ? value : throw Wrong(field, 1, $"{value}", expected);
    }

    public ulong UInt64(string field) => BinaryPrimitives.ReadUInt64LittleEndian(Take(field, sizeof(ulong)));

    /// <summary>A number that can only be one.</summary>
    public void Expect(string field, ulong value, string reason)
    {
        ulong found = UInt64(field);
        if (found != value) throw Wrong(field, sizeof(ulong), $"{found}", $"{reason}: {value}");
    }

    /// <summary>Of everything of BFV: 1.0.</summary>
    public void ExpectScale()
    {
        ulong found = UInt64("scale");
        if (found != BitConverter.DoubleToUInt64Bits(1)) throw Wrong("scale", sizeof(ulong), $"{BitConverter.UInt64BitsToDouble(found):R}", "objects of BFV have 1");
    }

    /// <summary>The header of an object inside this one, which is never compressed.</summary>
    /// <param name="size">What it must say.</param>
    public void Nested(string field, ulong size)
    {
        long offset = Offset;
        SealHeader header = SealHeader.Read(_name, Take("header of " + field, SealHeader.Bytes), offset);
        if (header.Compression != SealCompression.None) throw new SealFormatException(_name, "compression of " + field, offset, $"{header.Compression}", "objects inside others are not compressed themselves");
        if (header.Size != size) throw new SealFormatException(_name, "size of " + field, offset, $"{header.Size}", $"it has {size} bytes");
    }

    /// <summary>The header and the count of an array, all of whose words are there.</summary>
    /// <param name="counts">Those that it can have.</param>
    public int ArrayCount(string field, string reason, params ReadOnlySpan<int> counts)
    {
        long offset = Offset;
        SealHeader header = SealHeader.Read(_name, Take("header of " + field, SealHeader.Bytes), offset);
        if (header.Compression != SealCompression.None) throw new SealFormatException(_name, "compression of " + field, offset, $"{header.Compression}", "objects inside others are not compressed themselves");
        ulong count = UInt64("count of " + field);
        foreach (int allowed in counts)
        {
            if (count != (ulong)allowed) continue;
            ulong size = SealHeader.Bytes + sizeof(ulong) + (sizeof(ulong) * count);
            if (header.Size != size) throw new SealFormatException(_name, "size of " + field, offset, $"{header.Size}", $"with {count} words it has {size} bytes");
            if ((ulong)Left < sizeof(ulong) * count) throw new SealFormatException(_name, field, Offset, $"{Left} more bytes", $"{count} words follow");
            return allowed;
        }

        throw Wrong("count of " + field, sizeof(ulong), $"{count}", $"{reason}: {string.Join(" or ", counts.ToArray())}");
    }

    /// <summary>Words below a modulus: a view that goes with the reader, a copy only where the machine has another byte order.</summary>
    public ReadOnlySpan<ulong> Words(string field, int count, ulong bound)
    {
        long offset = Offset;
        ReadOnlySpan<ulong> words = View(Take(field, sizeof(ulong) * count));
        Below(field, words, bound, offset);
        return words;
    }

    /// <summary>Residues, prime after prime: a view as of <see cref="Words"/>.</summary>
    public ReadOnlySpan<ulong> Element(string field, RnsRing ring)
    {
        long offset = Offset;
        ReadOnlySpan<ulong> words = View(Take(field, sizeof(ulong) * ring.Words));
        for (int i = 0; i < ring.Moduli.Count; i++) Below(field, words.Slice(i * ring.Degree, ring.Degree), ring.Moduli[i].Value, offset + (sizeof(ulong) * (long)ring.Degree * i));
        return words;
    }

    /// <summary>Every byte has been read.</summary>
    public readonly void End()
    {
        if (Left > 0) throw new SealFormatException(_name, "end", Offset, $"{Left} more bytes", "the object ends here");
    }

    /// <summary>The error for the field that was just read.</summary>
    public readonly SealFormatException Wrong(string field, int length, string found, string expected) => new(_name, field, Offset - length, found, expected);

    private static ReadOnlySpan<ulong> View(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<ulong> words = MemoryMarshal.Cast<byte, ulong>(bytes);
        if (BitConverter.IsLittleEndian) return words;
        ulong[] turned = GC.AllocateUninitializedArray<ulong>(words.Length);
        BinaryPrimitives.ReverseEndianness(words, turned);
        return turned;
    }

    private readonly void Below(string field, ReadOnlySpan<ulong> words, ulong bound, long offset)
    {
        int wrong = words.IndexOfAnyExceptInRange(0UL, bound - 1);
        if (wrong >= 0) throw new SealFormatException(_name, $"word {wrong} of {field}", offset + (sizeof(ulong) * (long)wrong), "a larger number", $"every word there is below {bound}");
    }
}
