using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Learning.Auditing;

/// <summary>What a coalition of the run's largest size sees of one site under shared noise: the opened sum of as few contributors as the run allows, less the coalition's own parts. The others' updates are zero, their noise is not; encoding and decoding are those of a run, without the encryption between.</summary>
internal static class CoalitionView
{
    /// <param name="update">Of the site that is audited.</param>
    /// <returns>The sum, in the update's layout.</returns>
    public static ModelState Opened(RunSpec run, ModelState update, SecureRandom random)
    {
        int contributors = run.Cohort.MinContributors - SecureEncoding.MaxColluding(run), values = update.Tensors.Sum(tensor => tensor.Values.Length);
        UpdateEncoding encoding = SecureEncoding.Of(run, values, run.Cohort.MinContributors);
        ulong[][] sums = [.. Enumerable.Range(0, encoding.Blocks).Select(_ => new ulong[UpdateLayout.BlockLength])];
        for (int site = 0; site < contributors; site++) Add(encoding, site == 0 ? [.. update.Tensors.SelectMany(tensor => tensor.Values)] : new float[values], random, sums);
        var decoder = new UpdateDecoder(encoding, contributors);
        decoder.SetWeight(1); // the sum itself
        float[] opened = new float[values];
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        for (int block = 0; block < sums.Length; block++) decoder.Decode(block, sums[block], opened.AsSpan(block * encoding.Layout.ValuesPerBlock, decoder.ValuesOfBlock(block)), workspace);
        int start = 0;
        return new(update.Tensors.Select(tensor => tensor with { Values = opened[start..(start += tensor.Values.Length)] }));
    }

    private static void Add(UpdateEncoding encoding, float[] update, SecureRandom random, ulong[][] sums)
    {
        byte[] key = new byte[32];
        random.Fill(key);
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, key, encoding.IsNoisy ? random : null);
        using UpdateWorkspace workspace = encoder.CreateWorkspace();
        ulong[] block = new ulong[UpdateLayout.BlockLength];
        for (int i = 0; i < sums.Length; i++)
        {
            encoder.Encode(i, block, workspace);
            for (int j = 0; j < block.Length; j++) sums[i][j] += block[j];
        }
    }
}
