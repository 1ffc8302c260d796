using System.Runtime.CompilerServices;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// The mean update from the opened sums of coefficients, block by block, each on any thread. First the last block for the weight, <see cref="OpenWeight"/>; then <see cref="Decode"/> every block.
/// </summary>
public sealed class UpdateDecoder
{
    private readonly long _offset; // n·L/2

    /// <param name="encoding">The round's.</param>
    /// <param name="contributors">n, whose encodings were summed; 1 to the cohort.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are none, or more than the layout was made for.</exception>
    public UpdateDecoder(UpdateEncoding encoding, int contributors)
    {
        if (contributors < 1 || contributors > encoding.Layout.Cohort) throw new ArgumentOutOfRangeException(nameof(contributors), contributors, $"A sum must have 1 to {encoding.Layout.Cohort} contributors.");
        (Encoding, Contributors, _offset) = (encoding, contributors, contributors * (encoding.Layout.Levels / 2));
    }

    public UpdateEncoding Encoding { get; }

    public int Contributors { get; }

    /// <summary>Of the sites' weights, as clipped and rounded, with the noise of its value. 0 until opened.</summary>
    public double Weight { get; private set; }

    /// <summary>The block that holds the weight: the last.</summary>
    public int WeightBlock => Encoding.Values / Encoding.Layout.ValuesPerBlock;

    /// <summary>For one thread.</summary>
    public UpdateWorkspace CreateWorkspace() => new(this, Encoding, []);

    /// <summary>How many of the update's values are in a block; they start at block·<see cref="UpdateLayout.ValuesPerBlock"/>.</summary>
    public int ValuesOfBlock(int block) => (int)Math.Clamp(Encoding.Values - ((long)block * Encoding.Layout.ValuesPerBlock), 0, Encoding.Layout.ValuesPerBlock);

    /// <summary>Reads the sum of the weights.</summary>
    /// <param name="sums">Of <see cref="WeightBlock"/>'s 2048 coefficients.</param>
    /// <exception cref="UpdateWeightException">The weight is not positive.</exception>
    /// <exception cref="UpdateSumException">A sum cannot be that of so many contributors.</exception>
    public void OpenWeight(ReadOnlySpan<ulong> sums, UpdateWorkspace workspace)
    {
        Check(WeightBlock, sums, workspace);
        int slice = Encoding.Values / UpdateLayout.BlockLength;
        Open(slice, sums, Encoding.Grid, workspace.Values, workspace);
        double weight = (double)workspace.Values[Encoding.Values % UpdateLayout.BlockLength] / Encoding.WeightScale;
        if (weight is not > 0)
        {
            throw new UpdateWeightException($"The opened weight of {Contributors} contributors is {weight:g6}; it must be positive. The round fails; a larger scale of the weight than {Encoding.WeightScale:g4} sets it apart from the noise.");
        }

        Weight = weight;
    }

    /// <summary>In place of <see cref="OpenWeight"/> where the sum of the weights is public: an opened one would have noise in it.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The weight is not positive and finite.</exception>
    public void SetWeight(double weight)
    {
        if (weight is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(weight), weight, "A weight must be in (0, ∞).");
        Weight = weight;
    }

