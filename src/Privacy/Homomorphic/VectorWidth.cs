namespace Federation.Privacy.Homomorphic;

internal enum VectorWidth
{
    /// <summary>The plain twin.</summary>
    None = 0,

    /// <summary>AVX2 and FMA.</summary>
    Bits256 = 256,

    /// <summary>AVX-512 F and DQ.</summary>
    Bits512 = 512,
}
