using Federation.Samples.Data;

namespace Federation.Samples.Banking.Data;

/// <summary>The customers of all banks: real ones, or made up in their form.</summary>
internal static class CreditData
{
    // UCI itself has the table only as an Excel file in an archive; this copy's rows are the same, its line ends are not.
    public static readonly PublicFiles Files = new(
        "UCI default of credit card clients, Taiwan 2005, dealt to five banks",
        "credit-default",
        new Uri("https://raw.githubusercontent.com/nbgraham/SL-Loan-Default/444f8d197ee9f226be5c9db70f0e60751cb551d7/"),
        [new PublicFile("UCI_Credit_Card.csv", "f7b7d22d1f8dd27dadb25d4b78d8a4ae7c441ab6cc12d1ea58c0efc54d4d1788")],
        8 << 20,
        "SYNTHETIC CUSTOMERS: the UCI file could not be downloaded ({0}). Every figure below is about made-up people.")
    {
        HasForeignLineEnds = true,
    };

    public static async Task<SampleData> ObtainAsync(Action<string> say, CancellationToken cancellationToken)
    {
        IReadOnlyDictionary<string, string>? texts = await Files.ObtainAsync(say, cancellationToken);
        return new SampleData(Bank.Deal(texts is null ? SyntheticCustomers.Create() : texts[Files.Files[0].Name]), IsSynthetic: texts is null);
    }
}
