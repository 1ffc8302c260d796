using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Accounting;

public sealed class SampledGaussianRdpTests
{
    [Fact] // rdp_curve_exact.csv: finite sums and quadrature at 50 to 80 digits
    public void At_PublishedOrders_EqualTheExactValues()
    {
        foreach (Dictionary<string, string> row in Reference.Read("rdp_curve_exact"))
        {
            double actual = SampledGaussianRdp.At(row.Number("q"), row.Number("sigma"), row.Number("order")), exact = row.Number("rdp");
            Assert.True(Math.Abs(actual - exact) <= 1e-6 * exact, $"case {row["case_id"]}: q {row["q"]}, σ {row["sigma"]}, order {row["order"]}: {actual:R}, exact {exact:R}");
        }
    }
}
