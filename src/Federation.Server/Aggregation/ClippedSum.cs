using System.Numerics;
using System.Runtime.InteropServices;
using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;

namespace Federation.Server.Aggregation;

/// <summary>
/// Σ of the sites' updates, each clipped to L2 norm C as a whole and rounded to a grid by itself, in steps of it: whole numbers, so the sum is exact and its order does not matter. Reads each update twice, block by block.
/// </summary>
/// <remarks>McMahan, Ramage, Talwar, Zhang 2018, Algorithm 1, every site with the weight 1. Not private before noise is added.</remarks>
internal sealed class ClippedSum
{
    private readonly IReadOnlyList<Stream> _updates;
    private readonly double[] _norms;
    private readonly double _clip, _step;
    private readonly byte[] _block = new byte[NextModel.BlockLength * sizeof(float)];

    /// <summary>Reads the updates' norms.</summary>
    /// <param name="updates">Each at its data, and seekable.</param>
    /// <param name="length">Bytes of the data region.</param>
    /// <param name="clip">C, positive.</param>
    /// <param name="step">Of the grid, in the updates' own unit, positive.</param>
    /// <exception cref="NonFiniteValueException">A value is NaN or ∞.</exception>
    public ClippedSum(IReadOnlyList<Stream> updates, long length, double clip, double step)
    {
        (_updates, _clip, _step) = (updates, clip, step);
        _norms = [.. updates.Select(update => NormOf(update, length))];
    }

    /// <summary>The sum's next values.</summary>
    /// <param name="sums">At most a block; overwritten.</param>
    public void Read(Span<long> sums)
    {
        sums.Clear();
        Span<byte> bytes = _block.AsSpan(0, sums.Length * sizeof(float));
        Span<float> values = MemoryMarshal.Cast<byte, float>(bytes);
        for (int site = 0; site < _updates.Count; site++)
        {
            _updates[site].ReadExactly(bytes);
            Clipping.Part(values, _norms[site], _clip);
            for (int i = 0; i < values.Length; i++) sums[i] = checked(sums[i] + Steps(values[i]));
        }

        bytes.Clear();
    }

    /// <summary>How many updates were within C, each as <see cref="SiteClip.Vote"/>, in steps.</summary>
    public long Votes() => _norms.Sum(norm => Steps(SiteClip.Vote(_clip, norm)));

    /// <summary>The plain twin: whole vectors, vote included, and integers of any size.</summary>
    internal static BigInteger[] SumPlain(PrivacySpec privacy, IReadOnlyList<float[]> updates, double whole, double step)
    {
        var sums = new BigInteger[updates[0].Length + SiteClip.Votes(privacy)];
        foreach (float[] vector in updates.Select(update => SiteClip.Vector(privacy, update, whole)))
        {
            for (int i = 0; i < sums.Length; i++) sums[i] += new BigInteger(Math.Round(vector[i] / step));
        }

        return sums;
    }

    private long Steps(float value) => checked((long)Math.Round(value / _step));

    private double NormOf(Stream update, long length)
    {
        long start = update.Position;
        double squares = 0;
        for (long left = length; left > 0;)
        {
            Span<byte> bytes = _block.AsSpan(0, (int)Math.Min(_block.Length, left));
            update.ReadExactly(bytes);
            squares += Clipping.SquaredNorm(MemoryMarshal.Cast<byte, float>(bytes));
            left -= bytes.Length;
        }

        update.Position = start;
        return Math.Sqrt(squares);
    }
}
