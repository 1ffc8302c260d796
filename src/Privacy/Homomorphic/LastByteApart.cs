namespace Federation.Privacy.Homomorphic;

/// <summary>
/// Bytes in memory as a stream that gives the last of them in a read of its own. A decompressor tells nobody where its data ended or that it ended early;
/// so, though, it has ended at the last byte exactly if it took that byte and asked for no more.
/// </summary>
internal sealed unsafe class LastByteApart(byte* bytes, int length) : Stream
{
    private int _position;

    public int Left => length - _position;

    /// <summary>More was asked for than there is.</summary>
    public bool RanDry { get; private set; }

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override int Read(Span<byte> buffer)
    {
        int count = Math.Min(buffer.Length, Left > 1 ? Left - 1 : Left);
        RanDry |= Left == 0;
        new ReadOnlySpan<byte>(bytes + _position, count).CopyTo(buffer);
        _position += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
