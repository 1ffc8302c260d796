using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// A site's update as coefficients, block by block. <see cref="Prepare"/> reads the update for its norm and for the norm of its rounding, and keeps neither; <see cref="Encode"/> computes any block, on any thread.
/// Value s·2048 + i of the vector (update, w₀), s its slice, is in coefficient i, field s % f of block s / f. Past the vector's end the fields stand for zero, without noise.
/// </summary>
/// <remarks>
/// What the properties say of the update is exact, without noise: for the site's own eyes.
/// Rounding bits come again and again from AES-CTR under the caller's key: stream s, from block attempt·2³² on, 32 bits a value. The update is read in place, is not changed, and must not change until the last block is encoded.
/// </remarks>
public sealed class UpdateEncoder : IDisposable
{
    /// <summary>Roundings tried until one meets the norm bound; each does with probability at least 1 − e^(−1/2) = 0.39.</summary>
    public const int MostAttempts = 1000;

    // An unrotated norm may be off by 2⁻²⁴ of itself; what is clipped off beyond C costs nothing and keeps the odds of a rounding.
    private const double Margin = 1 - (1.0 / (1 << 22));

    private readonly ReadOnlyMemory<float> _update;
    private readonly byte[] _key;
    private readonly DiscreteGaussianSampler? _noise;
    private readonly OnceEach _free; // a block is taken before its noise is drawn
    private readonly UInt128[] _squares; // of each slice, whose sum meets the norm bound
    private double _scale; // from a value of the update to steps
    private ulong _attempt;
    private volatile bool _withheld;
    private bool _disposed;

    private UpdateEncoder(UpdateEncoding encoding, ReadOnlyMemory<float> update, byte[] key, DiscreteGaussianSampler? noise)
    {
        (Encoding, _update, _key, _noise) = (encoding, update, key, noise);
        _free = new(encoding.Blocks);
        _squares = new UInt128[Slices];
    }

    public UpdateEncoding Encoding { get; }

    /// <summary>‖weight·(update, w₀)‖₂ before it was clipped.</summary>
    public double Norm { get; private set; }

    /// <summary>Whether the norm was above C.</summary>
    public bool IsClipped { get; private set; }

    /// <summary>Whether a coordinate of the slice that holds the weight was cut, which happens with rotation: then the site's weight is not exactly what it claimed.</summary>
    public bool IsWeightCut { get; private set; }

    /// <summary>Coordinates beyond ±x_cut, of <see cref="UpdateEncoding.Dimension"/>. They bias the result; more than a few say that the cut is too tight.</summary>
    public long CutCoordinates { get; private set; }

    /// <summary>Roundings drawn until one met the norm bound.</summary>
    public int Attempts => (int)_attempt + 1;

    /// <summary>Of the rounded vector, in steps, without noise.</summary>
    public UInt128 SquaredNorm { get; private set; }

    /// <param name="encoding">The round's.</param>
    /// <param name="update">Its values, finite; read until the last block is encoded, never changed.</param>
    /// <param name="weight">Positive, at most the encoding's largest; the update is multiplied by it.</param>
    /// <param name="roundingKey">32 bytes, for this update alone: one key twice would round two updates alike.</param>
    /// <param name="noise">Where the noise comes from; required if and only if the encoding asks for noise. Not disposed.</param>
    /// <param name="threads">At most so many work here.</param>
    /// <exception cref="ArgumentException">Length, weight, key or noise are not as said.</exception>
    /// <exception cref="NonFiniteValueException">The update holds NaN or ∞.</exception>
    /// <exception cref="UpdateRoundingException">No rounding met the norm bound.</exception>
    public static UpdateEncoder Prepare(UpdateEncoding encoding, ReadOnlyMemory<float> update, double weight, ReadOnlySpan<byte> roundingKey, SecureRandom? noise = null, int threads = 1)
    {
        if (update.Length != encoding.Values) throw new ArgumentException($"The update has {update.Length} values, the encoding {encoding.Values}.", nameof(update));
        if (!(weight > 0 && weight <= encoding.LargestWeight)) throw new ArgumentOutOfRangeException(nameof(weight), weight, $"A weight must be in (0, {encoding.LargestWeight}], the cap of this round.");
        if (roundingKey.Length != 32) throw new ArgumentException($"A rounding key has 32 bytes, not {roundingKey.Length}.", nameof(roundingKey));
        if (encoding.IsNoisy != (noise != null)) throw new ArgumentException(encoding.IsNoisy ? "The encoding adds noise: give a source for it." : "The encoding adds no noise, but a source for it was given.", nameof(noise));
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        byte[] key = GC.AllocateUninitializedArray<byte>(32, pinned: true);
        roundingKey.CopyTo(key);
        UpdateEncoder encoder = new(encoding, update, key, noise == null ? null : new(encoding.NoiseDeviationSteps * encoding.NoiseDeviationSteps, noise));
        try
        {
            encoder.Clip(weight, threads);
            encoder.ChooseRounding(threads);
            return encoder;
        }
        catch
        {
            encoder.Dispose();
            throw;
        }
    }

