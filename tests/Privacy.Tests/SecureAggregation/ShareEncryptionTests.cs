using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>Every key of a pair is another: shares are encrypted under nonce zero, so one key for two of them would show their difference.</summary>
public sealed class ShareEncryptionTests : IDisposable
{
    private readonly ShareEncryption _one = new(), _two = new();
    private readonly byte[] _answers = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];

    public void Dispose()
    {
        _one.Dispose();
        _two.Dispose();
    }

    [Fact] // of zeros, so that what is seen is the key's stream
    public void Encrypt_EachDirectionPairAndAttempt_HasAKeyOfItsOwn()
    {
        byte[] other = [.. _answers];
        other[31] ^= 1;
        byte[][] streams =
        [
            _one.Encrypt(_two.PublicKey, _answers, 1, 2, new byte[100]),
            _two.Encrypt(_one.PublicKey, _answers, 2, 1, new byte[100]),
            _one.Encrypt(_two.PublicKey, _answers, 1, 3, new byte[100]),
            _one.Encrypt(_two.PublicKey, _answers, 3, 2, new byte[100]),
            _one.Encrypt(_two.PublicKey, other, 1, 2, new byte[100]),
            UnderZeroShareKey(_one, _two, 1, 2), // what a zero share is expanded from encrypts nothing
            UnderZeroShareKey(_two, _one, 2, 1, other),
        ];
        Assert.Equal(streams.Length, streams.Select(Convert.ToHexString).Distinct().Count());
    }

    [Fact]
    public void TryDecrypt_AnythingButTheShareAsItWasSent_DoesNotOpen()
    {
        byte[] share = [.. Enumerable.Range(0, 100).Select(i => (byte)(2 * i))], encrypted = _one.Encrypt(_two.PublicKey, _answers, 1, 2, share);
        Assert.True(Opens(1, 2, encrypted, out byte[] opened));
        Assert.Equal(share, opened);
        Assert.False(Opens(2, 1, encrypted, out _));
        Assert.False(Opens(1, 3, encrypted, out _));
        Assert.False(Opens(1, 2, encrypted[..^1], out _));
        for (int i = 0; i < encrypted.Length; i++)
        {
            byte[] changed = [.. encrypted];
            changed[i] ^= 1;
            Assert.False(Opens(1, 2, changed, out _));
        }

        bool Opens(int from, int to, byte[] bytes, out byte[] into) => _two.TryDecrypt(_one.PublicKey, _answers, from, to, bytes, into = new byte[100]);
    }

    [Fact]
    public void ZeroShareKey_OfAPair_IsTheSameForBothAndForNoOther()
    {
        string Key(ShareEncryption own, ShareEncryption other, int first, int second)
        {
            using SecretMemory<byte> key = own.ZeroShareKey(other.PublicKey, _answers, first, second);
            return Convert.ToHexString(key.Span);
        }

        Assert.Equal(Key(_one, _two, 1, 2), Key(_two, _one, 2, 1));
        Assert.NotEqual(Key(_one, _two, 1, 2), Key(_one, _two, 1, 3));
        using ShareEncryption third = new();
        Assert.NotEqual(Key(_one, _two, 1, 2), Key(_one, third, 1, 2));
    }

    private byte[] UnderZeroShareKey(ShareEncryption own, ShareEncryption other, int first, int second, byte[]? answers = null)
    {
        using SecretMemory<byte> key = own.ZeroShareKey(other.PublicKey, answers ?? _answers, first, second);
        byte[] encrypted = new byte[116];
        using AesGcm cipher = new(key.Span, 16);
        cipher.Encrypt(new byte[12], new byte[100], encrypted.AsSpan(0, 100), encrypted.AsSpan(100));
        return encrypted;
    }
}
