using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Formats.Tests;

/// <summary>Sums that are opened with noise: what comes back, how much noise it has, and what it costs.</summary>
public sealed class NoisySumsTests
{
    private static readonly SecureRandom s_random = new();

    [Theory]
    [InlineData(1, 3)]
    [InlineData(5, 8)] // five parts are planned, eight came
    public void Open_SumsOfSeveralSites_HaveTheNoiseThatIsSaid(int noisySites, int contributions)
    {
        const int figures = 4000;
        NoisySums noise = new(figures, Moved: 3, NoiseMultiplier: 2, noisySites);
        double[] truth = [.. Enumerable.Range(0, figures).Select(i => (double)(i % 7))];
        double[] opened = noise.Open(Sum(Enumerable.Range(0, contributions).Select(_ => noise.Hide(truth, s_random))), contributions);

        double[] errors = [.. opened.Zip(truth, (value, one) => value - (one * contributions))];
        double deviation = noise.Deviation(contributions);
        Assert.Equal(2 * Math.Sqrt(3) * Math.Sqrt((double)contributions / noisySites), deviation, 1e-4);
        // 6σ of the mean, and of the variance (of a χ² with 4000 degrees).
        Assert.InRange(errors.Average(), -6 * deviation / Math.Sqrt(figures), 6 * deviation / Math.Sqrt(figures));
        Assert.InRange(errors.Average(error => error * error) / (deviation * deviation), 1 - (6 * Math.Sqrt(2.0 / figures)), 1 + (6 * Math.Sqrt(2.0 / figures)));
    }

    [Theory] // as a continuous Gaussian of the same multiplier, but for the rounding
    [InlineData(1, 1)]
    [InlineData(4, 4)]
    [InlineData(4, 5)] // one more part than is counted on
    public void Event_CostsWhatItsNoiseGives(int noisySites, int present)
    {
        NoisySums noise = new(Figures: 34, Moved: 3, NoiseMultiplier: 2, noisySites);
        double epsilon = PrivacyCost.Epsilon([noise.Event(present)], 1e-5);
        double expected = AnalyticGaussian.Epsilon(2 * Math.Sqrt((double)present / noisySites), 1e-5);
        Assert.InRange(epsilon, expected, expected * 1.001);
    }

    [Fact]
    public void Hide_OutOfRange_IsRefused()
    {
        NoisySums noise = new(1, 1, 1, 1);
        Assert.Throws<ArgumentException>(() => noise.Hide([-1], s_random));
        Assert.Throws<ArgumentException>(() => noise.Hide([Math.Pow(2, 38)], s_random));
        Assert.Throws<ArgumentException>(() => noise.Hide([double.NaN], s_random));
        Assert.Throws<ArgumentException>(() => noise.Hide([1, 1], s_random));
        Assert.Throws<ArgumentException>(() => noise.Open([1, 2], 1));
    }

    [Theory]
    [InlineData(new[] { 5.0, -1, 2 }, new[] { 4.5, 0, 1.5 })]
    [InlineData(new[] { 1.0, 2, 3 }, new[] { 1.0, 2, 3 })]
    [InlineData(new[] { -3.0, 1 }, new[] { 0.0, 0 })] // nothing is left
    [InlineData(new[] { 4.0, -3, -3, 3 }, new[] { 1.0, 0, 0, 0 })]
    public void Counts_AreTheNearestThatFit(double[] noisy, double[] expected) => Assert.Equal(expected, NoisySums.Counts(noisy), (one, other) => Math.Abs(one - other) < 1e-12);

