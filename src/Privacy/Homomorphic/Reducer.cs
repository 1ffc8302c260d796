using System.Runtime.CompilerServices;

namespace Federation.Privacy.Homomorphic;

/// <summary>Arithmetic modulo q &lt; 2⁵⁰ on doubles that hold integers below 2⁵³: see <see cref="VectorTransform{TVector, TLanes}"/>.</summary>
internal readonly struct Reducer<TVector, TLanes>
    where TVector : struct
    where TLanes : struct, ILanes<TVector>
{
    private readonly TVector _q, _reciprocal;

    public Reducer(double q) => (_q, _reciprocal) = (TLanes.Broadcast(q), TLanes.Broadcast(1 / q));

    /// <summary>a·w modulo q, signed, |w| ≤ q/2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Product(TVector a, TVector w)
    {
        TVector high = TLanes.Multiply(a, w);
        TVector low = TLanes.MultiplySubtract(a, w, high);
        return TLanes.Add(TLanes.SubtractProduct(high, TLanes.Round(TLanes.Multiply(high, _reciprocal)), _q), low);
    }

    /// <summary>Into [−q/2, q/2].</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Reduced(TVector a) => TLanes.SubtractProduct(a, TLanes.Round(TLanes.Multiply(a, _reciprocal)), _q);

    /// <summary>Into [0, q).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public TVector Canonical(TVector a) => TLanes.AddIfNegative(Reduced(a), _q);
}
