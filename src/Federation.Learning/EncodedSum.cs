using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Learning;

/// <summary>What secure aggregation opens of the sites' updates, without the encryption between: each is clipped, rounded and noised by the encoder of real runs, the sum of integers is decoded by its decoder. For audits and measurements in one process.</summary>
internal sealed class EncodedSum(UpdateEncoding encoding)
{
    private readonly ulong[][] _sums = [.. Enumerable.Range(0, encoding.Blocks).Select(_ => new ulong[UpdateLayout.BlockLength])];
    private readonly Lock _lock = new();
    private int _contributors;

    /// <param name="update">As many values as the encoding says.</param>
    /// <param name="random">Of the rounding and, where the encoding asks for it, of this site's part of the noise.</param>
    public void Add(float[] update, SecureRandom random)
    {
        byte[] key = new byte[32];
        random.Fill(key);
        Add(update, 1, key, random);
    }

    /// <summary>Any number of threads may add at once; whole numbers are added, so their order does not matter.</summary>
    /// <param name="weight">At most the encoding's largest.</param>
    /// <param name="roundingKey">32 bytes.</param>
    /// <param name="noise">Used where the encoding asks for it.</param>
    public void Add(float[] update, double weight, byte[] roundingKey, SecureRandom noise)
    {
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, weight, roundingKey, encoding.IsNoisy ? noise : null);
        using UpdateWorkspace workspace = encoder.CreateWorkspace();
        ulong[] block = new ulong[UpdateLayout.BlockLength];
        for (int i = 0; i < _sums.Length; i++)
        {
            encoder.Encode(i, block, workspace);
            lock (_lock)
            {
                ulong[] sum = _sums[i];
                for (int j = 0; j < block.Length; j++) sum[j] += block[j];
            }
        }

        lock (_lock) _contributors++;
    }

    /// <summary>The sum of the updates and their noise; what was added is gone afterwards.</summary>
    public float[] Open() => Open(1).Values;

    /// <summary>Their mean by weight, as a coordinator opens it; what was added is gone afterwards.</summary>
    /// <param name="weight">What the sum is divided by; null: the weights that were added, as they were rounded.</param>
    /// <exception cref="UpdateWeightException">The weight is not positive.</exception>
    public (float[] Values, double Weight) Open(double? weight)
    {
        var decoder = new UpdateDecoder(encoding, _contributors);
        float[] opened = new float[encoding.Values];
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        if (weight is { } known) decoder.SetWeight(known);
        else decoder.OpenWeight(_sums[decoder.WeightBlock], workspace);
        for (int block = 0; block < _sums.Length; block++)
        {
            decoder.Decode(block, _sums[block], opened.AsSpan(block * encoding.Layout.ValuesPerBlock, decoder.ValuesOfBlock(block)), workspace);
            _sums[block].AsSpan().Clear();
        }

        _contributors = 0;
        return (opened, decoder.Weight);
    }
}
