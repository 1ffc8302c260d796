using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What one round asks of a site, checked: the descriptor, the opening, the certified key.</summary>
public sealed record SiteRound(Opening Opening, RoundDescriptor Descriptor, EpochCertificate Certificate)
{
    /// <summary>Blocks of the pad ring beside the key ciphertext; none in direct mode.</summary>
    public int Blocks => Descriptor.Encoding is { Layout.IsDirect: false } encoding ? encoding.Blocks : 0;

    /// <summary>What all pads of the opening are expanded from.</summary>
    public byte[] PadSeed => Opening.PadSeed(Certificate.Hash);

    internal RnsRing Ring => Certificate.Descriptor.Parameters.DataRing;
}

/// <summary>
/// A contribution as it is stored, sent and spooled: c₀ and c₁ of the key ciphertext (packed), the packed blocks, and last the signed header that names the hashes of all three.
/// </summary>
public static class ContributionFile
{
    /// <summary>A header has fewer bytes.</summary>
    public const int MostHeaderBytes = 4096;

    /// <summary>Of everything before the header.</summary>
    public static long BodyBytes(SiteRound round) => (2L * PackedElement.Length(round.Ring)) + ((long)round.Blocks * PadRing.BlockBytes);

    /// <summary>A site's update, encoded and encrypted. Nothing of it is kept but what the stream gets; the pad secret is wiped.</summary>
    /// <param name="round">Its certificate has been verified.</param>
    /// <param name="identity">The site's key; not disposed.</param>
    /// <param name="update">As many values as the encoding says; not weighted.</param>
    /// <param name="weight">Up to the encoding's largest.</param>
    /// <param name="roundingKey">32 bytes for this update alone. Rounding hides nothing, so it may be derived from the run's seed, and the run repeats.</param>
    /// <param name="random">Of the pad and, under DP, of the noise.</param>
    /// <param name="noise">Another source for the noise alone; with one thread it is drawn in the order of the values.</param>
    /// <returns>The signed header, and what the encoder saw.</returns>
    /// <exception cref="ArgumentException">The descriptor has no encoding for updates, or update or weight do not fit it.</exception>
    public static async Task<(SignedMessage Header, EncodedUpdate Encoded)> WriteUpdateAsync(
        Stream file, SiteRound round, string site, ECDsa identity, ReadOnlyMemory<float> update, double weight, byte[] roundingKey, Mechanisms.SecureRandom random, int threads, CancellationToken cancellationToken, Mechanisms.SecureRandom? noise = null)
    {
        UpdateEncoding encoding = round.Descriptor.Encoding ?? throw new ArgumentException("This round is for whole numbers, not for updates.", nameof(round));
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, weight, roundingKey, encoding.IsNoisy ? noise ?? random : null, threads);
        SignedMessage header;
        if (encoding.Layout.IsDirect)
        {
            using SecretWords coefficients = new(encoding.Blocks * PadRing.Degree);
            using (UpdateWorkspace workspace = encoder.CreateWorkspace())
            {
                for (int block = 0; block < encoding.Blocks; block++) encoder.Encode(block, coefficients.Span.Slice(block * PadRing.Degree, PadRing.Degree), workspace);
            }

            header = await WriteNumbersAsync(file, round, site, identity, coefficients.Span.ToArray(), cancellationToken).ConfigureAwait(false);
        }
        else
        {
            using PadSecret secret = new(random);
            using Plaintext plaintext = secret.ToPlaintext(round.Certificate.Descriptor.Parameters, [], encoding.Layout.Cohort);
            (byte[] first, byte[] second) = await WriteKeyAsync(file, round, plaintext, cancellationToken).ConfigureAwait(false);
            using PadEncryptor encryptor = new(round.PadSeed, secret, encoding.Layout.PlaintextBits, encoding.Blocks);
            using IncrementalHash payload = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            await BlockPipeline.RunAsync(
                encoding.Blocks, PadRing.BlockBytes, threads, () => new SiteWorker(encoder, encryptor), (worker, start, count, buffer) => worker.Encrypt(start, count, buffer), (_, bytes, token) =>
                {
                    payload.AppendData(bytes.Span);
                    return file.WriteAsync(bytes, token);
                },
                cancellationToken).ConfigureAwait(false);
            header = await SignAsync(file, round, site, identity, payload.GetHashAndReset(), first, second, cancellationToken).ConfigureAwait(false);
        }

