using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>A member's share of an epoch's key, and the keys of its zero shares. Kept encrypted, in a store that is not backed up. Dispose wipes it.</summary>
public sealed class CommitteeShare : IDisposable
{
    private const int KeyBytes = 32, NonceBytes = 12, TagBytes = 16;

    private readonly SecretWords _share;
    private readonly IReadOnlyDictionary<int, SecretMemory<byte>> _zeroShareKeys;

    /// <param name="share">Its own from now on.</param>
    internal CommitteeShare(byte[] certificateHash, int index, int threshold, IReadOnlyList<int> members, SecretWords share, IReadOnlyDictionary<int, SecretMemory<byte>> zeroShareKeys) =>
        (CertificateHash, Index, Threshold, Members, _share, _zeroShareKeys) = (certificateHash, index, threshold, members, share, zeroShareKeys);

    /// <summary>Of the epoch.</summary>
    public byte[] CertificateHash { get; }

    public int Index { get; }

    /// <summary>t.</summary>
    public int Threshold { get; }

    /// <summary>Q, rising.</summary>
    public IReadOnlyList<int> Members { get; }

    /// <summary>Values at the roots, modulo the data primes.</summary>
    internal ReadOnlySpan<ulong> Words => _share.Span;

    /// <summary>k_ij by j; refuse use once disposed.</summary>
    internal IReadOnlyDictionary<int, SecretMemory<byte>> ZeroShareKeys => _zeroShareKeys;

    /// <summary>Held while an answer is computed: a share is not wiped in the middle of one.</summary>
    internal Lock Gate { get; } = new();

    /// <summary>For the store: AES-256-GCM with a random nonce.</summary>
    /// <param name="key">32 bytes.</param>
    public byte[] Protect(ReadOnlySpan<byte> key)
    {
        byte[] plain = Encode(), stored = new byte[NonceBytes + plain.Length + TagBytes];
        RandomNumberGenerator.Fill(stored.AsSpan(0, NonceBytes));
        using AesGcm cipher = new(key, TagBytes);
        cipher.Encrypt(stored.AsSpan(0, NonceBytes), plain, stored.AsSpan(NonceBytes, plain.Length), stored.AsSpan(NonceBytes + plain.Length));
        CryptographicOperations.ZeroMemory(plain);
        return stored;
    }

    /// <summary>In the clear, for <see cref="Protect"/> and tests; to be wiped.</summary>
    internal byte[] Encode()
    {
        RnsRing ring = BfvParameters.ForKeys.DataRing;
        byte[] packed = GC.AllocateArray<byte>(PackedElement.Length(ring), pinned: true);
        PackedElement.Pack(ring, Words, packed);
        CanonicalWriter writer = new("committee-share", packed.Length + 4096);
        Indices.Write(writer.Field(CertificateHash).Field((ulong)Index).Field((ulong)Threshold), Members).Field(packed);
        foreach (int member in Members.Where(member => member != Index)) writer.Field(_zeroShareKeys[member].Span);
        byte[] plain = writer.ToArray();
        writer.Wipe();
        CryptographicOperations.ZeroMemory(packed);
        return plain;
    }

    /// <exception cref="CryptographicException">The key is another, or the bytes were changed.</exception>
    /// <exception cref="FormatException">The bytes are no share.</exception>
    public static CommitteeShare Unprotect(ReadOnlySpan<byte> key, ReadOnlySpan<byte> stored)
    {
        if (key.Length != KeyBytes) throw new ArgumentException($"A key has {KeyBytes} bytes.", nameof(key));
        if (stored.Length < NonceBytes + TagBytes) throw new FormatException("These bytes are too few for a stored share.");
        byte[] plain = GC.AllocateArray<byte>(stored.Length - NonceBytes - TagBytes, pinned: true);
        try
        {
            using AesGcm cipher = new(key, TagBytes);
            cipher.Decrypt(stored[..NonceBytes], stored[NonceBytes..^TagBytes], stored[^TagBytes..], plain);
            return Decode(plain);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(plain);
        }
    }

    /// <exception cref="FormatException">The bytes are no share.</exception>
    internal static CommitteeShare Decode(ReadOnlySpan<byte> plain)
    {
        RnsRing ring = BfvParameters.ForKeys.DataRing;
        CanonicalReader reader = new(plain, "committee-share");
        byte[] certificate = reader.Bytes(EpochAnswer.HashBytes);
        int index = Indices.Read(ref reader), threshold = reader.Int32(2, CommitteePolicy.LargestCommittee);
        IReadOnlyList<int> members = Indices.ReadList(ref reader);
        ReadOnlySpan<byte> packed = reader.Field();
        if (!members.Contains(index)) throw new FormatException($"Member {index} has a share, but is not among the members.");
        PackedElement.Check(ring, packed);
        SecretWords share = new(ring.Words);
        Dictionary<int, SecretMemory<byte>> keys = [];
        try
        {
            PackedElement.Unpack(ring, packed, share.Span);
            foreach (int member in members.Where(member => member != index)) keys[member] = new(KeyBytes);
            foreach (SecretMemory<byte> key in keys.Values) reader.Field(KeyBytes).CopyTo(key.Span);
            reader.End();
            return new(certificate, index, threshold, members, share, keys);
        }
        catch (FormatException)
        {
            share.Dispose();
            foreach (SecretMemory<byte> key in keys.Values) key.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        lock (Gate)
        {
            _share.Dispose();
            foreach (SecretMemory<byte> key in _zeroShareKeys.Values) key.Dispose();
        }
    }
}
