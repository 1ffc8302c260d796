using System.Buffers.Binary;

namespace Federation.Privacy.Homomorphic;

/// <summary>The 16 bytes before every SEAL object and every object inside one, in the form of 3.5 and later or that of 3.4.</summary>
internal readonly record struct SealHeader(int Major, int Minor, SealCompression Compression, ulong Size)
{
    public const int Bytes = 16;

    private const ushort Magic = 0xA15E;
    private const int NewestMajor = 4, NewestMinor = 4;

    /// <summary>4.0 brought the correction factor.</summary>
    public bool HasCorrectionFactor => Major >= 4;

    /// <summary>3.6 brought the sampling of today and the name of the generator.</summary>
    public bool SeedsAsToday => Major >= 4 || Minor >= 6;

    public void Write(Span<byte> header)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(header, Magic);
        header[2] = Bytes;
        header[3] = (byte)Major;
        header[4] = (byte)Minor;
        header[5] = (byte)Compression;
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], 0);
        BinaryPrimitives.WriteUInt64LittleEndian(header[8..], Size);
    }

    /// <param name="offset">Of the header, for the message.</param>
    /// <exception cref="SealFormatException">It is no header, or of a version that cannot be read.</exception>
    public static SealHeader Read(string name, ReadOnlySpan<byte> header, long offset)
    {
        ushort magic = BinaryPrimitives.ReadUInt16LittleEndian(header);
        if (magic != Magic) throw new SealFormatException(name, "magic", offset, $"0x{magic:X4}", $"every SEAL object starts with 0x{Magic:X4}");
        bool old = header[2] == 0;
        if (!old && header[2] != Bytes) throw new SealFormatException(name, "header size", offset + 2, $"{header[2]}", $"a header has {Bytes} bytes");
        (int major, int minor) = old ? (3, 4) : (header[3], header[4]);
        bool readable = (major == NewestMajor && minor <= NewestMinor) || (major == 3 && minor >= 4);
        if (!readable) throw new SealFormatException(name, "version", offset + 3, $"{major}.{minor}", $"versions 3.4 and later and 4.0 to {NewestMajor}.{NewestMinor} are read");
        byte compression = old ? header[3] : header[5];
        if (compression > (major == 3 && minor < 6 ? 1 : 2)) throw new SealFormatException(name, "compression", offset + (old ? 3 : 5), $"{compression}", "0 is none, 1 zlib, 2 Zstandard (from 3.6 on)");
        ulong reserved = old ? BinaryPrimitives.ReadUInt64LittleEndian(header[8..]) : BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        if (reserved != 0) throw new SealFormatException(name, "reserved bytes", offset + (old ? 8 : 6), $"0x{reserved:X}", "they are zero");
        return new(major, minor, (SealCompression)compression, old ? BinaryPrimitives.ReadUInt32LittleEndian(header[4..]) : BinaryPrimitives.ReadUInt64LittleEndian(header[8..]));
    }
}
