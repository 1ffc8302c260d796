using System.Security.Cryptography;

namespace Federation.Privacy.Homomorphic;

/// <summary>The body of one stored SEAL object, decompressed if need be. Dispose wipes what was decompressed.</summary>
internal readonly ref struct SealBody : IDisposable
{
    private readonly byte[]? _decompressed;

    /// <param name="name">The object, for messages.</param>
    /// <param name="stored">The whole object and nothing else.</param>
    /// <param name="limit">The most bytes that its body can have uncompressed.</param>
    /// <exception cref="SealFormatException">The header is wrong, the compressed data is damaged, or it holds more than the limit.</exception>
    public SealBody(string name, ReadOnlySpan<byte> stored, int limit)
    {
        Name = name;
        if (stored.Length < SealHeader.Bytes) throw new SealFormatException(name, "header", 0, $"{stored.Length} bytes", $"a header has {SealHeader.Bytes}");
        Header = SealHeader.Read(name, stored, 0);
        if (Header.Size != (ulong)stored.Length) throw new SealFormatException(name, "size", Header is { Major: 3, Minor: 4 } ? 4 : 8, $"{Header.Size}", $"{stored.Length} bytes are there");
        Bytes = stored[SealHeader.Bytes..];
        if (Header.Compression == SealCompression.None) return;
        _decompressed = SealPacking.Unpack(name, Header.Compression, Bytes, limit, out int length);
        Bytes = _decompressed.AsSpan(0, length);
    }

    public string Name { get; }

    public SealHeader Header { get; }

    public ReadOnlySpan<byte> Bytes { get; }

    public void Dispose() => CryptographicOperations.ZeroMemory(_decompressed);
}
