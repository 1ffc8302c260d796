using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class RoundDescriptorTests
{
    private static readonly byte[] s_hash = new byte[32];

    private static UpdateEncoding Encoding(int cohort = 3, int values = 100, double clip = 1, float scale = 0.1f, byte? seed = 0, double? cut = null, double variance = 0.1, double weight = 1, double? unit = null) =>
        new(UpdateLayout.Choose(16, cohort), values, clip, scale, seed is { } one ? [.. Enumerable.Repeat(one, 32)] : null, cut, variance, weight, unit);

    private static RoundDescriptor Descriptor => new(s_hash, s_hash, ["a", "b", "c"], 3, 1, WeightRule.Claimed, s_hash, Encoding());

    [Fact]
    public void Decode_WhatWasEncoded_IsTheSame()
    {
        RoundDescriptor back = RoundDescriptor.Decode(Descriptor.Encode());
        Assert.Equal(Descriptor.Encode(), back.Encode());
        Assert.Equal((3, 1, WeightRule.Claimed, 0.1f, 0.1, 1.0), (back.MinContributors, back.MaxColluding, back.Weights, back.Encoding!.WeightScale, back.Encoding.NoiseVariance, back.Encoding.LargestWeight));
        RoundDescriptor counts = Descriptor with { Encoding = null };
        Assert.Null(RoundDescriptor.Decode(counts.Encode()).Encoding);
        Assert.Equal(0.5, RoundDescriptor.Decode((Descriptor with { Encoding = Encoding(seed: null, cut: 1, unit: 0.5) }).Encode()).Encoding!.UnitClip);
        UpdateEncoding direct = new(UpdateLayout.ChooseDirect(20, 3), 100, 1, 0.1f, null, cut: 0.5, noiseVariance: 0);
        Assert.True(RoundDescriptor.Decode((Descriptor with { Encoding = direct }).Encode()).Encoding!.Layout.IsDirect);
    }

    [Fact] // whatever decides what a site sends is in the hash that the site signs
    public void Hash_OfAnyOtherSetting_IsAnother()
    {
        byte[] other = [.. Enumerable.Repeat((byte)1, 32)];
        RoundDescriptor first = Descriptor;
        RoundDescriptor[] changed =
        [
            first with { RunSpec = other }, first with { Model = other }, first with { Cohort = ["a", "b", "d"] }, first with { MinContributors = 4 }, first with { MaxColluding = 2 }, first with { Weights = WeightRule.Public },
            first with { Encoding = Encoding(weight: 2) }, first with { LocalTraining = other }, first with { Encoding = null }, first with { Encoding = Encoding(cohort: 4) }, first with { Encoding = Encoding(values: 101) },
            first with { Encoding = Encoding(clip: 2) }, first with { Encoding = Encoding(scale: 0.2f) }, first with { Encoding = Encoding(seed: 1) }, first with { Encoding = Encoding(cut: 0.7) }, first with { Encoding = Encoding(variance: 0.2) }, first with { Encoding = Encoding(seed: null, cut: 1, unit: 0.5) }, first with { Encoding = Encoding(seed: null, cut: 1, unit: 0.6) },
        ];
        Assert.Equal(changed.Length + 1, changed.Append(first).Select(descriptor => Convert.ToHexString(descriptor.Hash())).Distinct().Count());
        Assert.Equal(first.Hash(), (first with { Cohort = ["c", "a", "b"] }).Hash()); // a set
    }

    [Fact]
    public void Decode_ADescriptorThatContradictsItself_IsRefused()
    {
        Refused("from 3 to", Descriptor with { MinContributors = 2 });
        Refused("from 0 to 2", Descriptor with { MaxColluding = 3 });
        Refused("1 where every site counts the same", Descriptor with { Weights = WeightRule.One, Encoding = Encoding(weight: 2) });
        Refused("in order", Descriptor with { Cohort = ["a", "b", "b"] });
        Refused("the cohort has 4", Descriptor with { Cohort = ["a", "b", "c", "d"] });

        static void Refused(string why, RoundDescriptor descriptor) => Assert.Contains(why, Assert.Throws<FormatException>(() => RoundDescriptor.Decode(descriptor.Encode())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DecodeEncoding_WhatDoesNotFollowFromTheRest_IsRefused()
    {
        byte[] bytes = Encoding().Encode();
        int grid = bytes.Length - 8, levels = bytes.Length - 8 - (7 * 12) - (4 + 32) - 8;
        bytes[grid] ^= 1;
        Assert.Contains("grid", Assert.Throws<FormatException>(() => UpdateEncoding.Decode(bytes)).Message, StringComparison.Ordinal);
        bytes[grid] ^= 1;
        bytes[levels - 4] ^= 2;
        Assert.Contains("L = ", Assert.Throws<FormatException>(() => UpdateEncoding.Decode(bytes)).Message, StringComparison.Ordinal);
    }
}
