namespace Federation.Learning.Training;

/// <summary>Repeatable initial weights and orders of examples. Not for anything secret. (Torch's own functions draw from one generator of the whole process, even where they are given another.)</summary>
/// <remarks>SplitMix64 (Steele, Lea, Flood 2014) feeding Fisher and Yates; indices without modulo bias (Lemire 2019).</remarks>
public sealed class SeededGenerator(ulong seed)
{
    private ulong _state = seed;

    /// <summary>A permutation of 0 … count − 1; each call gives the next one.</summary>
    public int[] Order(int count)
    {
        int[] order = new int[count];
        for (int i = 0; i < count; i++) order[i] = i;
        for (int i = count - 1; i > 0; i--)
        {
            int j = (int)Below((uint)i + 1);
            (order[i], order[j]) = (order[j], order[i]);
        }

        return order;
    }

    /// <summary>Values uniform in [−<paramref name="bound"/>, <paramref name="bound"/>), each from 53 random bits.</summary>
    public float[] Uniform(int count, double bound)
    {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) values[i] = (float)(((Next() >> 11) * (2 * bound / (1UL << 53))) - bound);
        return values;
    }

    /// <summary>Uniform in [0, 1), from 53 random bits.</summary>
    public double Unit() => (Next() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Standard normal.</summary>
    /// <remarks>Box and Muller 1958; of each pair the first.</remarks>
    public double Normal() => Math.Sqrt(-2 * Math.Log(1 - Unit())) * Math.Cos(Math.Tau * Unit());

    /// <summary>Uniform in 0 … bound − 1.</summary>
    public uint Below(uint bound)
    {
        uint threshold = unchecked((uint)-(int)bound) % bound;
        while (true)
        {
            UInt128 product = (UInt128)(Next() >> 32) * bound;
            if ((uint)(product & uint.MaxValue) >= threshold) return (uint)(product >> 32);
        }
    }

    private ulong Next()
    {
        unchecked
        {
            ulong z = _state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            return z ^ (z >> 31);
        }
    }
}
