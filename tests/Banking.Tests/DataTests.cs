using System.Text;
using Federation.Formats.Configuration;
using Federation.Learning.Data;
using Federation.Samples.Banking.Data;
using Federation.Samples.Data;

namespace Federation.Samples.Banking.Tests;

/// <summary>The customers, and how they are dealt to banks.</summary>
public sealed class DataTests
{
    [Theory] // band ends belong to the upper bank
    [InlineData(49_999, 0)]
    [InlineData(50_000, 1)]
    [InlineData(99_999, 1)]
    [InlineData(100_000, 2)]
    [InlineData(200_000, 3)]
    [InlineData(300_000, 4)]
    [InlineData(1_000_000, 4)]
    public void Deal_OneCustomer_GoesToTheBankOfTheBand(int credit, int bank)
    {
        IReadOnlyList<SiteTable> tables = Bank.Deal($"ID,LIMIT_BAL,SEX\n1,{credit},2\n");
        for (int i = 0; i < tables.Count; i++) Assert.Equal(i == bank ? $"ID,LIMIT_BAL,SEX\n1,{credit},2\n" : "ID,LIMIT_BAL,SEX\n", tables[i].Csv);
    }

    [Fact] // the same every time, 22 % default within two points, and every bank has both sets under the schema
    public void SyntheticCustomers_Made_FitTheSchema()
    {
        string csv = SyntheticCustomers.Create();
        Assert.Equal(csv, SyntheticCustomers.Create());
        string[] rows = csv.Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        Assert.Equal(30_000, rows.Length);
        Assert.InRange(rows.Count(row => row.EndsWith(",1", StringComparison.Ordinal)) / 30_000.0, 0.20, 0.24);
        AssertLoads(Bank.Deal(csv));
    }

    [Fact] // measured in the file itself
    public void RealCustomers_Dealt_FitTheSchema()
    {
        string folder = Path.Combine(TestData.FolderWith("credit-default"), "credit-default");
        IReadOnlyList<SiteTable> tables = Bank.Deal(File.ReadAllText(Path.Combine(folder, "UCI_Credit_Card.csv")));
        Assert.Equal([4311, 7139, 7400, 6033, 5117], AssertLoads(tables));
    }

    [Fact] // as the web's copy has it: carriage returns, none at the end
    public async Task Download_OtherLineEnds_EntersTheCacheAsTheFile()
    {
        string path = Path.Combine(TestData.FolderWith("credit-default"), "credit-default", "UCI_Credit_Card.csv");
        using var folder = new TemporaryFolder();
        string text = File.ReadAllText(path);
        await using FileServer server = await FileServer.StartAsync(_ => Encoding.UTF8.GetBytes(text.TrimEnd('\n').Replace('\n', '\r')));
        await CreditData.Files.DownloadAsync(server.Address, folder.Path, TestContext.Current.CancellationToken);
        Assert.Equal(text, File.ReadAllText(Path.Combine(folder.Path, "UCI_Credit_Card.csv")));
    }

    [Fact]
    public async Task Download_OneWrongByte_IsRefusedAndNotCached()
    {
        using var folder = new TemporaryFolder();
        await using FileServer server = await FileServer.StartAsync(_ => Encoding.UTF8.GetBytes(SyntheticCustomers.Create()));
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => CreditData.Files.DownloadAsync(server.Address, folder.Path, TestContext.Current.CancellationToken));
        Assert.Contains("UCI_Credit_Card.csv has SHA-256", error.Message);
        Assert.Empty(Directory.EnumerateFiles(folder.Path));
    }

    /// <returns>Rows of each bank.</returns>
    private static int[] AssertLoads(IReadOnlyList<SiteTable> tables)
    {
        Experiment experiment = BankingSample.ExperimentOf(SampleOptions.Parse([], BankingSample.Name));
        return [.. tables.Select(table =>
        {
            using var folder = new TemporaryFolder();
            DataSource source = table.WriteTo(folder.Path, experiment.Schema.Name);
            TabularDataSet set = TabularDataSet.Load(source, experiment.Schema, experiment.Spec.Data!, experiment.Spec.Task!);
            Assert.Equal(53, set.FeatureNames.Count);
            Assert.DoesNotContain(set.FeatureNames, name => name.StartsWith("SEX", StringComparison.Ordinal) || name.StartsWith("MARRIAGE", StringComparison.Ordinal) || name == "AGE");
            Assert.InRange(set.Test.Count / (double)(set.Test.Count + set.Train.Count), 0.17, 0.23);
            return set.Test.Count + set.Train.Count;
        })];
    }
}
