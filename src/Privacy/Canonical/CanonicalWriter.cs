using System.Buffers;
using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Federation.Privacy.Canonical;

/// <summary>
/// The bytes that are hashed or signed: the ASCII label <c>fed/v1/&lt;what&gt;</c> and a zero byte, then each field as its length (u32, little-endian) and bytes.
/// Integers are u64, little-endian. Two different sequences of fields never give the same bytes.
/// </summary>
public sealed class CanonicalWriter
{
    private static readonly UTF8Encoding s_strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly ArrayBufferWriter<byte> _bytes;

    /// <param name="what">What is hashed or signed: lower-case ASCII letters, digits, hyphens and slashes.</param>
    /// <param name="capacity">Bytes that will come at most: for secrets, so that growing leaves no copy of them.</param>
    /// <exception cref="ArgumentException">The label holds another character.</exception>
    public CanonicalWriter(string what, int capacity = 256)
    {
        _bytes = new(capacity);
        if (what.Length == 0 || what.Any(c => c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9') or '-' or '/')))
        {
            throw new ArgumentException($"The label '{what}' may hold only a-z, 0-9, '-' and '/'.", nameof(what));
        }

        _bytes.Write(Encoding.ASCII.GetBytes($"fed/v1/{what}\0"));
    }

    public CanonicalWriter Field(ReadOnlySpan<byte> value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(_bytes.GetSpan(4), (uint)value.Length);
        _bytes.Advance(4);
        _bytes.Write(value);
        return this;
    }

    /// <summary>A text as UTF-8.</summary>
    /// <exception cref="EncoderFallbackException">It holds half a surrogate pair, which has no bytes of its own.</exception>
    public CanonicalWriter Field(string value) => Field(s_strict.GetBytes(value));

    public CanonicalWriter Field(ulong value)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return Field(bytes);
    }

    /// <summary>A double by its bits.</summary>
    public CanonicalWriter Field(double value) => Field(BitConverter.DoubleToUInt64Bits(value));

    public byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    /// <summary>Overwrites what was written.</summary>
    public void Wipe() => _bytes.Clear();

    /// <summary>SHA-256 of the bytes.</summary>
    public byte[] Hash() => SHA256.HashData(_bytes.WrittenSpan);
}
