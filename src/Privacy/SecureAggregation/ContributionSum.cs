using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// The coordinator's sum over checked <see cref="ContributionFile"/>s, each added once: the key ciphertexts' sum, and, once it was opened, the mean update block by block.
/// Memory depends neither on the model nor on the number of contributions: at most 16 MB, and 0.7 MB for each of at most 64 threads.
/// </summary>
/// <param name="files">Readable and seekable, each a stream of its own; in the order of U's sites; not disposed.</param>
public sealed class ContributionSum(SiteRound round, IReadOnlyList<Stream> files)
{
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

    /// <summary>The mean update: Σ weighted updates / Σ weights, on all cores; the same values whatever the number of threads.</summary>
    /// <param name="opened">Of <see cref="Keys"/>.</param>
    /// <param name="write">Gets the values in order, from one thread at a time.</param>
    /// <param name="knownWeight">The sum of the weights where it is public; null: it is opened with the rest.</param>
    /// <param name="threads">How many work at once; null: as many as there are cores.</param>
    /// <returns>The opened sum of weights.</returns>
    /// <exception cref="PadResidualException">The opened secret does not fit the blocks.</exception>
    /// <exception cref="UpdateWeightException">The weight is not positive.</exception>
    /// <exception cref="UpdateSumException">A sum cannot be that of so many contributors.</exception>
    public double WriteMean(Plaintext opened, Action<ReadOnlySpan<float>> write, double? knownWeight = null, int? threads = null)
    {
        UpdateEncoding encoding = round.Descriptor.Encoding ?? throw new InvalidOperationException("This round is for whole numbers, not for updates.");
        UpdateDecoder decoder = new(encoding, files.Count);
        using PadSum? pads = encoding.Layout.IsDirect ? null : new(round.PadSeed, PadSecret.SumFrom(opened), encoding.Layout.PlaintextBits, files.Count);
        if (knownWeight is { } known)
        {
            decoder.SetWeight(known);
        }
        else
        {
            using Worker first = CreateWorker();
            first.OpenWeight();
        }

        BlockWindows.Run(encoding.Values, encoding.Layout.ValuesPerBlock, threads ?? Environment.ProcessorCount, CreateWorker, (worker, first, count, values) => worker.Decode(first, count, values), write);
        return decoder.Weight;

        Worker CreateWorker() => new(decoder, pads, opened, files, 2L * _half);
    }

    /// <summary>What one thread needs: up to 16 blocks of the files and their sums.</summary>
    private sealed class Worker(UpdateDecoder decoder, PadSum? pads, Plaintext opened, IReadOnlyList<Stream> files, long start) : IDisposable
    {
        private readonly UpdateWorkspace _workspace = decoder.CreateWorkspace();
        private readonly PadSum.Worker? _pad = pads?.CreateWorker();
        private readonly ulong[] _messages = new ulong[PadRing.Degree], _sums = pads is null ? [] : new ulong[BlockWindows.MostBlocks * PadRing.Degree];
        private readonly byte[] _packed = pads is null ? [] : new byte[BlockWindows.MostBlocks * PadRing.BlockBytes];

        public void OpenWeight()
        {
            Load(decoder.WeightBlock, 1);
            Messages(decoder.WeightBlock, 0);
            decoder.OpenWeight(_messages, _workspace);
        }

        public void Decode(int first, int count, Span<float> values)
        {
            Load(first, count);
            for (int i = 0; i < count; i++)
            {
                Messages(first + i, i);
                int own = decoder.ValuesOfBlock(first + i);
                decoder.Decode(first + i, _messages, values[..own], _workspace);
                values = values[own..];
            }
        }

        /// <summary>Σm of a block that was loaded as number i.</summary>
        private void Messages(int block, int i)
        {
            if (_pad is null) opened.Coefficients.Slice(block * PadRing.Degree, PadRing.Degree).CopyTo(_messages);
            else _pad.Decrypt(block, _sums.AsSpan(i * PadRing.Degree, PadRing.Degree), _messages);
        }

        private void Load(int first, int count)
        {
            if (_pad is null) return;
            Array.Clear(_sums);
            Span<byte> packed = _packed.AsSpan(0, count * PadRing.BlockBytes);
            for (int n = 0; n < files.Count; n++)
            {
                Stream file = files[(first + n) % files.Count]; // sums have no order, and threads do not wait for one file
                lock (file)
                {
                    file.Position = start + ((long)first * PadRing.BlockBytes);
                    file.ReadExactly(packed);
                }

                for (int i = 0; i < count; i++)
                {
                    if (!PadSum.Add(packed.Slice(i * PadRing.BlockBytes, PadRing.BlockBytes), _sums.AsSpan(i * PadRing.Degree, PadRing.Degree))) throw new InvalidDataException($"Block {first + i} of a checked contribution has changed on disk.");
                }
            }
        }

        public void Dispose()
        {
            _workspace.Dispose();
            _pad?.Dispose();
        }
    }
}
