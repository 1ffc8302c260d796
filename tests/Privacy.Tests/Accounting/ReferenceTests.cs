using System.Text.Json;
using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Accounting;

/// <summary>Every row of tests/reference/dp, with its README's tolerances: exact columns 1e-6; PLD never below an exact value and within 1e-3 of the published one.</summary>
public sealed class ReferenceTests
{
    private const double Exact = 1e-6, Pld = 1e-3;
    private static readonly PldAccountant s_pld = new();
    private static readonly RdpAccountant s_rdp = new();

    [Fact]
    public void Pld_SampledGaussian_WithinTolerance() => EveryRow("rdp_epsilon", 37, row =>
        Near(row, "eps_pld", Pld, s_pld.AtDelta([Sampled(row, "q", "sigma", "steps")], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon));

    [Fact]
    public void Pld_MoreSampledGaussians_WithinTolerance() => EveryRow("sampled_gaussian_epsilon", 43, row =>
        Near(row, "epsilon_pld_1e-5", Pld, s_pld.AtDelta([Sampled(row, "sampling_rate", "noise_multiplier", "steps")], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon));

    [Fact]
    public void Rdp_SampledGaussian_EqualsTheExactValue() => EveryRow("rdp_epsilon", 37, row =>
    {
        double epsilon = s_rdp.AtDelta([Sampled(row, "q", "sigma", "steps")], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon;
        Near(row, "eps_rdp_exact", Exact, epsilon);
        Assert.True(epsilon <= row.Number("eps_rdp_default_orders") * (1 + Exact));
    });

    [Fact]
    public void Rdp_MoreSampledGaussians_AtMostThePublishedUpperBound() => EveryRow("sampled_gaussian_epsilon", 43, row =>
    {
        double epsilon = s_rdp.AtDelta([Sampled(row, "sampling_rate", "noise_multiplier", "steps")], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.True(epsilon <= row.Number("epsilon_rdp") * (1 + Exact), $"case {row["case_id"]}: {epsilon:R}");
        Assert.True(epsilon >= row.Number("epsilon_pld_1e-5"), $"case {row["case_id"]}: {epsilon:R}");
    });

    [Theory]
    [InlineData("gaussian_analytic_exact", "eps", 26)]
    [InlineData("gaussian_analytic", "epsilon", 38)]
    public void AnalyticGaussian_AllThreeDirections_EqualTheExactValue(string table, string column, int rows) => EveryRow(table, rows, row =>
    {
        double sigma = row.Number("sigma"), epsilon = row.Number(column), delta = row.Number("delta");
        Near(row, "delta", Exact, AnalyticGaussian.Delta(sigma, epsilon));
        if (row["solved_for"] == "sigma") Near(row, "sigma", Exact, AnalyticGaussian.Sigma(epsilon, delta));
        if (epsilon > 0) Near(row, column, Exact, AnalyticGaussian.Epsilon(sigma, delta));
    });

    [Fact]
    public void Pld_LaplaceContinuousAndDiscrete_WithinTolerance() => EveryRow("laplace_pld", 11, row =>
    {
        PrivacyEvent one = row["mechanism"] == "laplace"
            ? new LaplaceEvent(row.Number("parameter"), row.Number("sensitivity"), row.Number("q"))
            : new DiscreteLaplaceEvent(row.Number("parameter"), (long)row.Number("sensitivity"), row.Number("q"));
        double epsilon = s_pld.AtDelta([new RepeatedEvent(one, (long)row.Number("count"))], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon;
        Near(row, "eps_pld", Pld, epsilon);
        if (row["eps_exact"].Length > 0) AtLeast(row, "eps_exact", epsilon);
    });

    [Fact]
    public void Pld_MoreLaplaces_WithinTolerance() => EveryRow("laplace_epsilon", 12, row =>
        Near(row, "epsilon_pld_1e-5", Pld, s_pld.AtDelta([new RepeatedEvent(new LaplaceEvent(row.Number("scale_over_sensitivity"), 1, row.Number("sampling_rate")), (long)row.Number("count"))], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon));

    [Fact]
    public void Pld_MoreDiscreteLaplaces_WithinTolerance() => EveryRow("discrete_laplace_epsilon", 6, row =>
        Near(row, "epsilon_pld_1e-5", Pld, s_pld.AtDelta([new RepeatedEvent(new DiscreteLaplaceEvent(row.Number("parameter"), (long)row.Number("sensitivity")), (long)row.Number("count"))], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon));

    [Fact] // one row is infinite for dp_accounting; the exact column is 98.9
    public void Pld_DiscreteGaussian_WithinToleranceOfTheExactValue() => EveryRow("discrete_gaussian", 12, row =>
    {
        double epsilon = s_pld.AtDelta([new RepeatedEvent(new DiscreteGaussianEvent(row.Number("sigma_squared"), (long)row.Number("sensitivity")), (long)row.Number("count"))], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon;
        Near(row, "eps_exact", Pld, epsilon);
        AtLeast(row, "eps_exact", epsilon);
    });

    [Fact]
    public void BothAccountants_MixedEvents_WithinTolerance() => EveryRow("heterogeneous", 7, row =>
    {
        Near(row, "eps_pld", Pld, s_pld.AtDelta(Events(row), row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon);
        Near(row, "eps_rdp_exact", Exact, s_rdp.AtDelta(Events(row), row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon);
    });

    [Fact]
    public void BothAccountants_MoreMixedEvents_WithinTolerance() => EveryRow("heterogeneous_epsilon", 10, row =>
    {
        Near(row, "epsilon_pld_1e-5", Pld, s_pld.AtDelta(Events(row), row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon);
        Assert.True(s_rdp.AtDelta(Events(row), row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon <= row.Number("epsilon_rdp") * (1 + Exact));
    });

    [Fact]
    public void Calibration_NoiseMultiplier_EqualsThePublishedOne() => EveryRow("calibrate", 10, row =>
    {
        double sigma = Calibrate(row.Number("eps"), row.Number("delta"), row.Number("q"), (long)row.Number("steps"));
        Near(row, "sigma", Pld, sigma);
        if (row["sigma_exact"].Length > 0) Assert.InRange(sigma, row.Number("sigma_exact") * (1 - Exact), row.Number("sigma_exact") * (1 + 2e-5));
    });

    [Fact]
    public void Calibration_MoreNoiseMultipliers_EqualThePublishedOnes() => EveryRow("calibrate_sigma", 6, row =>
        Near(row, "noise_multiplier_pld_1e-4", Pld, Calibrate(row.Number("epsilon"), row.Number("delta"), row.Number("sampling_rate"), (long)row.Number("steps"))));

    [Fact]
    public void ZeroConcentrated_Conversions_EqualTheExactValues()
    {
        EveryRow("zcdp_exact", 8, row =>
        {
            Near(row, "eps", Exact, ZeroConcentrated.Epsilon(row.Number("rho"), row.Number("delta")));
            Near(row, "eps_bun_steinke", Exact, ZeroConcentrated.SimpleEpsilon(row.Number("rho"), row.Number("delta")));
            Near(row, "eps_gaussian_exact", Exact, AnalyticGaussian.Epsilon(Math.Sqrt(1 / (2 * row.Number("rho"))), row.Number("delta")));
        });
        EveryRow("zcdp", 8, row => Near(row, "epsilon", Exact, ZeroConcentrated.Epsilon(row.Number("rho"), row.Number("delta"))));
    }

    [Fact]
    public void DiscreteGaussian_Moments_EqualTheExactValues()
    {
        EveryRow("discrete_gaussian_moments", 12, row =>
        {
            double variance = row.Number("sigma_squared");
            Near(row, "value", Exact, row["statistic"] == "variance" ? DiscreteGaussian.Variance(variance) : DiscreteGaussian.Probability(variance, row["statistic"][3] - '0'));
        });
        EveryRow("discrete_gaussian_moments_extra", 7, row =>
        {
            double variance = row.Number("sigma_squared");
            Near(row, "variance", Exact, DiscreteGaussian.Variance(variance));
            foreach (int x in (int[])[0, 1, 5]) Near(row, $"pmf{x}", Exact, DiscreteGaussian.Probability(variance, x));
        });
    }

    private static double Calibrate(double epsilon, double delta, double rate, long steps) => Calibration
        .NoiseMultiplier(s_pld, new(epsilon, delta, NeighboringRelation.AddOrRemoveOne), noise => [new RepeatedEvent(new GaussianEvent(noise, new(rate)), steps)]).Value;

    private static RepeatedEvent Sampled(Dictionary<string, string> row, string rate, string sigma, string steps) => new(new GaussianEvent(row.Number(sigma), row.Number(rate)), (long)row.Number(steps));

    private static List<PrivacyEvent> Events(Dictionary<string, string> row) => [.. JsonDocument.Parse(row["events_json"]).RootElement.EnumerateArray().Select(one => new RepeatedEvent(
        one.GetProperty("mechanism").GetString() == "gaussian"
            ? new GaussianEvent(one.GetProperty("noiseMultiplier").GetDouble(), one.GetProperty("samplingRate").GetDouble())
            : new LaplaceEvent(one.GetProperty("scale").GetDouble(), one.GetProperty("sensitivity").GetDouble()),
        one.GetProperty("count").GetInt64()))];

    private static void EveryRow(string table, int rows, Action<Dictionary<string, string>> check)
    {
        IReadOnlyList<Dictionary<string, string>> all = Reference.Read(table);
        Assert.Equal(rows, all.Count);
        foreach (Dictionary<string, string> row in all) check(row);
    }

    private static void Near(Dictionary<string, string> row, string column, double tolerance, double actual) =>
        Assert.True(Math.Abs(actual - row.Number(column)) <= tolerance * row.Number(column), $"case {row["case_id"]}, {column}: {actual:R}, published {row[column]}");

    private static void AtLeast(Dictionary<string, string> row, string column, double actual) =>
        Assert.True(actual >= row.Number(column) * (1 - 1e-12), $"case {row["case_id"]}, {column}: {actual:R} is below {row[column]}");
}
