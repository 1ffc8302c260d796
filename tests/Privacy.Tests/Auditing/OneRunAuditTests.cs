using System.Numerics;
using Federation.Privacy.Auditing;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Tests.Auditing;

public sealed class OneRunAuditTests
{
    /// <summary>What Steinke, Nasr, Jagielski 2023 print (arXiv:2305.08846v1): Appendix D, page 46, and section 7, page 28, with Figure 11. The second is cut off after its third digit, not rounded.</summary>
    [Theory]
    [InlineData(1000, 100, 75, 1e-4, 0.673)]
    [InlineData(100_000, 1510, 1439, 1e-5, 2.675)]
    public void LowerBound_PublishedCases_IsWhatThePaperPrints(int canaries, int guesses, int correct, double delta, double published) =>
        Assert.InRange(OneRunAudit.LowerBound(new(canaries, guesses, correct), delta, 0.95), published - 0.0005, published + 0.001);

    [Theory] // with e^ε = n a whole number, q = n/(n + 1): sums of fractions, nothing rounded
    [InlineData(200, 200, 150, 3, 0)]
    [InlineData(200, 60, 55, 4, 0)]
    [InlineData(500, 100, 90, 3, 1e-5)]
    [InlineData(500, 100, 10, 3, 1e-3)]
    [InlineData(50, 50, 50, 20, 1e-6)]
    [InlineData(50, 50, 0, 1, 1e-2)]
    public void PValue_OfExactFractions_IsTheSame(int canaries, int guesses, int correct, int odds, double delta)
    {
        BigInteger all = BigInteger.Pow(odds + 1, guesses), choose = 1;
        BigInteger[] masses = new BigInteger[guesses + 1];
        for (int k = 0; k <= guesses; k++)
        {
            masses[k] = choose * BigInteger.Pow(odds, k);
            choose = choose * (guesses - k) / (k + 1);
        }

        double Ratio(BigInteger part) => (double)(part * BigInteger.Pow(10, 60) / all) / 1e60;
        BigInteger tail = masses.Skip(correct).Aggregate(BigInteger.Zero, (sum, mass) => sum + mass), gained = 0;
        double steepest = 0;
        for (int i = 1; i <= correct; i++)
        {
            gained += masses[correct - i];
            steepest = Math.Max(steepest, Ratio(gained) / i);
        }

        double expected = Math.Min(1, Ratio(tail) + (2 * canaries * delta * steepest));
        Assert.Equal(expected, OneRunAudit.PValue(new(canaries, guesses, correct), Math.Log(odds), delta), 1e-10 * (1e-9 + expected));
    }

    [Fact] // of 1,000 coins, each answered by randomised response with ε = 3: the bound is above 3 in at most one run of 20
    public void Best_RandomizedResponse_HoldsAndIsClose()
    {
        using SecureRandom random = SecureRandom.WithKnownKey(Key(1));
        const int runs = 200, canaries = 1000;
        double[] bounds = [.. Enumerable.Range(0, runs).Select(_ => Bound(random, canaries, 3, [canaries]))];
        // 5 % are expected above at most; more than 10 % of 200 happens less often than once in a thousand keys.
        Assert.InRange(bounds.Count(bound => bound > 3), 0, 20);
        Assert.InRange(bounds.Average(), 2.5, 3);
        Assert.All(bounds, bound => Assert.InRange(bound, 1.8, 3.6));
    }

    [Theory] // choosing the best number of guesses afterwards is paid for
    [InlineData(0.0)]
    [InlineData(1.0)]
    public void Best_OverSeveralNumbersOfGuesses_StillHolds(double epsilon)
    {
        using SecureRandom random = SecureRandom.WithKnownKey(Key(2));
        int above = Enumerable.Range(0, 200).Count(_ => Bound(random, 400, epsilon, [400, 200, 100, 50]) > epsilon);
        Assert.InRange(above, 0, 20);
    }

    [Fact] // with probability δ it gives all coins away, else it answers by randomised response: (ε, δ) holds, (ε, 0) does not
    public void PValue_MechanismThatSometimesGivesAllAway_IsAboveItsProbability()
    {
        const double delta = 0.01;
        const int canaries = 40;
        for (int correct = 1; correct <= canaries; correct++)
        {
            double honest = new Binomial(canaries, 0.75).AtLeast(correct), probability = ((1 - delta) * honest) + delta;
            CanaryGuesses guesses = new(canaries, canaries, correct);
            Assert.True(OneRunAudit.PValue(guesses, Math.Log(3), delta) >= probability - 1e-12);
        }

        Assert.True(OneRunAudit.PValue(new(canaries, canaries, canaries), Math.Log(3), 0) < delta);
    }

    [Fact]
    public void CanaryGuesses_Scores_GuessesTheHighestInAndTheLowestOut()
    {
        bool[] included = [true, false, true, false, true];
        Assert.Equal(new CanaryGuesses(5, 5, 4), CanaryGuesses.Of([5.0, 1, 4, 2, 3], included, 5)); // out: 1, 2, 3, of which the last is in
        Assert.Equal(new CanaryGuesses(5, 2, 2), CanaryGuesses.Of([5.0, 1, 4, 2, 3], included, 2));
        Assert.Equal(new CanaryGuesses(5, 1, 1), CanaryGuesses.Of([5.0, 1, 4, 2, 3], included, 1));
        Assert.Throws<ArgumentException>(() => CanaryGuesses.Of([1.0, double.NaN], [true, false], 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => CanaryGuesses.Of([1.0], [true], 2));
    }

    [Theory]
    [InlineData(10, 11, 3)]
    [InlineData(10, 5, 6)]
    [InlineData(10, 5, -1)]
    public void PValue_ImpossibleCounts_AreRefused(int canaries, int guesses, int correct) => Assert.Throws<ArgumentOutOfRangeException>(() => OneRunAudit.PValue(new(canaries, guesses, correct), 1, 0));

    [Fact]
    public void LowerBound_NothingRight_IsZero() => Assert.Equal(0, OneRunAudit.LowerBound(new(100, 100, 40), 1e-5, 0.95));

    internal static byte[] Key(byte value) => [.. Enumerable.Repeat(value, 32)];

    internal static bool Coin(SecureRandom random, double probability = 0.5) => random.NextUInt64() < probability * ulong.MaxValue;

    /// <summary>The bound from coins told truly with probability e^ε/(1 + e^ε). Scores differ a little so that some guesses are made before others.</summary>
    private static double Bound(SecureRandom random, int canaries, double epsilon, int[] guesses)
    {
        bool[] included = [.. Enumerable.Range(0, canaries).Select(_ => Coin(random))];
        double[] scores = [.. included.Select(coin => (coin == Coin(random, 1 / (1 + Math.Exp(-epsilon))) ? 1 : 0) + (random.NextUInt32() * 1e-12))];
        return OneRunAudit.Best(scores, included, guesses, 0, 0.95).Epsilon;
    }
}
