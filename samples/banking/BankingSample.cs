using System.Reflection;
using Federation.Samples.Banking.Data;
using Federation.Samples.Data;

namespace Federation.Samples.Banking;

/// <summary>The five banks' run.</summary>
internal static class BankingSample
{
    public const string Name = "banking";

    public const string Usage = """
        One model of credit-card default from five banks' customers, none of whose records leaves its bank.

        Usage: dotnet run --project samples/banking -- [options]
               dotnet run --project samples/banking -- tune [--no-privacy]

          --seed N          weights and data order (default 42)
          --epsilon X       of each customer's record, at δ = 1e-5 (default 3)
          --noise MODE      shared (default): under secure aggregation the banks' parts add up; own: each adds all of it
          --insecure-seeded-noise  for experiments: the noise follows from the seed, so that the run repeats, and protects nobody
          --no-privacy      without differential privacy, for comparison; then the same seed gives the same model
          --secure-aggregation MODE  threshold-bfv (default), or none: the coordinator then sees each update
          --out DIR         where results go (default out/banking)
          --json            print metrics.json's document
          tune              choose hyper-parameters on made-up customers

        Example: dotnet run --project samples/banking -- --epsilon 1 --seed 43
        """;

    public static readonly SampleDescription Description = new()
    {
        Name = Name,
        Sites = [.. Bank.All.Select(bank => bank.Site)],
        Parties = "five banks",
        Site = new("bank", "banks"),
        Person = new("customer", "customers"),
        PageTitle = "Federated credit-default model",
        PlotTitle = "Credit default, five banks",
        SourceHtml = "Data: UCI Default of Credit Card Clients (I-C. Yeh; DOI 10.24432/C55S3H, CC BY 4.0), Taiwan 2005, one bank's customers dealt to five by the credit that they were given (in NT$). A fifth of each bank's rows is held out, by a hash of the row.",
        CaveatHtml = "Five made of one: real banks differ in more than the credit that they give. Sex, marriage and age are in the file and not used, because many countries' rules on credit protect them; what correlates with them still may be. Nothing here is advice on anybody's credit.",
        IsUnbalanced = true,
    };

    public static Experiment ExperimentOf(SampleOptions options)
    {
        string open = Resource("credit-default-without-privacy.yaml");
        return Experiment.Of(options.Privacy.NoPrivacy ? open : Resource("credit-default.yaml"), open, Resource("credit-default.schema.yaml"), options.Privacy, options.Seed);
    }

    public static Task RunAsync(SampleOptions options, CancellationToken cancellationToken) => SampleRun.RunAsync(Description, ExperimentOf(options), options, CreditData.ObtainAsync, cancellationToken);

    private static string Resource(string name) => EmbeddedFile.Text(Assembly.GetExecutingAssembly(), name);
}
