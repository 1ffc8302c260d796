using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic.Seal;

/// <summary>Parameters that ours and SEAL both know, and how many random cases each gets.</summary>
internal static class SealSets
{
    public static Dictionary<string, (BfvParameters Parameters, int Cases)> All { get; } = new()
    {
        ["1024, t = 16"] = (new(1024, [0x7e00001], 16), 34),
        ["1024, t = 61"] = (new(1024, [0x7fff801], 61), 34),
        ["2048, t = 114689 (slots)"] = (new(2048, [0x3ffffffffed001], 114689), 32),
        ["2048, two primes, t = 8"] = (new(2048, [0x7ff6001, 0x7fe6001], 8), 30),
        ["4096 default, t = 1032193 (slots)"] = (BfvParameters.Default(4096, 1032193), 20),
        ["4096 default, t = 2^20"] = (BfvParameters.Default(4096, 1 << 20), 18),
        ["4096, three primes, t = 65537 (slots)"] = (new(4096, [0xffffee001, 0xffffc4001, 0xffffbe001], 65537), 16),
        ["4096, a prime that seeds often miss, t = 2^30"] = (new(4096, [0xf0f0f0f0f150001, 0xffffee001], 1 << 30), 14),
        ["8192 default, t = 2^40"] = (BfvParameters.Default(8192, 1UL << 40), 6),
        ["key ring"] = (BfvParameters.ForKeys, 8),
        ["8192, primes of 60 bits, t of 60 bits (slots)"] = (new(8192, [0xfffffffffffc001, 0xffffffffffd8001, 0xfffffdc001], 0xffffffffffe8001), 6),
        ["16384 default, t = 2^59 + 1"] = (BfvParameters.Default(16384, (1UL << 59) + 1), 2),
        ["16384 default, t = 1073643521 (slots)"] = (BfvParameters.Default(16384, 1073643521), 2),
        ["32768, t = 2^40"] = (new(32768, [0x7fffffffe90001, 0x7fffffffbf0001, 0x7fffffffbd0001], 1UL << 40), 2),
    };

    public static TheoryData<string> Names => [.. All.Keys];

    public static TheoryData<string> WithSlots => [.. All.Keys.Where(name => name.Contains("slots", StringComparison.Ordinal))];
}
