using CsCheck;
using Google.Protobuf;
using ZstdSharp;

namespace Federation.Protocol.Tests;

public sealed class PiecesTests
{
    [Fact]
    public void Unpack_WhatWasPacked_IsThePieceWhateverItHolds() => Gen.Select(Gen.Byte.Array[0, 3000], Gen.Int[1, 40], Gen.Bool).Sample((piece, repeats, zstd) =>
    {
        byte[] content = [.. Enumerable.Repeat(piece, repeats).SelectMany(bytes => bytes).Take(Limits.PieceBytes)];
        var packer = new PiecePacker(zstd);
        var reader = new PieceReader();
        for (int i = 0; i < 3; i++)
        {
            (ByteString data, bool packed) = packer.Pack(content);
            Assert.True(zstd || !packed);
            Assert.True(data.Length <= content.Length);
            Assert.True(reader.Unpack(data, packed).Span.SequenceEqual(content));
        }
    });

    [Fact]
    public void Pack_ZerosAndRandomBytes_CompressesTheFirstOnly()
    {
        var packer = new PiecePacker(zstd: true);
        byte[] random = new byte[Limits.PieceBytes];
        new Random(1).NextBytes(random);
        Assert.False(packer.Pack(random).Zstd);
        for (int i = 0; i < 15; i++) Assert.False(packer.Pack(new byte[Limits.PieceBytes]).Zstd); // not tried: it did not help
        (ByteString data, bool zstd) = packer.Pack(new byte[Limits.PieceBytes]);
        Assert.True(zstd && data.Length < 100);
        Assert.True(packer.Pack(new byte[Limits.PieceBytes]).Zstd);
    }

    [Fact]
    public void Unpack_AFrameOfGigabytes_IsRefusedWithoutTakingTheMemory()
    {
        using var stream = new MemoryStream();
        using (var compressor = new CompressionStream(stream, leaveOpen: true)) for (int i = 0; i < 256; i++) compressor.Write(new byte[1 << 20]);
        var reader = new PieceReader();
        reader.Unpack(Compressed(new byte[10]), zstd: true); // takes its buffer
        ByteString bomb = ByteString.CopyFrom(stream.ToArray());
        Assert.True(bomb.Length < Limits.ChunkBytes);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Throws<InvalidDataException>(() => reader.Unpack(bomb, zstd: true));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
    }

    [Fact]
    public void Unpack_HostileBytes_AreRefusedOrBounded()
    {
        byte[] good = Compressed([.. Enumerable.Range(0, 5000).Select(i => (byte)(i % 7))]).ToByteArray();
        Gen.Select(Gen.Byte.Array[0, 200], Gen.Int[0, good.Length - 1], Gen.Byte).Sample((bytes, at, value) =>
        {
            byte[] damaged = [.. good];
            damaged[at] = value;
            foreach (byte[] hostile in new[] { bytes, damaged, good[..at] })
            {
                var reader = new PieceReader();
                try
                {
                    Assert.InRange(reader.Unpack(ByteString.CopyFrom(hostile), zstd: true).Length, 0, Limits.ChunkBytes);
                }
                catch (InvalidDataException)
                {
                    // so it should
                }
            }
        });
    }

    private static ByteString Compressed(byte[] content)
    {
        using var compressor = new Compressor();
        return ByteString.CopyFrom(compressor.Wrap(content));
    }
}
