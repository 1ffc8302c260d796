using System.Buffers.Binary;
using System.Text;

namespace Federation.Privacy.Canonical;

/// <summary>Reads what <see cref="CanonicalWriter"/> wrote, field by field in the same order. Nothing is copied, so nothing is taken by a length that was not checked.</summary>
public ref struct CanonicalReader
{
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly string _what;
    private ReadOnlySpan<byte> _rest;
    private int _field;

    /// <param name="what">The label that must be there.</param>
    /// <exception cref="FormatException">It is not.</exception>
    public CanonicalReader(ReadOnlySpan<byte> bytes, string what)
    {
        byte[] label = Encoding.ASCII.GetBytes($"fed/v1/{what}\0");
        if (!bytes.StartsWith(label)) throw new FormatException($"These bytes do not begin with the label 'fed/v1/{what}'.");
        _what = what;
        _rest = bytes[label.Length..];
    }

    /// <exception cref="FormatException">The bytes end before, or the field is longer.</exception>
    public ReadOnlySpan<byte> Field(int most = int.MaxValue)
    {
        if (_rest.Length < 4) throw Wrong("is missing");
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(_rest);
        if (length > (uint)(_rest.Length - 4)) throw Wrong($"says that it has {length} bytes, but {_rest.Length - 4} are left");
        if (length > (uint)most) throw Wrong($"has {length} bytes, more than {most}");
        ReadOnlySpan<byte> field = _rest.Slice(4, (int)length);
        _rest = _rest[(4 + (int)length)..];
        _field++;
        return field;
    }

    /// <summary>A field of exactly so many bytes.</summary>
    public byte[] Bytes(int length)
    {
        ReadOnlySpan<byte> field = Field();
        return field.Length == length ? field.ToArray() : throw Wrong($"has {field.Length} bytes instead of {length}", -1);
    }

    public ulong UInt64() => BinaryPrimitives.ReadUInt64LittleEndian(Bytes(8));

    /// <summary>A whole number from least to most.</summary>
    public int Int32(int least, int most)
    {
        ulong value = UInt64();
        return value >= (ulong)least && value <= (ulong)most ? (int)value : throw Wrong($"is {value}, not from {least} to {most}", -1);
    }

    /// <summary>A finite double by its bits.</summary>
    public double Double()
    {
        double value = BitConverter.UInt64BitsToDouble(UInt64());
        return double.IsFinite(value) ? value : throw Wrong($"is {value}", -1);
    }

    /// <summary>UTF-8.</summary>
    public string Text(int mostBytes)
    {
        ReadOnlySpan<byte> field = Field(mostBytes);
        try
        {
            return s_strict.GetString(field);
        }
        catch (DecoderFallbackException)
        {
            throw Wrong("is not UTF-8", -1);
        }
    }

    /// <exception cref="FormatException">More bytes follow.</exception>
    public readonly void End()
    {
        if (_rest.Length > 0) throw new FormatException($"{_rest.Length} bytes follow the last field of 'fed/v1/{_what}'.");
    }

    private readonly FormatException Wrong(string what, int offset = 0) => new($"Field {_field + 1 + offset} of 'fed/v1/{_what}' {what}.");
}