    /// <summary>For one thread; dispose it before the encoder.</summary>
    public UpdateWorkspace CreateWorkspace()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new(this, Encoding, _key);
    }

    /// <summary>One block's coefficients. With noise each block is given once: fresh noise on the same values would give them away.</summary>
    /// <param name="block">0 to <see cref="UpdateEncoding.Blocks"/> − 1.</param>
    /// <param name="coefficients">2048; overwritten.</param>
    /// <param name="workspace">This encoder's, used by no other thread meanwhile.</param>
    /// <exception cref="UpdateOutOfRangeException">A value with its noise is out of range. This and every other block is withheld from now on.</exception>
    /// <exception cref="InvalidOperationException">The block was given before, or the upload is withheld, or the update is no longer what was prepared.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Encode(int block, Span<ulong> coefficients, UpdateWorkspace workspace)
    {
        workspace.CheckOwner(this);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (block < 0 || block >= Encoding.Blocks) throw new ArgumentOutOfRangeException(nameof(block), block, $"The update has blocks 0 to {Encoding.Blocks - 1}.");
        if (coefficients.Length != UpdateLayout.BlockLength) throw new ArgumentException($"A block has {UpdateLayout.BlockLength} coefficients, not {coefficients.Length}.", nameof(coefficients));
        if (_withheld) throw new InvalidOperationException("The upload is withheld: a value with its noise was out of range.");
        Claim(block);
        coefficients.Clear();
        UpdateLayout layout = Encoding.Layout;
        for (int field = 0; field < layout.FieldsPerCoefficient; field++)
        {
            int slice = (block * layout.FieldsPerCoefficient) + field;
            Round(slice, _attempt, workspace);
            if (NormKernels.OfIntegers(workspace.Grid, (long)Encoding.CutSteps + 1) != _squares[slice])
            {
                _withheld = true;
                coefficients.Clear();
                throw new InvalidOperationException($"The update changed after it was prepared, in block {block}: its norm was tested on other values. The upload is withheld.");
            }

            AddNoise(slice, workspace);
            if (FieldKernels.Pack(workspace.Grid, layout.Levels / 2, field * layout.FieldBits, coefficients)) continue;
            _withheld = true;
            coefficients.Clear();
            throw new UpdateOutOfRangeException($"A value of block {block} with its noise lies beyond ±{layout.Levels / 2} grid steps. The upload is withheld; the site may take part in the next round.");
        }
    }

    public void Dispose()
    {
        _disposed = true;
        CryptographicOperations.ZeroMemory(_key);
    }

    private int Slices => Encoding.Blocks * Encoding.Layout.FieldsPerCoefficient;

    private void Clip(double weight, int threads)
    {
        // A sum for each slice, added up in their order: the same whatever the threads.
        double[] sums = new double[Slices];
        ForEachSlice(threads, (slice, workspace) => sums[slice] = NormKernels.OfFloats(Slice(slice, workspace.Values)));
        double sum = 0;
        foreach (double part in sums) sum += part;
        if (!double.IsFinite(sum)) throw NonFinite();
        Norm = Math.Sqrt(sum) * weight;
        if (!double.IsFinite(Norm)) throw new ArgumentOutOfRangeException(nameof(weight), weight, "The weighted update's norm must be finite: the weight is too large for this update.");
        double bound = Encoding.Clip * (Encoding.IsRotated ? 1 - BlockRotation.Growth : Margin);
        IsClipped = Norm > Encoding.Clip;
        _scale = weight * (Norm > bound ? bound / Norm : 1) / Encoding.Grid;
    }

    private void ChooseRounding(int threads)
    {
        int[] cuts = new int[Slices];
        for (_attempt = 0; _attempt < MostAttempts; _attempt++)
        {
            ForEachSlice(threads, (slice, workspace) =>
            {
                cuts[slice] = Round(slice, _attempt, workspace);
                _squares[slice] = NormKernels.OfIntegers(workspace.Grid, (long)Encoding.CutSteps + 1);
            });
            SquaredNorm = _squares.Aggregate(UInt128.Zero, (sum, square) => sum + square);
            CutCoordinates = cuts.Sum(count => (long)count);
            IsWeightCut = cuts[Encoding.Values / UpdateLayout.BlockLength] > 0;
            if (SquaredNorm <= Encoding.LargestSquaredNorm) return;
        }

        throw new UpdateRoundingException($"None of {MostAttempts} roundings has a squared norm of at most {Encoding.LargestSquaredNorm} steps. Nothing is sent; a new rounding key may help, a coarser grid does.");
    }

    /// <summary>The slice's integers into the workspace.</summary>
    /// <returns>How many values were cut.</returns>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Round(int slice, ulong attempt, UpdateWorkspace workspace)
    {
        ReadOnlySpan<float> values = Slice(slice, workspace.Values);
        double scale = _scale;
        if (workspace.Rotation != null)
        {
            RoundingKernel.Scale(values, scale, workspace.Values);
            workspace.Rotation.Forward(slice, workspace.Values);
            values = workspace.Values;
            scale = 1;
        }

        workspace.Rounding!.Fill((ulong)slice, attempt << 32, MemoryMarshal.AsBytes(workspace.Random.AsSpan()));
        return RoundingKernel.Round(values, scale, Encoding.CutSteps, workspace.Random, workspace.Grid);
    }

    private void AddNoise(int slice, UpdateWorkspace workspace)
    {
        if (_noise == null) return;
        long rest = Encoding.Dimension - ((long)slice * UpdateLayout.BlockLength);
        Span<long> noise = workspace.Noise.AsSpan(0, (int)Math.Clamp(rest, 0, UpdateLayout.BlockLength));
        _noise.Fill(noise);
        for (int i = 0; i < noise.Length; i++) workspace.Grid[i] += noise[i];
        noise.Clear();
    }

    /// <summary>2048 values of (update, w₀, 0, 0, …): the update's own memory, or a copy where it ends.</summary>
    private ReadOnlySpan<float> Slice(int slice, Span<float> copy)
    {
        long start = (long)slice * UpdateLayout.BlockLength;
        int rest = (int)Math.Clamp(_update.Length - start, 0, UpdateLayout.BlockLength);
        if (rest == UpdateLayout.BlockLength) return _update.Span.Slice((int)start, rest);
        if (rest > 0) _update.Span[(int)start..].CopyTo(copy);
        copy[rest..].Clear();
        long weight = _update.Length - start;
        if (weight is >= 0 and < UpdateLayout.BlockLength) copy[(int)weight] = Encoding.WeightScale;
        return copy;
    }

    private void Claim(int block)
    {
        if (_noise != null && !_free.TryTake(block)) throw new InvalidOperationException($"Block {block} was encoded before: store it, and send the stored bytes again.");
    }

    private void ForEachSlice(int threads, Action<int, UpdateWorkspace> action)
    {
        if (threads > 1)
        {
            Parallel.For(0, Slices, new ParallelOptions { MaxDegreeOfParallelism = threads }, CreateWorkspace, (slice, _, workspace) => { action(slice, workspace); return workspace; }, workspace => workspace.Dispose());
            return;
        }

        using UpdateWorkspace only = CreateWorkspace();
        for (int slice = 0; slice < Slices; slice++) action(slice, only);
    }

    private NonFiniteValueException NonFinite()
    {
        ReadOnlySpan<float> values = _update.Span;
        int i = 0;
        while (i < values.Length && float.IsFinite(values[i])) i++;
        return new(i < values.Length ? $"Value {i} of {values.Length} is {values[i]}: train with a smaller learning rate or clip gradients." : "The update changed while it was read.");
    }
}
