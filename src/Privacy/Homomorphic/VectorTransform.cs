using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Federation.Privacy.Homomorphic;

/// <summary>A transform on doubles that hold integers. Values are signed; those that come out are below 2⁵³ and not reduced.</summary>
internal unsafe interface IVectorTransform
{
    void Forward(Span<ulong> values);

    void Inverse(Span<ulong> values);

    /// <param name="values">N integers in [−q, q].</param>
    void ForwardLazy(double* values);

    /// <summary>Without the factor 1/N.</summary>
    /// <param name="values">N integers in [−q, q].</param>
    void InverseLazy(double* values);
}

internal static class VectorTransform
{
    /// <summary>q &lt; 2⁵⁰.</summary>
    public const int LargestBits = 50;

    /// <summary>The widest that this processor has.</summary>
    public static VectorWidth Best => Lanes512.IsSupported ? VectorWidth.Bits512 : Lanes256.IsSupported ? VectorWidth.Bits256 : VectorWidth.None;

    /// <summary>A residue in (−q/2, q/2].</summary>
    public static double Signed(ulong residue, ulong q) => residue > q / 2 ? -(double)(q - residue) : residue;

    /// <exception cref="PlatformNotSupportedException">The processor lacks it.</exception>
    public static IVectorTransform? Create(VectorWidth width, NegacyclicTransform transform) => width switch
    {
        VectorWidth.None => null,
        VectorWidth.Bits256 when Lanes256.IsSupported => new VectorTransform<Vector256<double>, Lanes256>(transform),
        VectorWidth.Bits512 when Lanes512.IsSupported => new VectorTransform<Vector512<double>, Lanes512>(transform),
        _ => throw new PlatformNotSupportedException($"This processor has no {width}."),
    };
}

