using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What one thread needs to encode or decode blocks: about 140 kB, allocated once. Not thread-safe; dispose wipes it.</summary>
public sealed class UpdateWorkspace : IDisposable
{
    internal UpdateWorkspace(object owner, UpdateEncoding encoding, ReadOnlySpan<byte> roundingKey)
    {
        Owner = owner;
        Rotation = encoding.IsRotated ? new BlockRotation(encoding.RotationSeed) : null;
        Rounding = roundingKey.IsEmpty ? null : new CounterMode(roundingKey);
    }

    /// <summary>The encoder or decoder that made it; it serves no other.</summary>
    internal object Owner { get; }

    internal BlockRotation? Rotation { get; }

    internal CounterMode? Rounding { get; }

    internal float[] Values { get; } = GC.AllocateArray<float>(UpdateLayout.BlockLength, pinned: true);

    internal uint[] Random { get; } = GC.AllocateArray<uint>(UpdateLayout.BlockLength, pinned: true);

    internal long[] Grid { get; } = GC.AllocateArray<long>(UpdateLayout.BlockLength, pinned: true);

    internal long[] Noise { get; } = GC.AllocateArray<long>(UpdateLayout.BlockLength, pinned: true);

    internal void CheckOwner(object owner)
    {
        if (!ReferenceEquals(owner, Owner)) throw new ArgumentException("This workspace was made by another encoder or decoder: ask this one for its own.");
    }

    public void Dispose()
    {
        Rotation?.Dispose();
        Rounding?.Dispose();
        Values.AsSpan().Clear();
        Random.AsSpan().Clear();
        Grid.AsSpan().Clear();
        Noise.AsSpan().Clear();
    }
}
