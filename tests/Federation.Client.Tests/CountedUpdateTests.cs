using System.Security.Cryptography;
using Federation.Client.SecureAggregation;
using Federation.Privacy.SecureAggregation;

namespace Federation.Client.Tests;

/// <summary>What a site takes its update for in a sum is what the sum holds of it: also where it was cut.</summary>
public sealed class CountedUpdateTests
{
    [Theory] // the one key ciphertext of a small model, and blocks of a larger one whose last is not full
    [InlineData(50)]
    [InlineData(20_000)]
    public void Of_EachSitesUpdate_AddsUpToTheOpenedSum(int values)
    {
        UpdateLayout layout = values < UpdateEncoding.MostDirectValues ? UpdateLayout.ChooseDirect(20, 3) : UpdateLayout.Choose(20, 3);
        var encoding = new UpdateEncoding(layout, values, 8 * Math.Sqrt(values + 1.0), weightScale: 8, rotationSeed: null, cut: 8, noiseVariance: 0);
        ulong[][] sums = [.. Enumerable.Range(0, encoding.Blocks).Select(_ => new ulong[UpdateLayout.BlockLength])];
        ulong[] block = new ulong[UpdateLayout.BlockLength];
        double[] counted = new double[values];
        for (int site = 1; site <= 3; site++)
        {
            float[] update = [.. Enumerable.Range(0, values).Select(i => site * (i % 7) * 0.731f * (i % 2 == 0 ? 1 : -1))]; // up to 13
            byte[] key = RandomNumberGenerator.GetBytes(32);
            float[] own = CountedUpdate.Of(encoding, update, 1, key);
            for (int i = 0; i < values; i++)
            {
                Assert.Equal(Math.Clamp(update[i], -8, 8), own[i], 1.001 * encoding.Grid);
                counted[i] += own[i];
            }

            using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, key);
            using UpdateWorkspace workspace = encoder.CreateWorkspace();
            for (int i = 0; i < sums.Length; i++)
            {
                encoder.Encode(i, block, workspace);
                for (int j = 0; j < block.Length; j++) sums[i][j] += block[j];
            }
        }

        var decoder = new UpdateDecoder(encoding, 3);
        decoder.SetWeight(1);
        using UpdateWorkspace opens = decoder.CreateWorkspace();
        for (int i = 0; i < sums.Length; i++)
        {
            float[] opened = new float[decoder.ValuesOfBlock(i)];
            decoder.Decode(i, sums[i], opened, opens);
            for (int j = 0; j < opened.Length; j++) Assert.Equal(counted[(i * layout.ValuesPerBlock) + j], opened[j], 1e-5);
        }
    }
}