    [Fact] // a record's figures: what one adds never exceeds what the noise is measured by
    public void Evaluation_OneRecordMore_MovesTheFiguresByNoMoreThanIsPaidFor()
    {
        RunSpec run = RunSpec.Parse(PrivacySpecTests.Good + "\nevaluate: { every: 10, noiseMultiplier: 1e-6 }", "run.yaml"); // so little noise that it shows the figures
        NoisySums noise = NoisyEvaluation.NoiseOf(run);
        Assert.Equal((34, 3), (noise.Figures, noise.Moved));
        EvaluationSums before = Sums(examples: 10, correct: 7, bin: 3, inBin: 10), after = Sums(examples: 11, correct: 8, bin: 3, inBin: 11);
        double[] moved = [.. Figures(after).Zip(Figures(before), (one, other) => one - other)];
        Assert.Equal(Math.Sqrt(3), Math.Sqrt(moved.Sum(step => step * step)), 1e-3);

        double[] Figures(EvaluationSums sums) => noise.Open(NoisyEvaluation.Hide(sums, run, s_random), 1);
    }

    [Fact]
    public void Evaluation_WithLittleNoise_IsTheExactOneButForTheBins()
    {
        RunSpec run = RunSpec.Parse(PrivacySpecTests.Good + "\nevaluate: { every: 10, noiseMultiplier: 0.001 }", "run.yaml");
        EvaluationSums one = Sums(100, 80, bin: 200, inBin: 60), sum = NoisyEvaluation.Open(Sum(Enumerable.Range(0, 4).Select(_ => NoisyEvaluation.Hide(one, run, s_random))), 4, run);
        Assert.Equal((400UL, 320UL, 240UL, 160UL), (sum.Examples, sum.Correct, sum.PositiveHistogram.Aggregate((a, b) => a + b), sum.NegativeHistogram.Aggregate((a, b) => a + b)));
        Metrics metrics = sum.ToMetrics();
        Assert.Equal((0.8, null, null), (metrics.Accuracy, metrics.LogLoss, metrics.Brier));
        Assert.Equal(1, metrics.Auc!.Value); // all positives above all negatives
    }

    [Fact]
    public void Evaluation_OfFewerRowsThanNoise_SaysSo()
    {
        RunSpec run = RunSpec.Parse(PrivacySpecTests.Good + "\nevaluate: { every: 10, noiseMultiplier: 5 }", "run.yaml");
        NoisySums noise = NoisyEvaluation.NoiseOf(run);
        ulong[] none = noise.Hide(new double[noise.Figures], s_random);
        double[] opened = noise.Open(none, 1);
        if (Math.Round(opened[0]) < 1) Assert.Contains("too few of them", Assert.Throws<ArgumentException>(() => NoisyEvaluation.Open(none, 1, run)).Message, StringComparison.Ordinal);
        else Assert.InRange(NoisyEvaluation.Open(none, 1, run).Examples, 1UL, 100UL);
    }

    [Fact] // each row moves the figures by at most what the noise is measured by: whatever it holds
    public void Statistics_AnyRow_MovesTheFiguresByNoMoreThanIsPaidFor()
    {
        (RunSpec run, DataSchema schema, StatisticsQuery query) = Question("1e-6");
        NoisySums noise = query.NoiseOf(run);
        Assert.Equal(1 + 4 + 4, noise.Moved); // rows; age and chol are numbers
        foreach ((double? age, double? chol) in new (double?, double?)[] { (null, null), (20, 100), (90, 600), (-5, 1e9), (55.5, null), (90, 599.99) })
        {
            double[] figures = noise.Open(Row(query, age, chol).ToNumbers(noise, s_random), 1);
            Assert.InRange(Math.Sqrt(figures.Sum(figure => figure * figure)), 0, Math.Sqrt(noise.Moved) * 1.001);
        }

        _ = schema;
    }

