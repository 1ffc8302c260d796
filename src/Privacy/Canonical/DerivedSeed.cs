using System.Buffers.Binary;

namespace Federation.Privacy.Canonical;

/// <summary>Seeds for everything in a run that is repeatable and not secret: initial weights, partition, data order, stochastic rounding.</summary>
public static class DerivedSeed
{
    /// <summary>The first 8 bytes (little-endian) of SHA-256(label, run seed, purpose, round, site).</summary>
    public static ulong For(ulong runSeed, string purpose, ulong round = 0, string site = "") =>
        BinaryPrimitives.ReadUInt64LittleEndian(new CanonicalWriter("seed").Field(runSeed).Field(purpose).Field(round).Field(site).Hash());
}
