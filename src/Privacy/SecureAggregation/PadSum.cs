using System.Runtime.CompilerServices;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The residual of an opened sum is larger than the noise of its contributions: a wrong secret, a wrong share, a wrong opening or wrong packing. Nothing of the round can be used.</summary>
public sealed class PadResidualException(string message) : Exception(message);

/// <summary>Sums of messages from sums of their encryptions and the sum of their secrets.</summary>
public sealed class PadSum : IDisposable
{
    // The mean of 2048 squares strays by 3 %: eight of its deviations.
    private const double LargestExcess = 1.25;

    private readonly byte[] _seed;
    private readonly int _shift, _contributions;
    private readonly PadKernel _kernel;
    private readonly SecretWords _prepared = new(PadRing.Degree);

    /// <param name="seed">Of the opening, 32 bytes.</param>
    /// <param name="secretSum">Σs, 2048 values, from <see cref="PadSecret.SumFrom"/>.</param>
    /// <param name="plaintextBits">p.</param>
    /// <param name="contributions">In the sums, 1 to <see cref="PadRing.MostContributions"/>.</param>
    public PadSum(ReadOnlySpan<byte> seed, ReadOnlySpan<long> secretSum, int plaintextBits, int contributions)
        : this(seed, secretSum, plaintextBits, contributions, PadKernel.Best)
    {
    }

    internal PadSum(ReadOnlySpan<byte> seed, ReadOnlySpan<long> secretSum, int plaintextBits, int contributions, PadKernel kernel)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, Expansion.SeedBytes, nameof(seed));
        ArgumentOutOfRangeException.ThrowIfNotEqual(secretSum.Length, PadRing.Degree, nameof(secretSum));
        if (contributions is < 1 or > PadRing.MostContributions) throw new ArgumentOutOfRangeException(nameof(contributions), contributions, $"A sum has 1 to {PadRing.MostContributions} contributions.");
        if (plaintextBits < 1 || plaintextBits > PadRing.PlaintextBits(contributions))
        {
            throw new ArgumentOutOfRangeException(nameof(plaintextBits), plaintextBits, $"The noise of {contributions} contributions leaves 1 to {PadRing.PlaintextBits(contributions)} bits a coefficient.");
        }

        (_seed, _shift, _contributions, _kernel) = (seed.ToArray(), PadRing.Bits - plaintextBits, contributions, kernel);
        using SecretWords residues = new(PadRing.Degree);
        for (int i = 0; i < PadRing.Degree; i++)
        {
            if (secretSum[i] is >= (long)PadRing.Modulus / 2 or <= -(long)PadRing.Modulus / 2) throw new ArgumentOutOfRangeException(nameof(secretSum), secretSum[i], "A sum of pad secrets is small.");
            residues.Span[i] = PadRing.Transform.Modulus.FromSigned(secretSum[i]);
        }

        kernel.Prepare(residues.Span, _prepared.Span);
    }

    /// <summary>sums ← sums + a contribution's block, modulo 2⁶⁴; begin with zeros.</summary>
    /// <param name="packed"><see cref="PadRing.BlockBytes"/> bytes.</param>
    /// <param name="sums">2048 words.</param>
    /// <returns>Whether the block is one: every coefficient below q. If not, the sums are worthless: ask <see cref="IsBlock"/> before.</returns>
    public static bool Add(ReadOnlySpan<byte> packed, Span<ulong> sums) => PadPacking.Add(packed, sums, PadKernel.Best.Width);

    /// <summary>Whether these bytes are a block: every coefficient below q. An upload is checked before any of it is added.</summary>
    /// <param name="packed"><see cref="PadRing.BlockBytes"/> bytes.</param>
    public static bool IsBlock(ReadOnlySpan<byte> packed)
    {
        Span<ulong> nothing = stackalloc ulong[PadRing.Degree];
        return PadPacking.Add(packed, nothing, PadKernel.Best.Width);
    }

    /// <summary>What one thread needs.</summary>
    public Worker CreateWorker() => new(this);

    public void Dispose() => _prepared.Dispose();

    /// <summary>Not thread-safe.</summary>
    public sealed class Worker : IDisposable
    {
        private readonly PadSum _owner;
        private readonly Expansion _expansion;
        private readonly ulong[] _words = new ulong[PadRing.Degree];
        private readonly SecretWords _cells = new(PadRing.Degree);

        internal Worker(PadSum owner) => (_owner, _expansion) = (owner, new(owner._seed));

        /// <param name="block">j.</param>
        /// <param name="sums">2048 words from <see cref="PadSum.Add"/>.</param>
        /// <param name="messages">Σm, 2048 values, overwritten.</param>
        /// <exception cref="PadResidualException">The residual's mean square is above 1.25 times that of the contributions' noise.</exception>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Decrypt(int block, ReadOnlySpan<ulong> sums, Span<ulong> messages)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(block);
            _expansion.Fill((ulong)block, PadRing.Modulus, _words);
            _owner._kernel.Multiply(_words, _owner._prepared.Span, _cells.Span);
            double mean = _owner._kernel.Decrypt(_cells.Span, sums, _owner._shift, messages) / PadRing.Degree;
            double expected = _owner._contributions * PadRing.Sigma * PadRing.Sigma;
            if (mean > LargestExcess * expected)
            {
                messages.Clear();
                throw new PadResidualException($"Block {block}: the residual's mean square is {mean:G4}, the noise of {_owner._contributions} contributions has {expected:G4}. A secret, a share, the opening or the packing is wrong; nothing of this round can be used.");
            }
        }

        public void Dispose()
        {
            _expansion.Dispose();
            _cells.Dispose();
        }
    }
}