    [Fact]
    public void Statistics_WithLittleNoise_AreTheExactOnes()
    {
        (RunSpec run, DataSchema schema, StatisticsQuery query) = Question("1e-4");
        NoisySums noise = query.NoiseOf(run);
        TableSums table = new(query);
        for (int i = 0; i < 200; i++) Add(query, table, 20 + (i % 70), i % 5 == 0 ? null : 100 + (2 * i));
        FederatedStatistics exact = FederatedStatistics.Of(query, schema, ["a", "b", "c"], Sum(Enumerable.Repeat(table.ToNumbers(), 3)));
        FederatedStatistics noisy = FederatedStatistics.Noisy(query, noise, schema, ["a", "b", "c"], Sum(Enumerable.Range(0, 3).Select(_ => table.ToNumbers(noise, s_random))));

        Assert.Equal(exact.Rows, noisy.Rows);
        Assert.Null(exact.NoiseDeviation);
        Assert.Equal(noise.Deviation(3), noisy.NoiseDeviation);
        foreach ((ColumnStatistics one, ColumnStatistics other) in exact.Columns.Zip(noisy.Columns))
        {
            Assert.Equal((one.Count, one.Missing, one.Numbers!.Below, one.Numbers.Above), (other.Count, other.Missing, other.Numbers!.Below, other.Numbers.Above));
            Assert.Equal(one.Numbers.Mean!.Value, other.Numbers.Mean!.Value, 1e-2 * one.Numbers.Mean.Value);
            Assert.Equal(one.Numbers.StandardDeviation!.Value, other.Numbers.StandardDeviation!.Value, 1e-2 * one.Numbers.StandardDeviation.Value);
            Assert.Equal(one.Numbers.Histogram.Counts, other.Numbers.Histogram.Counts);
        }
    }

    [Fact] // noise far above the counts: nothing contradicts itself, nothing throws
    public void Statistics_WithNoiseFarAboveTheCounts_FitThemselves()
    {
        (RunSpec run, DataSchema schema, StatisticsQuery query) = Question("50");
        NoisySums noise = query.NoiseOf(run);
        for (int repetition = 0; repetition < 50; repetition++)
        {
            FederatedStatistics statistics = FederatedStatistics.Noisy(query, noise, schema, ["a", "b", "c"], Sum(Enumerable.Range(0, 3).Select(_ => Row(query, 40, null).ToNumbers(noise, s_random))));
            foreach (ColumnStatistics column in statistics.Columns)
            {
                Assert.True(column.Count <= statistics.Rows && column.Missing <= statistics.Rows);
                if (column.Numbers!.Mean is not { } mean) continue;
                (double low, double high) = query.Columns.Single(one => one.Name == column.Column).Range!.Value;
                Assert.InRange(mean, low, high);
                Assert.All(column.Numbers.Quantiles, quantile => Assert.InRange(quantile.Value, low, high));
            }
        }
    }

    private static (RunSpec Run, DataSchema Schema, StatisticsQuery Query) Question(string noise)
    {
        RunSpec run = RunSpec.Parse(StatisticsSpecTests.Good.Replace("auto", noise, StringComparison.Ordinal), "run.yaml");
        var schema = DataSchema.Parse(DataSchemaTests.Good, "schema.yaml");
        return (run, schema, StatisticsQuery.Of(run, schema));
    }

    private static TableSums Row(StatisticsQuery query, params double?[] values)
    {
        TableSums sums = new(query);
        Add(query, sums, values);
        return sums;
    }

    private static void Add(StatisticsQuery query, TableSums sums, params double?[] values)
    {
        sums.AddRow();
        for (int column = 0; column < query.Columns.Count; column++)
        {
            if (values[column] is { } value) sums.AddNumber(column, value);
            else sums.AddMissing(column);
        }
    }

    /// <summary>All in one bin above, the rest in the first.</summary>
    private static EvaluationSums Sums(ulong examples, ulong correct, int bin, ulong inBin)
    {
        ulong[] negative = new ulong[EvaluationSums.Bins], positive = new ulong[EvaluationSums.Bins];
        positive[bin] = inBin;
        negative[0] = examples - inBin;
        return new() { Examples = examples, Correct = correct, LogLossSum = 1, BrierSum = 1, NegativeHistogram = negative, PositiveHistogram = positive };
    }

    private static ulong[] Sum(IEnumerable<ulong[]> vectors) => vectors.Aggregate((one, other) => [.. one.Zip(other, (a, b) => a + b)]);
}
