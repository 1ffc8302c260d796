using System.Numerics;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The plain twin of <see cref="UpdateEncoder"/> and <see cref="UpdateDecoder"/>: step after step as the paper has it, on whole vectors, integers without limits. Tests hold both equal.</summary>
/// <remarks>Kairouz, Liu, Steinke 2021, Algorithms 1 and 2, with a range check in place of the modulus.</remarks>
internal static class PlainUpdate
{
    private const int Length = UpdateLayout.BlockLength;

    /// <returns>All coefficients, block after block.</returns>
    public static BigInteger[] Encode(UpdateEncoding encoding, float[] update, double weight, byte[] roundingKey, SecureRandom? noise)
    {
        UpdateLayout layout = encoding.Layout;
        int slices = encoding.Blocks * layout.FieldsPerCoefficient;
        float[] vector = [.. update, encoding.WeightScale, .. new float[(slices * Length) - update.Length - 1]];

        // Clip, in steps of the grid.
        double sum = 0;
        foreach (float[] slice in vector.Chunk(Length)) sum += NormKernels.OfFloatsPlain(slice);
        double norm = Math.Sqrt(sum) * weight;
        double bound = encoding.Clip * (encoding.IsRotated ? 1 - Math.Pow(2, -20) : 1 - Math.Pow(2, -22));
        double scale = weight * (norm > bound ? bound / norm : 1) / encoding.Grid;
        if (encoding.IsRotated)
        {
            for (int i = 0; i < vector.Length; i++) vector[i] = (float)(vector[i] * scale);
            Rotate(encoding, vector);
            scale = 1;
        }

        // Round conditionally.
        long[] grid = new long[vector.Length];
        for (ulong attempt = 0; ; attempt++)
        {
            using CounterMode bits = new(roundingKey);
            uint[] random = new uint[Length];
            for (int slice = 0; slice < slices; slice++)
            {
                bits.Fill((ulong)slice, attempt << 32, System.Runtime.InteropServices.MemoryMarshal.AsBytes(random.AsSpan()));
                RoundingKernel.RoundPlain(vector.AsSpan(slice * Length, Length), scale, encoding.CutSteps, random, grid.AsSpan(slice * Length, Length));
            }

            BigInteger squares = grid.Aggregate(BigInteger.Zero, (total, value) => total + ((BigInteger)value * value));
            if (squares <= (BigInteger)encoding.LargestSquaredNorm) break;
            if (attempt + 1 == UpdateEncoder.MostAttempts) throw new UpdateRoundingException("No rounding meets the norm bound.");
        }

        // Noise, range, fields.
        if (noise != null)
        {
            DiscreteGaussianSampler sampler = new(encoding.NoiseDeviationSteps * encoding.NoiseDeviationSteps, noise);
            for (int start = 0; start < encoding.Dimension; start += Length)
            {
                long[] drawn = new long[Math.Min(Length, encoding.Dimension - start)];
                sampler.Fill(drawn);
                for (int i = 0; i < drawn.Length; i++) grid[start + i] += drawn[i];
            }
        }

        BigInteger[] coefficients = new BigInteger[encoding.Blocks * Length];
        for (int i = 0; i < grid.Length; i++)
        {
            long field = grid[i] + (layout.Levels / 2);
            if (field < 0 || field > layout.Levels) throw new UpdateOutOfRangeException($"Value {i} is out of range.");
            int slice = i / Length, block = slice / layout.FieldsPerCoefficient;
            coefficients[(block * Length) + (i % Length)] += (BigInteger)field << (slice % layout.FieldsPerCoefficient * layout.FieldBits);
        }

        return coefficients;
    }

    /// <returns>The mean, and the opened weight.</returns>
    public static (float[] Mean, double Weight) Decode(UpdateEncoding encoding, int contributors, BigInteger[] sums)
    {
        int fields = encoding.Layout.FieldsPerCoefficient;
        double[] grid = new double[sums.Length * fields];
        for (int i = 0; i < grid.Length; i++)
        {
            int slice = i / Length, field = slice % fields;
            BigInteger sum = sums[(slice / fields * Length) + (i % Length)] >> (field * encoding.Layout.FieldBits);
            if (field < fields - 1) sum &= (BigInteger.One << encoding.Layout.FieldBits) - 1;
            grid[i] = (double)(sum - ((BigInteger)contributors * encoding.Layout.Levels / 2));
        }

        double weight = (double)Turned(encoding, grid, encoding.Grid)[encoding.Values] / encoding.WeightScale;
        return (Turned(encoding, grid, encoding.Grid / weight)[..encoding.Values], weight);
    }

    private static float[] Turned(UpdateEncoding encoding, double[] grid, double factor)
    {
        float[] values = [.. grid.Select(value => (float)(value * factor))];
        if (!encoding.IsRotated) return values;
        using BlockRotation rotation = new(encoding.RotationSeed);
        for (int slice = 0; slice < values.Length / Length; slice++) rotation.Inverse(slice, values.AsSpan(slice * Length, Length));
        return values;
    }

    private static void Rotate(UpdateEncoding encoding, float[] vector)
    {
        using BlockRotation rotation = new(encoding.RotationSeed);
        for (int slice = 0; slice < vector.Length / Length; slice++) rotation.Forward(slice, vector.AsSpan(slice * Length, Length));
    }
}
