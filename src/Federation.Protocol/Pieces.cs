using Google.Protobuf;
using ZstdSharp;

namespace Federation.Protocol;

/// <summary>Pieces of content on their way out: as one Zstandard frame (RFC 8878) each of 4 KiB and more where that saves a fifth, otherwise as they are. Not for several threads.</summary>
/// <param name="zstd">Whether the reader takes compressed pieces.</param>
/// <remarks>Models with many equal values shrink a hundredfold, trained weights by a twelfth, encrypted updates not at all. So what did not help is tried again with each sixteenth piece only.</remarks>
public sealed class PiecePacker(bool zstd)
{
    private const int TryAgainAfter = 15, LeastBytes = 4096;
    private const double WorthIt = 0.8;

    // A compressor's tables take more memory than a piece: one a thread, not one a transfer.
    [ThreadStatic]
    private static Compressor? t_compressor;

    [ThreadStatic]
    private static byte[]? t_packed;

    private int _skip;

    /// <param name="piece">At most <see cref="Limits.PieceBytes"/>.</param>
    public (ByteString Data, bool Zstd) Pack(ReadOnlySpan<byte> piece)
    {
        if (zstd && piece.Length >= LeastBytes && _skip-- <= 0)
        {
            byte[] packed = t_packed ??= new byte[Compressor.GetCompressBound(Limits.PieceBytes)];
            int length = (t_compressor ??= new Compressor(1)).Wrap(piece, packed);
            if (length <= piece.Length * WorthIt)
            {
                _skip = 0;
                return (ByteString.CopyFrom(packed.AsSpan(0, length)), true);
            }

            _skip = TryAgainAfter;
        }

        return (ByteString.CopyFrom(piece), false);
    }
}

/// <summary>Pieces that came, unpacked into one buffer of bounded size, whatever they claim. Not for several threads.</summary>
public sealed class PieceReader
{
    [ThreadStatic]
    private static Decompressor? t_decompressor;

    private byte[]? _buffer;

    /// <summary>The piece's content, until the next call.</summary>
    /// <exception cref="InvalidDataException">It is no Zstandard frame, or one of more than <see cref="Limits.ChunkBytes"/>.</exception>
    public ReadOnlyMemory<byte> Unpack(ByteString data, bool zstd)
    {
        if (!zstd) return data.Memory;
        _buffer ??= new byte[Limits.ChunkBytes];
        try
        {
            if ((t_decompressor ??= new Decompressor()).TryUnwrap(data.Span, _buffer, out int length)) return _buffer.AsMemory(0, length);
        }
        catch (ZstdException wrong)
        {
            throw new InvalidDataException($"The compressed piece is no Zstandard frame: {wrong.Message}");
        }

        throw new InvalidDataException($"The compressed piece holds more than {Limits.ChunkBytes} bytes.");
    }
}
