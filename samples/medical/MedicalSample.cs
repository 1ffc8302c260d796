using Federation.Samples.Medical.Data;
using Federation.Samples.Data;

namespace Federation.Samples.Medical;

/// <summary>The four hospitals' run.</summary>
internal static class MedicalSample
{
    public const string Name = "medical";

    public static readonly SampleDescription Description = new()
    {
        Name = Name,
        Sites = [.. Hospital.All.Select(hospital => hospital.Site)],
        Parties = "four hospitals",
        Site = new("hospital", "hospitals"),
        Person = new("patient", "patients"),
        PageTitle = "Federated heart-disease model",
        PlotTitle = "Heart disease, four hospitals",
        SourceHtml = "Data: UCI Heart Disease (Janosi, Steinbrunn, Pfisterer, Detrano; DOI 10.24432/C52P4X, CC BY 4.0). Test rows are those of FLamby's split.",
        CaveatHtml = "A small data set with few women, from the 1980s: nothing here is a clinical claim. Switzerland has 16 test rows; one row is 6 points of accuracy.",
    };

    public static Task RunAsync(Arguments arguments, CancellationToken cancellationToken) =>
        SampleRun.RunAsync(Description, arguments.Experiment.With(arguments.Options.Privacy, arguments.Options.Seed), arguments.Options, (say, token) => ObtainAsync(arguments.Experiment, say, token), cancellationToken);

    private static async Task<SampleData> ObtainAsync(HeartExperiment experiment, Action<string> say, CancellationToken cancellationToken)
    {
        HeartData data = await HeartData.ObtainAsync(say, cancellationToken);
        string published = $"FLamby's FedAvg: 70.6 %, its pooled model: 75.0 %{(experiment.FlambyRowsOnly ? "" : " (on 13 features)")}.";
        return new SampleData(experiment.Tables(data), data.IsSynthetic, data.IsSynthetic ? null : published);
    }
}