        return (header, new(encoder.Norm, encoder.IsClipped, encoder.CutCoordinates, encoder.IsWeightCut));
    }

    /// <summary>Whole numbers, one a coefficient of the key ciphertext: counts and histograms.</summary>
    /// <param name="numbers">At most N, each at most ⌊(t − 1)/cohort⌋, so that no sum wraps.</param>
    /// <exception cref="ArgumentException">There are too many, or one is too large.</exception>
    public static Task<SignedMessage> WriteCountsAsync(Stream file, SiteRound round, string site, ECDsa identity, ulong[] numbers, CancellationToken cancellationToken)
    {
        ulong largest = LargestCount(round.Descriptor.Cohort.Count);
        for (int i = 0; i < numbers.Length; i++)
        {
            if (numbers[i] > largest) throw new ArgumentOutOfRangeException(nameof(numbers), numbers[i], $"Number {i} is above {largest}: the sum over {round.Descriptor.Cohort.Count} sites could wrap.");
        }

        return WriteNumbersAsync(file, round, site, identity, numbers, cancellationToken);
    }

    /// <summary>The largest count of one site, so that sums over the cohort stay below t.</summary>
    public static ulong LargestCount(int cohort) => (BfvParameters.ForKeys.PlainModulus.Value - 1) / (ulong)cohort;

    private static async Task<SignedMessage> WriteNumbersAsync(Stream file, SiteRound round, string site, ECDsa identity, ulong[] numbers, CancellationToken cancellationToken)
    {
        using Plaintext plaintext = new(round.Certificate.Descriptor.Parameters, numbers);
        CryptographicOperations.ZeroMemory(System.Runtime.InteropServices.MemoryMarshal.AsBytes(numbers.AsSpan()));
        (byte[] first, byte[] second) = await WriteKeyAsync(file, round, plaintext, cancellationToken).ConfigureAwait(false);
        return await SignAsync(file, round, site, identity, SHA256.HashData([]), first, second, cancellationToken).ConfigureAwait(false);
    }

    /// <returns>Hashes of the packed c₀ and c₁.</returns>
    private static async Task<(byte[] First, byte[] Second)> WriteKeyAsync(Stream file, SiteRound round, Plaintext plaintext, CancellationToken cancellationToken)
    {
        using IBfvEngine engine = BfvEngine.Create(round.Certificate.Descriptor.Parameters);
        Ciphertext key = engine.Encrypt(plaintext, round.Certificate.Key);
        byte[] first = PackedElement.Pack(key.Ring, key.First), second = PackedElement.Pack(key.Ring, key.Second);
        await file.WriteAsync(first, cancellationToken).ConfigureAwait(false);
        await file.WriteAsync(second, cancellationToken).ConfigureAwait(false);
        return (SHA256.HashData(first), SHA256.HashData(second));
    }

    private static async Task<SignedMessage> SignAsync(Stream file, SiteRound round, string site, ECDsa identity, byte[] payload, byte[] first, byte[] second, CancellationToken cancellationToken)
    {
        ContributionHeader header = new(round.Opening, site, round.Descriptor.Hash(), round.Certificate.Hash, payload, first, second);
        SignedMessage signed = SignedMessage.Sign(site, identity, header.Encode());
        await file.WriteAsync(signed.Encode(), cancellationToken).ConfigureAwait(false);
        return signed;
    }

    /// <summary>Checks a whole file before anything of it is summed: signature, what it was made for, every hash, every block, both halves of the key ciphertext. Reads it once.</summary>
    /// <param name="file">At its beginning.</param>
    /// <param name="site">Who must have made it.</param>
    /// <exception cref="ProtocolException">It is no contribution of this site to this round.</exception>
    public static SignedMessage Check(Stream file, long length, SiteRound round, Roster roster, string site)
    {
        long body = BodyBytes(round);
        if (length <= body || length > body + MostHeaderBytes) throw new ProtocolException(Refusal.Malformed, $"The contribution has {length} bytes; {body} and a header of at most {MostHeaderBytes} are right.");
        byte[] half = new byte[PackedElement.Length(round.Ring)];
        byte[] first = ReadHalf(file, round, half), second = ReadHalf(file, round, half), payload = ReadBlocks(file, round.Blocks);
        byte[] rest = new byte[length - body];
        file.ReadExactly(rest);
        SignedMessage signed = EpochTranscript.Decoded(() => SignedMessage.Decode(rest));
        ContributionHeader header = Header(signed, round, roster);
        if (header.Site != site) throw new ProtocolException(Refusal.WrongSignature, $"This is a contribution of '{header.Site}', sent by '{site}'.");
        EpochTranscript.Same(header.First, first, Refusal.Malformed, "c₀ of the key ciphertext is not the one that was signed");
        EpochTranscript.Same(header.Second, second, Refusal.Malformed, "c₁ of the key ciphertext is not the one that was signed");
        EpochTranscript.Same(header.Payload, payload, Refusal.Malformed, "The blocks are not the ones that were signed");
        return signed;
    }

    /// <summary>A header's signature, opening, epoch and round.</summary>
    internal static ContributionHeader Header(SignedMessage message, SiteRound round, Roster roster)
    {
        ContributionHeader header = EpochTranscript.Decoded(() => ContributionHeader.Decode(message.Verify(roster)));
        if (header.Site != message.Site) throw new ProtocolException(Refusal.WrongSignature, $"'{message.Site}' signed the contribution of '{header.Site}'.");
        if (header.Opening != round.Opening) throw new ProtocolException(Refusal.AnotherOpening, $"'{header.Site}' contributed to the {header.Opening}, not to the {round.Opening}.");
        EpochTranscript.Same(header.Certificate, round.Certificate.Hash, Refusal.WrongEpoch, $"'{header.Site}' encrypted under another epoch's key");
        EpochTranscript.Same(header.Round, round.Descriptor.Hash(), Refusal.AnotherOpening, $"'{header.Site}' contributed to a round of another description");
        return header;
    }

    private static byte[] ReadHalf(Stream file, SiteRound round, byte[] half)
    {
        file.ReadExactly(half);
        EpochTranscript.Decoded(() => PackedElement.Unpack(round.Ring, half));
        return SHA256.HashData(half);
    }

    private static byte[] ReadBlocks(Stream file, int blocks)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] chunk = new byte[Math.Min(blocks, 64) * PadRing.BlockBytes];
        for (int block = 0; block < blocks;)
        {
            int count = Math.Min(64, blocks - block);
            Span<byte> bytes = chunk.AsSpan(0, count * PadRing.BlockBytes);
            file.ReadExactly(bytes);
            hash.AppendData(bytes);
            for (int i = 0; i < count; i++, block++)
            {
                if (!PadSum.IsBlock(bytes.Slice(i * PadRing.BlockBytes, PadRing.BlockBytes))) throw new ProtocolException(Refusal.Malformed, $"Block {block} has a coefficient that is not below q.");
            }
        }

        return hash.GetHashAndReset();
    }

    /// <summary>What one thread of a site needs.</summary>
    private sealed class SiteWorker(UpdateEncoder encoder, PadEncryptor encryptor) : IDisposable
    {
        private readonly UpdateWorkspace _workspace = encoder.CreateWorkspace();
        private readonly PadEncryptor.Worker _worker = encryptor.CreateWorker();
        private readonly SecretWords _coefficients = new(PadRing.Degree);

        public void Encrypt(int first, int count, Span<byte> buffer)
        {
            for (int i = 0; i < count; i++)
            {
                encoder.Encode(first + i, _coefficients.Span, _workspace);
                _worker.Encrypt(first + i, _coefficients.Span, buffer.Slice(i * PadRing.BlockBytes, PadRing.BlockBytes));
            }
        }

        public void Dispose()
        {
            _workspace.Dispose();
            _worker.Dispose();
            _coefficients.Dispose();
        }
    }
}

/// <summary>What a site's encoder saw; for the site's own log.</summary>
/// <param name="Norm">Of the weighted vector, before it was clipped.</param>
/// <param name="IsClipped">Whether it was above C.</param>
/// <param name="CutCoordinates">Values beyond the cut.</param>
/// <param name="IsWeightCut">Whether one of them lies in the weight's slice.</param>
public sealed record EncodedUpdate(double Norm, bool IsClipped, long CutCoordinates, bool IsWeightCut);
