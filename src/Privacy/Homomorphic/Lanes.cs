using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Federation.Privacy.Homomorphic;

/// <summary>What the kernels need of a vector of doubles, so that one text serves each width.</summary>
/// <remarks>The splits take pairs that lie nearer to each other than a vector is long apart; each undoes itself.</remarks>
internal unsafe interface ILanes<TVector>
    where TVector : struct
{
    static abstract int Count { get; }

    static abstract TVector Load(double* source);

    static abstract void Store(TVector value, double* target);

    static abstract TVector Broadcast(double value);

    static abstract TVector Add(TVector a, TVector b);

    static abstract TVector Subtract(TVector a, TVector b);

    static abstract TVector Multiply(TVector a, TVector b);

    /// <summary>a·b − c, rounded once.</summary>
    static abstract TVector MultiplySubtract(TVector a, TVector b, TVector c);

    /// <summary>c − a·b, rounded once.</summary>
    static abstract TVector SubtractProduct(TVector c, TVector a, TVector b);

    /// <summary>To the nearest integer, ties to even.</summary>
    static abstract TVector Round(TVector value);

    /// <summary>value + q where value is negative.</summary>
    static abstract TVector AddIfNegative(TVector value, TVector q);

    /// <summary>Integers below 2⁵²: masked bits of words.</summary>
    static abstract TVector FromWords(ulong* source, ulong mask);

    /// <summary>Integers in [0, 2⁵²) as words.</summary>
    static abstract void ToWords(TVector value, ulong* target);

    /// <summary>Integers in (−2⁵¹, 2⁵¹).</summary>
    static abstract TVector FromInt64(long* source);

    static abstract TVector Floor(TVector value);

    /// <summary>Where value ≥ limit: x, else y.</summary>
    static abstract TVector SelectAtLeast(TVector value, TVector limit, TVector x, TVector y);

    static abstract double Sum(TVector value);

    /// <summary>The lower halves of both, the upper halves of both.</summary>
    static abstract (TVector X, TVector Y) SplitHalves(TVector a, TVector b);

    /// <summary>In each half of both: the lower quarters, the upper quarters. Only of 8 lanes.</summary>
    static abstract (TVector X, TVector Y) SplitQuarters(TVector a, TVector b);

    /// <summary>Even lanes of both, odd lanes of both, taken in turn.</summary>
    static abstract (TVector X, TVector Y) SplitPairs(TVector a, TVector b);
}

