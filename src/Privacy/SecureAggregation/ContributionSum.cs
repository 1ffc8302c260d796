using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// The coordinator's sum over checked <see cref="ContributionFile"/>s, each added once: the key ciphertexts' sum, and, once it was opened, the mean update block by block.
/// Memory depends neither on the model nor on the number of contributions: 64 blocks are worked on at a time.
/// </summary>
/// <param name="files">Readable and seekable; in the order of U's sites; not disposed.</param>
public sealed class ContributionSum(SiteRound round, IReadOnlyList<Stream> files)
{
    private const int Chunk = 64;

    private readonly int _half = PackedElement.Length(round.Ring);

    /// <summary>ΣK.</summary>
    public Ciphertext Keys()
    {
        RnsRing ring = round.Ring;
        ulong[] words = new ulong[2 * ring.Words], element = new ulong[ring.Words];
        byte[] packed = new byte[_half];
        foreach (Stream file in files)
        {
            file.Position = 0;
            for (int half = 0; half < 2; half++)
            {
                file.ReadExactly(packed);
                PackedElement.Unpack(ring, packed, element);
                ring.Add(words.AsSpan(half * ring.Words, ring.Words), element);
            }
        }

        return new(round.Certificate.Descriptor.Parameters, ring.Moduli.Count, words);
    }

    /// <summary>The packed c₁ of one contribution, for the committee.</summary>
    public byte[] Second(int contribution)
    {
        byte[] packed = new byte[_half];
        files[contribution].Position = _half;
        files[contribution].ReadExactly(packed);
        return packed;
    }

    /// <summary>The mean update: Σ weighted updates / Σ weights.</summary>
    /// <param name="opened">Of <see cref="Keys"/>.</param>
    /// <param name="write">Gets the values in order.</param>
    /// <param name="knownWeight">The sum of the weights where it is public; null: it is opened with the rest.</param>
    /// <returns>The opened sum of weights.</returns>
    /// <exception cref="PadResidualException">The opened secret does not fit the blocks.</exception>
    /// <exception cref="UpdateWeightException">The weight is not positive.</exception>
    /// <exception cref="UpdateSumException">A sum cannot be that of so many contributors.</exception>
    public double WriteMean(Plaintext opened, Action<ReadOnlySpan<float>> write, double? knownWeight = null)
    {
        UpdateEncoding encoding = round.Descriptor.Encoding ?? throw new InvalidOperationException("This round is for whole numbers, not for updates.");
        UpdateDecoder decoder = new(encoding, files.Count);
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        float[] values = new float[encoding.Layout.ValuesPerBlock];
        if (encoding.Layout.IsDirect)
        {
            Decode((block, messages) => opened.Coefficients.Slice(block * PadRing.Degree, PadRing.Degree).CopyTo(messages));
            return decoder.Weight;
        }

        using PadSum pads = new(round.PadSeed, PadSecret.SumFrom(opened), encoding.Layout.PlaintextBits, files.Count);
        using PadSum.Worker worker = pads.CreateWorker();
        ulong[] sums = new ulong[Chunk * PadRing.Degree];
        byte[] packed = new byte[Chunk * PadRing.BlockBytes];
        int loaded = -1; // the first block in sums
        Decode((block, messages) =>
        {
            if (block / Chunk != loaded) Load(loaded = block / Chunk, encoding.Blocks, sums, packed);
            worker.Decrypt(block, sums.AsSpan(block % Chunk * PadRing.Degree, PadRing.Degree), messages);
        });
        return decoder.Weight;

        void Decode(Action<int, ulong[]> messagesOf)
        {
            ulong[] messages = new ulong[PadRing.Degree];
            if (knownWeight is { } known)
            {
                decoder.SetWeight(known);
            }
            else
            {
                messagesOf(decoder.WeightBlock, messages);
                decoder.OpenWeight(messages, workspace);
            }

            for (int block = 0; block < encoding.Blocks; block++)
            {
                Span<float> own = values.AsSpan(0, decoder.ValuesOfBlock(block));
                if (own.IsEmpty) continue;
                messagesOf(block, messages);
                decoder.Decode(block, messages, own, workspace);
                write(own);
            }
        }
    }

    private void Load(int chunk, int blocks, ulong[] sums, byte[] packed)
    {
        int first = chunk * Chunk, count = Math.Min(Chunk, blocks - first);
        Array.Clear(sums);
        foreach (Stream file in files)
        {
            file.Position = (2L * _half) + ((long)first * PadRing.BlockBytes);
            file.ReadExactly(packed.AsSpan(0, count * PadRing.BlockBytes));
            for (int i = 0; i < count; i++)
            {
                if (!PadSum.Add(packed.AsSpan(i * PadRing.BlockBytes, PadRing.BlockBytes), sums.AsSpan(i * PadRing.Degree, PadRing.Degree))) throw new InvalidDataException($"Block {first + i} of a checked contribution has changed on disk.");
            }
        }
    }
}
