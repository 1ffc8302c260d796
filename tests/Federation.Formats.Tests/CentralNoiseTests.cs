using Federation.Formats.Runs;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Formats.Tests;

/// <summary>What the coordinator's noise costs: that of one Gaussian of the spec's σ, by an accountant that knows nothing of grids.</summary>
public sealed class CentralNoiseTests
{
    private static readonly RunSpec s_run = RunSpec.Parse(PrivacySpecTests.Central.Replace("auto", "2.5", StringComparison.Ordinal), "run.yaml");

    [Theory]
    [InlineData(1)]
    [InlineData(14)]
    [InlineData(9000)]
    [InlineData(2_000_000)]
    public void Cost_IsThatOfTheGaussian_TwiceAsFarForARecord(int values)
    {
        Near(Gaussian(2.5, 1), Epsilon(PrivacyCost.OfUnit(s_run, null, values, 50, 1, outside: false)));
        Near(Gaussian(2.5, 50), Epsilon(PrivacyCost.OfUnit(s_run, null, values, 50, 50, outside: true)));
        Near(Gaussian(1.25, 1), Epsilon([PrivacyCost.OfRound(s_run, values, 50)]));
        Near(Gaussian(1.25, 50), Epsilon(PrivacyCost.OfRun(s_run, null, values, 50, 50, outside: false)));

        static void Near(double exact, double charged) => Assert.InRange(charged, exact * (1 - 1e-6), exact * 1.001); // never less, but for the accountant's own grid
    }

    [Fact] // how many contribute, or may be left out, does not matter: the noise is added once and whole
    public void Cost_DoesNotDependOnTheCohort() => Assert.Equal(Epsilon([PrivacyCost.OfRound(s_run, 14, 3, outside: true)]), Epsilon([PrivacyCost.OfRound(s_run, 14, 5000)]));

    [Fact]
    public void Cost_IsThatOfTheMechanismThatTheCoordinatorRuns()
    {
        using SecureRandom random = new();
        Assert.Equal(CentralNoise.Of(s_run, 14, random).Event, ((RepeatedEvent)PrivacyCost.OfUnit(s_run, null, 14, 50, 1, outside: false).Single()).Event);
    }

    [Theory]
    [InlineData(14)]
    [InlineData(200_000)]
    public void Sigma_Auto_KeepsTheEpsilonOfAllRounds(int values) =>
        Assert.InRange(Epsilon(PrivacyCost.OfUnit(RunSpec.Parse(PrivacySpecTests.Central, "x"), null, values, 50, 50, outside: false)), 7.9, 8);

    private static double Gaussian(double sigma, int rounds) => new PldAccountant().AtDelta([new RepeatedEvent(new GaussianEvent(sigma), rounds)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;

    private static double Epsilon(IReadOnlyList<PrivacyEvent> events) => PrivacyCost.Epsilon(events, 1e-5);
}
