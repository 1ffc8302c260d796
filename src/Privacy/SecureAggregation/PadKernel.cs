using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The arithmetic of one block. A cell is 8 bytes of scratch whose form is the kernel's own.</summary>
internal abstract class PadKernel
{
    /// <summary>Of this processor.</summary>
    public static PadKernel Best { get; } = Create(VectorTransform.Best);

    public abstract VectorWidth Width { get; }

    /// <exception cref="PlatformNotSupportedException">The processor lacks it.</exception>
    public static PadKernel Create(VectorWidth width) => width switch
    {
        VectorWidth.Bits512 when Lanes512.IsSupported => new VectorPadKernel<Vector512<double>, Lanes512>(width),
        VectorWidth.Bits256 when Lanes256.IsSupported => new VectorPadKernel<Vector256<double>, Lanes256>(width),
        VectorWidth.None => new ScalarPadKernel(),
        _ => throw new PlatformNotSupportedException($"This processor has no {width}."),
    };

    /// <summary>A secret for <see cref="Multiply"/>.</summary>
    /// <param name="secret">N residues, coefficients.</param>
    /// <param name="prepared">N cells, overwritten.</param>
    public abstract void Prepare(ReadOnlySpan<ulong> secret, Span<ulong> prepared);

    /// <summary>cells ← a·s as coefficients.</summary>
    /// <param name="expanded">a: N residues, values at the roots.</param>
    public abstract void Multiply(ReadOnlySpan<ulong> expanded, ReadOnlySpan<ulong> prepared, Span<ulong> cells);

    /// <summary>words ← a·s + e + 2^shift·m modulo q.</summary>
    /// <param name="messages">Each at most ⌊q/2^shift⌋ − 1.</param>
    public abstract void Encrypt(ReadOnlySpan<ulong> cells, ReadOnlySpan<long> errors, ReadOnlySpan<ulong> messages, int shift, Span<ulong> words);

    /// <summary>v = sums − a·s modulo q is 2^shift·m + noise: messages ← m, the noise centred, the interval next to q read as zero.</summary>
    /// <param name="sums">Σc modulo 2⁶⁴, of at most 2¹⁸ contributions.</param>
    /// <returns>The noise's sum of squares.</returns>
    public abstract double Decrypt(ReadOnlySpan<ulong> cells, ReadOnlySpan<ulong> sums, int shift, Span<ulong> messages);

    private protected static void Checked(params ReadOnlySpan<int> lengths)
    {
        if (lengths.ContainsAnyExcept(PadRing.Degree)) throw new ArgumentException($"A block has {PadRing.Degree} values.");
    }
}

/// <summary>The plain twin.</summary>
internal sealed class ScalarPadKernel : PadKernel
{
    private static readonly Modulus s_q = PadRing.Transform.Modulus;

    public override VectorWidth Width => VectorWidth.None;

    public override void Prepare(ReadOnlySpan<ulong> secret, Span<ulong> prepared)
    {
        Checked(secret.Length, prepared.Length);
        secret.CopyTo(prepared);
        PadRing.Transform.ForwardScalar(prepared);
    }

    public override void Multiply(ReadOnlySpan<ulong> expanded, ReadOnlySpan<ulong> prepared, Span<ulong> cells)
    {
        Checked(expanded.Length, prepared.Length, cells.Length);
        for (int i = 0; i < cells.Length; i++) cells[i] = s_q.Multiply(expanded[i], prepared[i]);
        PadRing.Transform.InverseScalar(cells);
    }

    public override void Encrypt(ReadOnlySpan<ulong> cells, ReadOnlySpan<long> errors, ReadOnlySpan<ulong> messages, int shift, Span<ulong> words)
    {
        Checked(cells.Length, errors.Length, messages.Length, words.Length);
        for (int i = 0; i < words.Length; i++) words[i] = s_q.Add(s_q.Add(cells[i], s_q.FromSigned(errors[i])), messages[i] << shift);
    }

    public override double Decrypt(ReadOnlySpan<ulong> cells, ReadOnlySpan<ulong> sums, int shift, Span<ulong> messages)
    {
        Checked(cells.Length, sums.Length, messages.Length);
        ulong squares = 0;
        for (int i = 0; i < messages.Length; i++)
        {
            ulong value = s_q.Subtract(s_q.Reduce(sums[i]), cells[i]), message = (value + (1UL << (shift - 1))) >> shift;
            long noise = message >= PadRing.Modulus >> shift ? (long)value - (long)PadRing.Modulus : (long)value - (long)(message << shift);
            messages[i] = message >= PadRing.Modulus >> shift ? 0 : message;
            squares += (ulong)(noise * noise);
        }

        return squares;
    }
}

