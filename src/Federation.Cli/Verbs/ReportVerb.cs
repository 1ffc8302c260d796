using System.CommandLine;
using System.Text;
using Federation.Cli.CommandLine;
using Federation.Cli.Terminal;
using Federation.Privacy.Ledger;
using Federation.Privacy.Reporting;

namespace Federation.Cli.Verbs;

/// <summary><c>fed privacy report</c>: one page for a privacy officer.</summary>
internal static class ReportVerb
{
    private static readonly Option<string?> PageFile = new("--output", "-o") { Description = "The HTML page to write; default: privacy-report.html, and none with --json.", HelpName = "file.html" };

    public static Verb Create() => new Verb("report", "A one-page HTML report for a privacy officer: what was released to whom, what it cost, what is left, what an attacker could gain.", "fed privacy report ledger.db --data-set heart-disease -o heart.html", "privacy-report")
        .With(LedgerVerbs.LedgerPath, LedgerVerbs.DataSet, LedgerVerbs.Delta, PageFile, CommonOptions.Force, CommonOptions.State).Does(RunAsync);

    private static async Task<int> RunAsync(Invocation invocation)
    {
        string path = LedgerVerbs.PathOf(invocation);
        string? page = invocation.Get(PageFile) ?? (invocation.Output.Json ? null : "privacy-report.html");
        OutputFile? file = page is null ? null : OutputFile.Claim(page, invocation.Get(CommonOptions.Force));
        string dataSet = LedgerVerbs.OneDataSetOf(invocation, path);
        var ledger = LedgerVerification.Of(path, dataSet);
        var report = PrivacyReport.Of(ledger, LedgerVerbs.DeltaOf(invocation, ledger), TimeProvider.System.GetUtcNow());
        if (file is not null) await file.WriteAsync(async stream => await stream.WriteAsync(Encoding.UTF8.GetBytes(PrivacyReportPage.Html(report)), invocation.Cancellation));
        invocation.Output.Result(report, page ?? "");
        if (!report.Valid) invocation.Output.Note($"The ledger is not whole: {report.Problems[0]}");
        return report.Valid ? ExitCode.Done : ExitCode.Failed;
    }
}
