using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Federation.Privacy.Homomorphic;

/// <summary>Writes the body of one SEAL object, whose size is known, and packs it. Dispose wipes the body unless it became the result.</summary>
internal sealed class SealWriter : IDisposable
{
    private readonly byte[] _object;
    private readonly SealVersion _version;
    private int _position = SealHeader.Bytes;
    private bool _given;

    /// <param name="bodyBytes">The body's exact size.</param>
    public SealWriter(SealVersion version, int bodyBytes)
    {
        if (!Enum.IsDefined(version)) throw new ArgumentOutOfRangeException(nameof(version), version, "No such version.");
        _version = version;
        _object = GC.AllocateUninitializedArray<byte>(checked(SealHeader.Bytes + bodyBytes), pinned: true);
    }

    public void Byte(byte value) => Room(1)[0] = value;

    public void Bytes(ReadOnlySpan<byte> bytes) => bytes.CopyTo(Room(bytes.Length));

    public void UInt64(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Room(sizeof(ulong)), value);

    public void Scale() => UInt64(BitConverter.DoubleToUInt64Bits(1));

    /// <summary>A modulus, with a header of its own.</summary>
    public void Modulus(ulong value)
    {
        Header(Room(SealHeader.Bytes), SealCompression.None, SealHeader.Bytes + sizeof(ulong));
        UInt64(value);
    }

    /// <summary>An array, with a header of its own.</summary>
    public void Array(ReadOnlySpan<ulong> words)
    {
        Header(Room(SealHeader.Bytes), SealCompression.None, SealHeader.Bytes + sizeof(ulong) + (sizeof(ulong) * words.Length));
        UInt64((ulong)words.Length);
        Span<byte> room = Room(sizeof(ulong) * words.Length);
        if (BitConverter.IsLittleEndian) MemoryMarshal.AsBytes(words).CopyTo(room);
        else BinaryPrimitives.ReverseEndianness(words, MemoryMarshal.Cast<byte, ulong>(room));
    }

    /// <summary>The whole object.</summary>
    public byte[] Finish(SealCompression compression)
    {
        if (!Enum.IsDefined(compression)) throw new ArgumentOutOfRangeException(nameof(compression), compression, "No such compression.");
        if (_position != _object.Length) throw new InvalidOperationException($"{_position} of {_object.Length} bytes were written.");
        if (compression == SealCompression.None)
        {
            Header(_object, compression, _object.Length);
            _given = true;
            return _object;
        }

        byte[] packed = SealPacking.Pack(compression, _object.AsSpan(SealHeader.Bytes)), stored = new byte[SealHeader.Bytes + packed.Length];
        Header(stored, compression, stored.Length);
        packed.CopyTo(stored, SealHeader.Bytes);
        return stored;
    }

    public void Dispose()
    {
        if (!_given) CryptographicOperations.ZeroMemory(_object);
    }

    private Span<byte> Room(int length)
    {
        _position += length;
        return _object.AsSpan(_position - length, length);
    }

    private void Header(Span<byte> header, SealCompression compression, int size) => new SealHeader((int)_version >> 8, (int)_version & 0xFF, compression, (ulong)size).Write(header);
}