/// <summary>
/// The negacyclic transform for primes below 2⁵⁰ in double precision: a product a·w is exact as the pair h = a·w rounded, a·w − h by a fused operation; c = round(h/q); a·w − c·q is then exact again, because it is an integer below 2⁵³.
/// </summary>
/// <remarks>
/// Roots are signed, |w| ≤ q/2. The quotient's error is at most 1.5·2⁻⁵²·|a·w/q|, so |a·w − c·q| ≤ q·(½ + 1.5·2⁻⁵³·|a|). The constructor follows this bound through all stages and chooses where values are reduced, so that nothing reaches 2⁵³.
/// The idea of FMA products: Dekker 1971; van der Hoeven, Lecerf, Quintin 2016, section 3.
/// </remarks>
internal sealed unsafe class VectorTransform<TVector, TLanes> : IVectorTransform
    where TVector : struct
    where TLanes : struct, ILanes<TVector>
{
    private readonly int _degree, _passes; // passes of two stages before the tail; one more of one stage if the number is odd
    private readonly bool _odd;
    private readonly double _scale;
    private readonly double[] _roots, _inverses, _tailRoots, _tailInverses;
    private readonly bool[] _forwardReduces, _inverseReduces; // by pass in order; for the inverse: the tail's middle, the tail's end, then the passes
    private readonly Reducer<TVector, TLanes> _q;

    public VectorTransform(NegacyclicTransform transform)
    {
        _degree = transform.Degree;
        ulong q = transform.Modulus.Value;
        _q = new(q);
        _scale = VectorTransform.Signed(transform.Scale, q);
        (_roots, _inverses) = (SignedAll(transform.Roots, q), SignedAll(transform.Inverses, q));
        (_tailRoots, _tailInverses) = (Tail(_roots), Tail(_inverses));
        int stages = int.Log2(_degree) - int.Log2(TLanes.Count) - 1;
        (_passes, _odd) = (stages / 2, stages % 2 == 1);
        int tail = int.Log2(TLanes.Count) + 1;
        _forwardReduces = LazyReductions.Forward(_odd, _passes, tail, q);
        _inverseReduces = LazyReductions.Inverse(_odd, _passes, tail, q);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Forward(Span<ulong> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, _degree, nameof(values));
        Reducer<TVector, TLanes> q = _q;
        fixed (ulong* words = values)
        {
            double* doubles = (double*)words;
            for (int i = 0; i < _degree; i += TLanes.Count) TLanes.Store(TLanes.FromWords(words + i, ulong.MaxValue >> 12), doubles + i);
            ForwardLazy(doubles);
            for (int i = 0; i < _degree; i += TLanes.Count) TLanes.ToWords(q.Canonical(TLanes.Load(doubles + i)), words + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Inverse(Span<ulong> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, _degree, nameof(values));
        TVector scale = TLanes.Broadcast(_scale);
        Reducer<TVector, TLanes> q = _q;
        fixed (ulong* words = values)
        {
            double* doubles = (double*)words;
            for (int i = 0; i < _degree; i += TLanes.Count) TLanes.Store(TLanes.FromWords(words + i, ulong.MaxValue >> 12), doubles + i);
            InverseLazy(doubles);
            for (int i = 0; i < _degree; i += TLanes.Count) TLanes.ToWords(q.Canonical(q.Product(TLanes.Load(doubles + i), scale)), words + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void ForwardLazy(double* values)
    {
        Reducer<TVector, TLanes> q = _q;
        int half = _degree / 2, groups = 1, pass = 0;
        fixed (double* roots = _roots, tail = _tailRoots)
        {
            if (_odd)
            {
                ForwardOne(values, half, roots[1], _forwardReduces[pass++], q);
                (half, groups) = (half / 2, groups * 2);
            }

            for (int i = 0; i < _passes; i++)
            {
                bool reduces = _forwardReduces[pass++];
                for (int group = 0; group < groups; group++) ForwardTwo(values + (2 * half * group), half / 2, roots[groups + group], roots[(2 * groups) + (2 * group)], roots[(2 * groups) + (2 * group) + 1], reduces, q);
                (half, groups) = (half / 4, groups * 4);
            }

            ForwardTail(values, roots + groups, tail, _forwardReduces[pass], q);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void InverseLazy(double* values)
    {
        Reducer<TVector, TLanes> q = _q;
        int half = TLanes.Count * 2, blocks = _degree / half, groups = blocks / 2, pass = 2;
        fixed (double* roots = _inverses, tail = _tailInverses)
        {
            InverseTail(values, roots + blocks, tail, _inverseReduces[0], _inverseReduces[1], q);
            for (int i = 0; i < _passes; i++)
            {
                groups /= 2;
                bool reduces = _inverseReduces[pass++];
                for (int group = 0; group < groups; group++) InverseTwo(values + (4 * half * group), half, roots[groups + group], roots[(2 * groups) + (2 * group)], roots[(2 * groups) + (2 * group) + 1], reduces, q);
                (half, groups) = (half * 4, groups / 2);
            }

            if (_odd) InverseOne(values, half, roots[1], q);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ForwardOne(double* values, int half, double root, bool reduces, in Reducer<TVector, TLanes> q)
    {
        TVector w = TLanes.Broadcast(root);
        for (int i = 0; i < half; i += TLanes.Count)
        {
            TVector a = TLanes.Load(values + i), b = q.Product(TLanes.Load(values + half + i), w);
            if (reduces) a = q.Reduced(a);
            TLanes.Store(TLanes.Add(a, b), values + i);
            TLanes.Store(TLanes.Subtract(a, b), values + half + i);
        }
    }

    /// <summary>Two stages on 4·quarter values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ForwardTwo(double* values, int quarter, double root, double leftRoot, double rightRoot, bool reduces, in Reducer<TVector, TLanes> given)
    {
        Reducer<TVector, TLanes> q = given;
        TVector w = TLanes.Broadcast(root), wl = TLanes.Broadcast(leftRoot), wr = TLanes.Broadcast(rightRoot);
        double* end = values + quarter;
        for (double* p = values; p < end; p += TLanes.Count)
        {
            TVector a = TLanes.Load(p), b = TLanes.Load(p + quarter);
            if (reduces) (a, b) = (q.Reduced(a), q.Reduced(b));
            TVector c = q.Product(TLanes.Load(p + (2 * quarter)), w), d = q.Product(TLanes.Load(p + (3 * quarter)), w);
            (a, c) = (TLanes.Add(a, c), TLanes.Subtract(a, c));
            (b, d) = (TLanes.Add(b, d), TLanes.Subtract(b, d));
            b = q.Product(b, wl);
            d = q.Product(d, wr);
            TLanes.Store(TLanes.Add(a, b), p);
            TLanes.Store(TLanes.Subtract(a, b), p + quarter);
            TLanes.Store(TLanes.Add(c, d), p + (2 * quarter));
            TLanes.Store(TLanes.Subtract(c, d), p + (3 * quarter));
        }
    }

    /// <summary>The last stages, on two vectors at a time.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void ForwardTail(double* values, double* roots, double* tail, bool reduces, in Reducer<TVector, TLanes> given)
    {
        Reducer<TVector, TLanes> q = given;
        double* end = values + _degree;
        for (double* p = values; p < end; p += 2 * TLanes.Count)
        {
            TVector a = TLanes.Load(p), b = q.Product(TLanes.Load(p + TLanes.Count), TLanes.Broadcast(*roots++));
            if (reduces) a = q.Reduced(a);
            (a, b) = TLanes.SplitHalves(TLanes.Add(a, b), TLanes.Subtract(a, b));
            b = q.Product(b, TLanes.Load(tail));
            tail += TLanes.Count;
            if (TLanes.Count == 8)
            {
                (a, b) = TLanes.SplitQuarters(TLanes.Add(a, b), TLanes.Subtract(a, b));
                b = q.Product(b, TLanes.Load(tail));
                tail += TLanes.Count;
            }

            (a, b) = TLanes.SplitPairs(TLanes.Add(a, b), TLanes.Subtract(a, b));
            b = q.Product(b, TLanes.Load(tail));
            tail += TLanes.Count;
            (a, b) = TLanes.SplitPairs(TLanes.Add(a, b), TLanes.Subtract(a, b));
            if (TLanes.Count == 8) (a, b) = TLanes.SplitQuarters(a, b);
            (a, b) = TLanes.SplitHalves(a, b);
            TLanes.Store(a, p);
            TLanes.Store(b, p + TLanes.Count);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void InverseTail(double* values, double* roots, double* tail, bool reducesMiddle, bool reducesEnd, in Reducer<TVector, TLanes> given)
    {
        Reducer<TVector, TLanes> q = given;
        double* end = values + _degree;
        for (double* p = values; p < end; p += 2 * TLanes.Count)
        {
            double* next = tail + (TLanes.Count == 8 ? 16 : 4);
            TVector a = TLanes.Load(p), b = TLanes.Load(p + TLanes.Count);
            (a, b) = TLanes.SplitHalves(a, b);
            if (TLanes.Count == 8) (a, b) = TLanes.SplitQuarters(a, b);
            (a, b) = TLanes.SplitPairs(a, b);
            (a, b) = TLanes.SplitPairs(TLanes.Add(a, b), q.Product(TLanes.Subtract(a, b), TLanes.Load(next)));
            if (TLanes.Count == 8)
            {
                next -= TLanes.Count;
                (a, b) = (TLanes.Add(a, b), q.Product(TLanes.Subtract(a, b), TLanes.Load(next)));
                if (reducesMiddle) a = q.Reduced(a);
                (a, b) = TLanes.SplitQuarters(a, b);
            }

            (a, b) = TLanes.SplitHalves(TLanes.Add(a, b), q.Product(TLanes.Subtract(a, b), TLanes.Load(tail)));
            (a, b) = (TLanes.Add(a, b), q.Product(TLanes.Subtract(a, b), TLanes.Broadcast(*roots++)));
            if (reducesEnd) a = q.Reduced(a);
            TLanes.Store(a, p);
            TLanes.Store(b, p + TLanes.Count);
            tail += TLanes.Count * (TLanes.Count == 8 ? 3 : 2);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void InverseTwo(double* values, int quarter, double root, double leftRoot, double rightRoot, bool reduces, in Reducer<TVector, TLanes> given)
    {
        Reducer<TVector, TLanes> q = given;
        TVector w = TLanes.Broadcast(root), wl = TLanes.Broadcast(leftRoot), wr = TLanes.Broadcast(rightRoot);
        double* end = values + quarter;
        for (double* p = values; p < end; p += TLanes.Count)
        {
            TVector a = TLanes.Load(p), b = TLanes.Load(p + quarter), c = TLanes.Load(p + (2 * quarter)), d = TLanes.Load(p + (3 * quarter));
            (a, b) = (TLanes.Add(a, b), q.Product(TLanes.Subtract(a, b), wl));
            (c, d) = (TLanes.Add(c, d), q.Product(TLanes.Subtract(c, d), wr));
            (a, c) = (TLanes.Add(a, c), q.Product(TLanes.Subtract(a, c), w));
            (b, d) = (TLanes.Add(b, d), q.Product(TLanes.Subtract(b, d), w));
            if (reduces) (a, b) = (q.Reduced(a), q.Reduced(b));
            TLanes.Store(a, p);
            TLanes.Store(b, p + quarter);
            TLanes.Store(c, p + (2 * quarter));
            TLanes.Store(d, p + (3 * quarter));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void InverseOne(double* values, int half, double root, in Reducer<TVector, TLanes> q)
    {
        TVector w = TLanes.Broadcast(root);
        for (int i = 0; i < half; i += TLanes.Count)
        {
            TVector a = TLanes.Load(values + i), b = TLanes.Load(values + half + i);
            TLanes.Store(TLanes.Add(a, b), values + i);
            TLanes.Store(q.Product(TLanes.Subtract(a, b), w), values + half + i);
        }
    }

    private static double[] SignedAll(ReadOnlySpan<ulong> roots, ulong q)
    {
        double[] signed = GC.AllocateUninitializedArray<double>(roots.Length, pinned: true);
        for (int i = 0; i < signed.Length; i++) signed[i] = VectorTransform.Signed(roots[i], q);
        return signed;
    }

    /// <summary>The roots of the last stages in the order in which the splits leave the lanes: each root of a stage as often as its groups have lanes.</summary>
    private double[] Tail(double[] roots)
    {
        int count = TLanes.Count, blocks = _degree / (2 * count);
        List<double> tail = [];
        for (int block = 0; block < blocks; block++)
        {
            for (int groups = 2; groups <= count; groups *= 2)
            {
                for (int lane = 0; lane < count; lane++) tail.Add(roots[(blocks * groups) + (block * groups) + (lane / (count / groups))]);
            }
        }

        return [.. tail];
    }
}
