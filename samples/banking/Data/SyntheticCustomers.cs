using System.Globalization;
using System.Text;

namespace Federation.Samples.Banking.Data;

/// <summary>
/// Made-up customers in the file's form and of its number, so that the sample runs without data and hyper-parameters are chosen without it. They resemble nobody:
/// only the meaning of the columns and the published rate of default (22 %) went into them.
/// </summary>
internal static class SyntheticCustomers
{
    private const int Rows = 30_000, Months = 6;
    private const string Heading = "ID,LIMIT_BAL,SEX,EDUCATION,MARRIAGE,AGE,PAY_0,PAY_2,PAY_3,PAY_4,PAY_5,PAY_6,BILL_AMT1,BILL_AMT2,BILL_AMT3,BILL_AMT4,BILL_AMT5,BILL_AMT6,PAY_AMT1,PAY_AMT2,PAY_AMT3,PAY_AMT4,PAY_AMT5,PAY_AMT6,default.payment.next.month";

    public static string Create()
    {
        var random = new Random(2005); // made-up data, the same every time
        var text = new StringBuilder(Heading).Append('\n');
        for (int id = 1; id <= Rows; id++) text.AppendJoin(',', Customer(random, id)).Append('\n');
        return text.ToString();
    }

    private static IEnumerable<string> Customer(Random random, int id)
    {
        double risk = Normal(random);
        int credit = 10_000 * (int)Math.Clamp(Math.Exp(2.5 - (0.4 * risk) + (0.8 * Normal(random))), 1, 100);
        int education = Math.Clamp(2 + (int)Math.Round((0.2 * risk) + (0.7 * Normal(random))), 1, 4);
        bool paysInFull = random.NextDouble() < 0.35;
        double use = paysInFull ? 0.15 * random.NextDouble() : 0.2 + (0.8 * random.NextDouble());
        int[] status = Statuses(random, risk, paysInFull), bills = new int[Months], paid = new int[Months];
        for (int month = 0; month < Months; month++)
        {
            bills[month] = (int)(credit * use * (0.8 + (0.3 * random.NextDouble())));
            double share = status[month] > 0 ? (random.NextDouble() < 0.6 ? 0 : 0.05) : paysInFull ? 1 : 0.03 + (0.1 * random.NextDouble());
            paid[month] = (int)(bills[month] * share);
        }

        double lateness = status[0] >= 2 ? 2.2 : status[0] == 1 ? 1 : 0;
        double odds = -1.85 + (0.5 * risk) + lateness + (0.25 * status.Count(one => one > 0)) + (0.5 * (use - 0.5)) - (0.3 * Math.Log(credit / 120_000.0));
        bool defaults = random.NextDouble() < 1 / (1 + Math.Exp(-odds));
        int[] row = [id, credit, 1 + random.Next(2), education, 1 + random.Next(2), 21 + random.Next(50), .. status, .. bills, .. paid, defaults ? 1 : 0];
        return row.Select(value => value.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>Newest month first: −2 no use, −1 paid in full, 0 revolving, from 1 on months of delay.</summary>
    private static int[] Statuses(Random random, double risk, bool paysInFull)
    {
        int[] status = new int[Months];
        int late = 0;
        for (int month = Months - 1; month >= 0; month--)
        {
            bool isLate = random.NextDouble() < (late > 0 ? 0.6 : 0.12 / (1 + Math.Exp(-1.5 * risk)));
            late = isLate ? Math.Min(late + 1, 8) : 0;
            status[month] = late > 0 ? late : !paysInFull ? 0 : random.NextDouble() < 0.3 ? -2 : -1;
        }

        return status;
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
