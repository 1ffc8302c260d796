using System.Globalization;
using System.Text;

namespace Federation.Samples.Medical.Data;

/// <summary>Made-up patients in the files' form and of their number, so that the sample runs without data. They resemble nobody.</summary>
internal static class SyntheticPatients
{
    private static readonly (string Site, int Rows, double Sick)[] Sites = [("cleveland", 303, 0.46), ("hungarian", 294, 0.36), ("switzerland", 123, 0.9), ("va", 200, 0.74)];

    public static IReadOnlyDictionary<string, string> Create()
    {
        Dictionary<string, string> files = [];
        foreach ((string site, int rows, double sick) in Sites)
        {
            var random = new Random(site.Sum(c => c)); // made-up data, the same every time
            var text = new StringBuilder();
            for (int i = 0; i < rows; i++) text.Append(Patient(random, random.NextDouble() < sick)).Append('\n');
            files[site] = text.ToString();
        }

        return files;
    }

    private static string Patient(Random random, bool sick)
    {
        int shift = sick ? 1 : 0;
        double Around(double mean, double spread) => mean + (spread * (random.NextDouble() + random.NextDouble() + random.NextDouble() - 1.5));
        string[] fields =
        [
            Whole(Around(51 + (6 * shift), 15)), random.NextDouble() < 0.65 + (0.2 * shift) ? "1" : "0", random.NextDouble() < 0.3 + (0.45 * shift) ? "4" : Whole(1 + (random.NextDouble() * 2.9)),
            Whole(Around(130 + (3 * shift), 30)), Whole(Around(240 + (10 * shift), 80)), random.NextDouble() < 0.15 ? "1" : "0", Whole(random.NextDouble() * 2.4),
            Whole(Around(150 - (20 * shift), 40)), random.NextDouble() < 0.2 + (0.4 * shift) ? "1" : "0", Math.Max(0, Around(0.6 + shift, 2)).ToString("0.0", CultureInfo.InvariantCulture),
            "?", "?", "?", sick ? "1" : "0",
        ];
        return string.Join(',', fields);
    }

    private static string Whole(double value) => ((int)value).ToString(CultureInfo.InvariantCulture);
}
