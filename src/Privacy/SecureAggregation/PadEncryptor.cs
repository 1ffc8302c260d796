using System.Runtime.CompilerServices;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>One message in the pad ring, block by block in any order, each block once. Dispose wipes what was derived from the secret.</summary>
public sealed class PadEncryptor : IDisposable
{
    /// <summary>Of one message: 2³⁰ blocks are 12 TB.</summary>
    public const int MostBlocks = 1 << 30;

    private readonly byte[] _seed;
    private readonly int _shift, _blocks;
    private readonly PadKernel _kernel;
    private readonly SecretWords _prepared = new(PadRing.Degree);
    private readonly OnceEach _free;

    /// <param name="seed">32 bytes that belong to this opening alone.</param>
    /// <param name="secret">Used up; not disposed.</param>
    /// <param name="plaintextBits">p, from <see cref="PadRing.PlaintextBits"/>.</param>
    /// <param name="blocks">Of the message, 0 to <see cref="MostBlocks"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">Seed, bits or blocks are out of range.</exception>
    /// <exception cref="InvalidOperationException">The secret has encrypted another message.</exception>
    public PadEncryptor(ReadOnlySpan<byte> seed, PadSecret secret, int plaintextBits, int blocks)
        : this(seed, secret, plaintextBits, blocks, PadKernel.Best)
    {
    }

    internal PadEncryptor(ReadOnlySpan<byte> seed, PadSecret secret, int plaintextBits, int blocks, PadKernel kernel)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, Expansion.SeedBytes, nameof(seed));
        if (plaintextBits is < 1 or >= PadRing.Bits - 1) throw new ArgumentOutOfRangeException(nameof(plaintextBits), plaintextBits, "A message has 1 to 44 bits a coefficient.");
        if (blocks is < 0 or > MostBlocks) throw new ArgumentOutOfRangeException(nameof(blocks), blocks, $"A message has 0 to {MostBlocks} blocks.");
        secret.Take();
        (_seed, _shift, _blocks, _kernel) = (seed.ToArray(), PadRing.Bits - plaintextBits, blocks, kernel);
        _free = new(blocks);
        using SecretWords residues = new(PadRing.Degree);
        for (int i = 0; i < PadRing.Degree; i++) residues.Span[i] = PadRing.Transform.Modulus.FromSigned(secret.Values[i]);
        kernel.Prepare(residues.Span, _prepared.Span);
    }

    /// <summary>Which vectors the kernel uses: 512, 256 or 0 bits.</summary>
    public static int VectorBits => (int)PadKernel.Best.Width;

    /// <summary>What one thread needs. Its errors come from a generator of its own.</summary>
    public Worker CreateWorker() => new(this);

    public void Dispose() => _prepared.Dispose();

    private void Begin(int block)
    {
        if (block < 0 || block >= _blocks) throw new ArgumentOutOfRangeException(nameof(block), block, $"The message has blocks 0 to {_blocks - 1}.");
        if (!_free.TryTake(block)) throw new InvalidOperationException($"Block {block} was encrypted before; a second time would show both messages' difference.");
    }

    /// <summary>Not thread-safe. Dispose wipes it.</summary>
    public sealed class Worker : IDisposable
    {
        private readonly PadEncryptor _owner;
        private readonly Expansion _expansion;
        private readonly SecureRandom _random = new();
        private readonly DiscreteGaussianSampler _errors;
        private readonly SecretWords _cells = new(PadRing.Degree), _error = new(PadRing.Degree);
        private readonly ulong[] _words = new ulong[PadRing.Degree];

        internal Worker(PadEncryptor owner)
        {
            (_owner, _expansion, _errors) = (owner, new(owner._seed), new(PadRing.Sigma * PadRing.Sigma, _random));
            _errors.Tables();
        }

        /// <param name="block">j, counted from 0.</param>
        /// <param name="messages">2048 values of at most <see cref="PadRing.LargestSum"/>.</param>
        /// <param name="packed"><see cref="PadRing.BlockBytes"/> bytes, overwritten.</param>
        /// <exception cref="ArgumentOutOfRangeException">A value is too large.</exception>
        /// <exception cref="InvalidOperationException">The block was encrypted before.</exception>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public void Encrypt(int block, ReadOnlySpan<ulong> messages, Span<byte> packed)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(messages.Length, PadRing.Degree, nameof(messages));
            ArgumentOutOfRangeException.ThrowIfNotEqual(packed.Length, PadRing.BlockBytes, nameof(packed));
            ulong largest = PadRing.LargestSum(PadRing.Bits - _owner._shift);
            int place = messages.IndexOfAnyExceptInRange(0UL, largest);
            if (place >= 0) throw new ArgumentOutOfRangeException(nameof(messages), $"Value {place} of block {block} is {messages[place]}; with {PadRing.Bits - _owner._shift} bits it is at most {largest}.");
            _owner.Begin(block);
            Span<long> error = System.Runtime.InteropServices.MemoryMarshal.Cast<ulong, long>(_error.Span);
            _expansion.Fill((ulong)block, PadRing.Modulus, _words);
            _owner._kernel.Multiply(_words, _owner._prepared.Span, _cells.Span);
            _errors.Fill(error);
            _owner._kernel.Encrypt(_cells.Span, error, messages, _owner._shift, _words);
            PadPacking.Pack(_words, packed, _owner._kernel.Width);
        }

        public void Dispose()
        {
            _expansion.Dispose();
            _random.Dispose();
            _cells.Dispose();
            _error.Dispose();
        }
    }
}
