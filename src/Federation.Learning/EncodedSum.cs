using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Learning;

/// <summary>What secure aggregation opens of the sites' updates, without the encryption between: each is clipped, rounded and noised by the encoder of real runs, the sum of integers is decoded by its decoder. For audits and measurements in one process.</summary>
internal sealed class EncodedSum(UpdateEncoding encoding)
{
    private readonly ulong[][] _sums = [.. Enumerable.Range(0, encoding.Blocks).Select(_ => new ulong[UpdateLayout.BlockLength])];
    private readonly ulong[] _block = new ulong[UpdateLayout.BlockLength];
    private int _contributors;

    /// <param name="update">As many values as the encoding says.</param>
    /// <param name="random">Of the rounding and, where the encoding asks for it, of this site's part of the noise.</param>
    public void Add(float[] update, SecureRandom random)
    {
        byte[] key = new byte[32];
        random.Fill(key);
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, key, encoding.IsNoisy ? random : null);
        using UpdateWorkspace workspace = encoder.CreateWorkspace();
        for (int i = 0; i < _sums.Length; i++)
        {
            encoder.Encode(i, _block, workspace);
            for (int j = 0; j < _block.Length; j++) _sums[i][j] += _block[j];
        }

        _contributors++;
    }

    /// <summary>The sum of the updates and their noise; what was added is gone afterwards.</summary>
    public float[] Open()
    {
        var decoder = new UpdateDecoder(encoding, _contributors);
        decoder.SetWeight(1); // the sum itself
        float[] opened = new float[encoding.Values];
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        for (int block = 0; block < _sums.Length; block++)
        {
            decoder.Decode(block, _sums[block], opened.AsSpan(block * encoding.Layout.ValuesPerBlock, decoder.ValuesOfBlock(block)), workspace);
            _sums[block].AsSpan().Clear();
        }

        _contributors = 0;
        return opened;
    }
}
