using System.Globalization;
using System.Text;
using Federation.Samples.Data;

namespace Federation.Samples.Banking.Data;

/// <summary>A bank serves the customers whose credit begins in its band.</summary>
/// <param name="From">Least credit, NT$; the next bank's is beyond its band.</param>
internal sealed record Bank(int From, string Name, string Title)
{
    /// <summary>By rising credit.</summary>
    public static readonly IReadOnlyList<Bank> All =
    [
        new(0, "below-50k", "Below 50k"),
        new(50_000, "from-50k", "From 50k"),
        new(100_000, "from-100k", "From 100k"),
        new(200_000, "from-200k", "From 200k"),
        new(300_000, "from-300k", "From 300k"),
    ];

    private const int CreditField = 1;

    public Site Site => new(Name, Title);

    /// <summary>Deals the rows of one file, in its order; each bank's file has the heading.</summary>
    public static IReadOnlyList<SiteTable> Deal(string csv)
    {
        string[] lines = csv.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        StringBuilder[] files = [.. All.Select(_ => new StringBuilder(lines[0]).Append('\n'))];
        foreach (string line in lines.AsSpan(1))
        {
            int credit = int.Parse(line.Split(',', CreditField + 2)[CreditField], CultureInfo.InvariantCulture);
            files[All.Count(bank => bank.From <= credit) - 1].Append(line).Append('\n');
        }

        return [.. All.Zip(files, (bank, file) => new SiteTable(bank.Site, file.ToString()))];
    }
}