internal sealed unsafe class VectorPadKernel<TVector, TLanes> : PadKernel
    where TVector : struct
    where TLanes : struct, ILanes<TVector>
{
    private readonly IVectorTransform _transform;
    private readonly Reducer<TVector, TLanes> _q = new(PadRing.Modulus);
    private readonly double _scale; // 1/N

    public VectorPadKernel(VectorWidth width)
    {
        Width = width;
        _transform = VectorTransform.Create(width, PadRing.Transform)!;
        _scale = VectorTransform.Signed(PadRing.Transform.Scale, PadRing.Modulus);
    }

    public override VectorWidth Width { get; }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Prepare(ReadOnlySpan<ulong> secret, Span<ulong> prepared)
    {
        Checked(secret.Length, prepared.Length);
        Reducer<TVector, TLanes> q = _q;
        TVector scale = TLanes.Broadcast(_scale);
        fixed (ulong* source = secret, target = prepared)
        {
            double* values = (double*)target;
            for (int i = 0; i < PadRing.Degree; i += TLanes.Count) TLanes.Store(TLanes.FromWords(source + i, ulong.MaxValue >> 12), values + i);
            _transform.ForwardLazy(values);
            for (int i = 0; i < PadRing.Degree; i += TLanes.Count) TLanes.Store(q.Reduced(q.Product(TLanes.Load(values + i), scale)), values + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Multiply(ReadOnlySpan<ulong> expanded, ReadOnlySpan<ulong> prepared, Span<ulong> cells)
    {
        Checked(expanded.Length, prepared.Length, cells.Length);
        Reducer<TVector, TLanes> q = _q;
        fixed (ulong* source = expanded, secret = prepared, target = cells)
        {
            double* values = (double*)target;
            for (int i = 0; i < PadRing.Degree; i += TLanes.Count) TLanes.Store(q.Product(TLanes.FromWords(source + i, ulong.MaxValue >> 12), TLanes.Load((double*)secret + i)), values + i);
            _transform.InverseLazy(values);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Encrypt(ReadOnlySpan<ulong> cells, ReadOnlySpan<long> errors, ReadOnlySpan<ulong> messages, int shift, Span<ulong> words)
    {
        Checked(cells.Length, errors.Length, messages.Length, words.Length);
        Reducer<TVector, TLanes> q = _q;
        TVector step = TLanes.Broadcast(1UL << shift);
        fixed (ulong* values = cells, message = messages, target = words)
        fixed (long* error = errors)
        {
            // The lazy product is below 2⁵³ − 2q, so the sum is exact.
            for (int i = 0; i < PadRing.Degree; i += TLanes.Count)
            {
                TVector sum = TLanes.Add(TLanes.Load((double*)values + i), TLanes.FromInt64(error + i));
                TLanes.ToWords(q.Canonical(TLanes.Add(sum, TLanes.Multiply(TLanes.FromWords(message + i, ulong.MaxValue >> 12), step))), target + i);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override double Decrypt(ReadOnlySpan<ulong> cells, ReadOnlySpan<ulong> sums, int shift, Span<ulong> messages)
    {
        Checked(cells.Length, sums.Length, messages.Length);
        Reducer<TVector, TLanes> q = _q;
        TVector modulus = TLanes.Broadcast(PadRing.Modulus), step = TLanes.Broadcast(1UL << shift), part = TLanes.Broadcast(Math.ScaleB(1, -shift)), half = TLanes.Broadcast(0.5);
        TVector intervals = TLanes.Broadcast(PadRing.Modulus >> shift), high = TLanes.Broadcast(1UL << 32), zero = TLanes.Broadcast(0), squares = zero;
        ulong* halves = stackalloc ulong[2 * TLanes.Count];
        fixed (ulong* values = cells, source = sums, target = messages)
        {
            for (int i = 0; i < PadRing.Degree; i += TLanes.Count)
            {
                // Sums in two halves of 32 bits, because a double holds 53.
                for (int lane = 0; lane < TLanes.Count; lane++) (halves[lane], halves[TLanes.Count + lane]) = (source[i + lane] >> 32, source[i + lane] & uint.MaxValue);
                TVector sum = TLanes.Add(q.Product(TLanes.FromWords(halves, ulong.MaxValue >> 12), high), TLanes.FromWords(halves + TLanes.Count, ulong.MaxValue >> 12));
                TVector value = q.Canonical(TLanes.Subtract(sum, TLanes.Load((double*)values + i)));
                TVector message = TLanes.Floor(TLanes.Add(TLanes.Multiply(value, part), half));
                TVector noise = TLanes.SelectAtLeast(message, intervals, TLanes.Subtract(value, modulus), TLanes.SubtractProduct(value, message, step));
                squares = TLanes.Add(squares, TLanes.Multiply(noise, noise));
                TLanes.ToWords(TLanes.SelectAtLeast(message, intervals, zero, message), target + i);
            }
        }

        return TLanes.Sum(squares);
    }
}
