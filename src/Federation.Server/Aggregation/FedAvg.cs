using System.Runtime.InteropServices;

namespace Federation.Server.Aggregation;

/// <summary>The next global model: model + Σ(weighted deltas) / Σ weights, block by block from files.</summary>
/// <remarks>
/// McMahan et al. 2017, Algorithm 1, with updates as weight·(local − global). The sum is exact and rounded once to double; quotient and new value are computed in double and rounded once to float32.
/// Memory: one block, whatever the model and the number of updates.
/// </remarks>
public static class FedAvg
{
    /// <summary>Coordinates worked on at once: 655 kB of accumulator.</summary>
    public const int BlockLength = 1 << 14;

    /// <summary>Writes the data region of the next model.</summary>
    /// <param name="model">At its data; float32, little-endian.</param>
    /// <param name="updates">Each at its data; the same layout as the model.</param>
    /// <param name="length">Bytes of the data region.</param>
    /// <param name="weight">Σ weights, positive.</param>
    /// <exception cref="AggregationException">A value of the next model does not fit float32.</exception>
    public static void WriteNext(Stream model, IReadOnlyList<Stream> updates, long length, double weight, Stream destination, CancellationToken cancellationToken)
    {
        if (weight is not > 0) throw new AggregationException($"The weights sum to {weight}; a positive sum is needed.");
        var sum = new ExactSum(BlockLength);
        byte[] block = new byte[BlockLength * sizeof(float)];
        float[] next = new float[BlockLength];
        for (long done = 0; done < length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Span<byte> bytes = block.AsSpan(0, (int)Math.Min(block.Length, length - done));
            Span<float> values = MemoryMarshal.Cast<byte, float>(bytes);
            sum.Clear();
            foreach (Stream update in updates)
            {
                update.ReadExactly(bytes);
                sum.Add(values);
            }

            model.ReadExactly(bytes);
            for (int i = 0; i < values.Length; i++)
            {
                next[i] = (float)(values[i] + (sum.ToDouble(i) / weight));
                if (!float.IsFinite(next[i])) throw new AggregationException($"Coordinate {(done / sizeof(float)) + i} of the next model is {next[i]}.");
            }

            destination.Write(MemoryMarshal.AsBytes(next.AsSpan(0, values.Length)));
            done += bytes.Length;
        }
    }
}

/// <summary>A round's updates cannot be summed into a model.</summary>
public sealed class AggregationException(string message) : Exception(message);
