using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class OpeningTests
{
    [Fact] // two openings with one pad would show the difference of a site's updates to whoever learns one
    public void PadSeed_OfTwoOpenings_IsNeverTheSame()
    {
        byte[] certificate = new byte[32], other = [.. certificate[..31], 1];
        string query = new('a', 64), another = new('b', 64);
        Opening[] openings =
        [
            new("heart", 1, 1, Opening.Update), new("lung", 1, 1, Opening.Update), new("heart", 2, 1, Opening.Update), new("heart", 1, 2, Opening.Update),
            new("heart", 1, 1, Opening.Evaluation), new("heart", 1, 1, Opening.Test), new("heart", 1, 1, Opening.StatisticsPrefix + query), new("heart", 1, 1, Opening.StatisticsPrefix + another),
        ];
        string[] seeds = [.. openings.SelectMany(opening => (byte[][])[opening.PadSeed(certificate), opening.PadSeed(other)]).Select(Convert.ToHexString)];
        Assert.Equal(seeds.Length, seeds.Distinct().Count());
        Assert.Equal(openings[0].PadSeed(certificate), new Opening("heart", 1, 1, Opening.Update).PadSeed(certificate));
    }
}