/// <summary>AVX-512 F and DQ.</summary>
internal readonly unsafe struct Lanes512 : ILanes<Vector512<double>>
{
    private const double Bias = 1UL << 52, Centre = 3UL << 51;

    public static bool IsSupported => Avx512F.IsSupported && Avx512DQ.IsSupported;

    public static int Count => 8;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Load(double* source) => Vector512.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector512<double> value, double* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Broadcast(double value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Add(Vector512<double> a, Vector512<double> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Subtract(Vector512<double> a, Vector512<double> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Multiply(Vector512<double> a, Vector512<double> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> MultiplySubtract(Vector512<double> a, Vector512<double> b, Vector512<double> c) => Avx512F.FusedMultiplySubtract(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> SubtractProduct(Vector512<double> c, Vector512<double> a, Vector512<double> b) => Avx512F.FusedMultiplyAddNegated(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Round(Vector512<double> value) => Avx512F.RoundScale(value, 0);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> AddIfNegative(Vector512<double> value, Vector512<double> q) => value + (Vector512.LessThan(value, Vector512<double>.Zero) & q);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> FromWords(ulong* source, ulong mask) => Avx512DQ.ConvertToVector512Double(Vector512.Load(source) & Vector512.Create(mask));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ToWords(Vector512<double> value, ulong* target) => ((value + Vector512.Create(Bias)).AsUInt64() & Vector512.Create((1UL << 52) - 1)).Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> FromInt64(long* source) => (Vector512.Load(source) + Vector512.Create(Centre).AsInt64()).AsDouble() - Vector512.Create(Centre);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> Floor(Vector512<double> value) => Avx512F.RoundScale(value, 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<double> SelectAtLeast(Vector512<double> value, Vector512<double> limit, Vector512<double> x, Vector512<double> y) =>
        Vector512.ConditionalSelect(Vector512.GreaterThanOrEqual(value, limit), x, y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Sum(Vector512<double> value) => Vector512.Sum(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<double> X, Vector512<double> Y) SplitHalves(Vector512<double> a, Vector512<double> b) => (Avx512F.Shuffle4x128(a, b, 0x44), Avx512F.Shuffle4x128(a, b, 0xee));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<double> X, Vector512<double> Y) SplitQuarters(Vector512<double> a, Vector512<double> b) =>
        (Avx512F.PermuteVar8x64x2(a, Vector512.Create(0L, 1, 8, 9, 4, 5, 12, 13), b), Avx512F.PermuteVar8x64x2(a, Vector512.Create(2L, 3, 10, 11, 6, 7, 14, 15), b));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector512<double> X, Vector512<double> Y) SplitPairs(Vector512<double> a, Vector512<double> b) => (Avx512F.UnpackLow(a, b), Avx512F.UnpackHigh(a, b));
}

/// <summary>AVX2 and FMA.</summary>
internal readonly unsafe struct Lanes256 : ILanes<Vector256<double>>
{
    private const double Bias = 1UL << 52, Centre = 3UL << 51;

    public static bool IsSupported => Avx2.IsSupported && Fma.IsSupported;

    public static int Count => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Load(double* source) => Vector256.Load(source);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(Vector256<double> value, double* target) => value.Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Broadcast(double value) => Vector256.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Add(Vector256<double> a, Vector256<double> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Subtract(Vector256<double> a, Vector256<double> b) => a - b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Multiply(Vector256<double> a, Vector256<double> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> MultiplySubtract(Vector256<double> a, Vector256<double> b, Vector256<double> c) => Fma.MultiplySubtract(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> SubtractProduct(Vector256<double> c, Vector256<double> a, Vector256<double> b) => Fma.MultiplyAddNegated(a, b, c);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Round(Vector256<double> value) => Avx.RoundToNearestInteger(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> AddIfNegative(Vector256<double> value, Vector256<double> q) => value + (Vector256.LessThan(value, Vector256<double>.Zero) & q);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> FromWords(ulong* source, ulong mask) => ((Vector256.Load(source) & Vector256.Create(mask)) | Vector256.Create(Bias).AsUInt64()).AsDouble() - Vector256.Create(Bias);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ToWords(Vector256<double> value, ulong* target) => ((value + Vector256.Create(Bias)).AsUInt64() & Vector256.Create((1UL << 52) - 1)).Store(target);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> FromInt64(long* source) => (Vector256.Load(source) + Vector256.Create(Centre).AsInt64()).AsDouble() - Vector256.Create(Centre);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> Floor(Vector256<double> value) => Avx.Floor(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<double> SelectAtLeast(Vector256<double> value, Vector256<double> limit, Vector256<double> x, Vector256<double> y) =>
        Vector256.ConditionalSelect(Vector256.GreaterThanOrEqual(value, limit), x, y);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static double Sum(Vector256<double> value) => Vector256.Sum(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<double> X, Vector256<double> Y) SplitHalves(Vector256<double> a, Vector256<double> b) => (Avx.Permute2x128(a, b, 0x20), Avx.Permute2x128(a, b, 0x31));

    public static (Vector256<double> X, Vector256<double> Y) SplitQuarters(Vector256<double> a, Vector256<double> b) => throw new NotSupportedException("Four lanes have no quarters to split.");

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static (Vector256<double> X, Vector256<double> Y) SplitPairs(Vector256<double> a, Vector256<double> b) => (Avx.UnpackLow(a, b), Avx.UnpackHigh(a, b));
}