    /// <summary>A block of the mean: sum of the weighted updates over sum of the weights.</summary>
    /// <param name="block">0 to <see cref="UpdateEncoding.Blocks"/> − 1.</param>
    /// <param name="sums">Of the block's 2048 coefficients.</param>
    /// <param name="values">As many as <see cref="ValuesOfBlock"/> says; overwritten.</param>
    /// <param name="workspace">This decoder's, used by no other thread meanwhile.</param>
    /// <exception cref="InvalidOperationException">The weight is not open yet.</exception>
    /// <exception cref="UpdateSumException">A sum cannot be that of so many contributors.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Decode(int block, ReadOnlySpan<ulong> sums, Span<float> values, UpdateWorkspace workspace)
    {
        Check(block, sums, workspace);
        if (Weight == 0) throw new InvalidOperationException($"The weight comes first: call {nameof(OpenWeight)} with block {WeightBlock}.");
        if (values.Length != ValuesOfBlock(block)) throw new ArgumentException($"Block {block} has {ValuesOfBlock(block)} values, not {values.Length}.", nameof(values));
        double factor = Encoding.Grid / Weight;
        for (int field = 0; field < Encoding.Layout.FieldsPerCoefficient; field++)
        {
            int slice = (block * Encoding.Layout.FieldsPerCoefficient) + field, count = Math.Min(values.Length, UpdateLayout.BlockLength);
            bool whole = count == UpdateLayout.BlockLength;
            Span<float> opened = whole ? values[..count] : workspace.Values;
            Open(slice, sums, factor, opened, workspace);
            if (!whole) opened[..count].CopyTo(values);
            values = values[count..];
        }
    }

    /// <summary>A block's integer sums, in steps, before any inverse rotation: exactly what the sites rounded and the noise they added.</summary>
    /// <param name="grid"><see cref="UpdateLayout.ValuesPerBlock"/> integers, field after field; overwritten.</param>
    /// <exception cref="UpdateSumException">A sum cannot be that of so many contributors.</exception>
    public void DecodeGrid(int block, ReadOnlySpan<ulong> sums, Span<long> grid, UpdateWorkspace workspace)
    {
        Check(block, sums, workspace);
        if (grid.Length != Encoding.Layout.ValuesPerBlock) throw new ArgumentException($"A block has {Encoding.Layout.ValuesPerBlock} values, not {grid.Length}.", nameof(grid));
        for (int field = 0; field < Encoding.Layout.FieldsPerCoefficient; field++)
        {
            bool fits = FieldKernels.UnpackIntegers(sums, field * Encoding.Layout.FieldBits, Mask(field), _offset, grid.Slice(field * UpdateLayout.BlockLength, UpdateLayout.BlockLength));
            if (!fits) throw Impossible(block, field, sums);
        }
    }

    /// <summary>2048 values of a slice, turned back.</summary>
    private void Open(int slice, ReadOnlySpan<ulong> sums, double factor, Span<float> values, UpdateWorkspace workspace)
    {
        int field = slice % Encoding.Layout.FieldsPerCoefficient;
        bool fits = FieldKernels.Unpack(sums, field * Encoding.Layout.FieldBits, Mask(field), _offset, factor, values);
        if (!fits) throw Impossible(slice / Encoding.Layout.FieldsPerCoefficient, field, sums);
        workspace.Rotation?.Inverse(slice, values);
    }

    // The uppermost field is not masked: whatever is above it is seen.
    private ulong Mask(int field) => field == Encoding.Layout.FieldsPerCoefficient - 1 ? ulong.MaxValue : (1UL << Encoding.Layout.FieldBits) - 1;

    private void Check(int block, ReadOnlySpan<ulong> sums, UpdateWorkspace workspace)
    {
        workspace.CheckOwner(this);
        if (block < 0 || block >= Encoding.Blocks) throw new ArgumentOutOfRangeException(nameof(block), block, $"The update has blocks 0 to {Encoding.Blocks - 1}.");
        if (sums.Length != UpdateLayout.BlockLength) throw new ArgumentException($"A block has {UpdateLayout.BlockLength} coefficients, not {sums.Length}.", nameof(sums));
    }

    private UpdateSumException Impossible(int block, int field, ReadOnlySpan<ulong> sums)
    {
        int i = 0;
        while (((sums[i] >> (field * Encoding.Layout.FieldBits)) & Mask(field)) <= (ulong)(2 * _offset)) i++;
        return new($"Field {field} of coefficient {i} in block {block} is {(sums[i] >> (field * Encoding.Layout.FieldBits)) & Mask(field)}; {Contributors} contributors give at most {2 * _offset}. A contribution, its key or the sum is wrong: the round fails.");
    }
}
