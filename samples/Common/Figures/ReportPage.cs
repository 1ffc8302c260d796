using System.Globalization;
using System.Net;
using System.Text;
using Federation.Formats.Runs;
using Federation.Samples.Data;

namespace Federation.Samples.Figures;

/// <summary>One self-contained page: what was done, what came out, what it does not show.</summary>
internal static class ReportPage
{
    public static string Html(SampleDescription sample, Comparison figures, MetricsDocument metrics, bool isSynthetic, Experiment experiment, string verdict, byte[] plot)
    {
        RunSpec spec = experiment.Spec;
        string source = isSynthetic
            ? $"<p class=\"warn\"><strong>Synthetic {sample.Person.Many}.</strong> The real files could not be had; every figure on this page is about made-up people.</p>"
            : $"<p>{sample.SourceHtml}</p>";
        return $$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>{{sample.PageTitle}}</title>
            <style>
            :root { color-scheme: light dark; --line: #8884; --warn: #c2410c; }
            body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
            table { border-collapse: collapse; width: 100%; } th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; } th:first-child, td:first-child { text-align: left; }
            tr.all td { font-weight: 600; } img { max-width: 100%; background: #fff; border-radius: 6px; } .warn { border-left: 4px solid var(--warn); padding-left: .8rem; } code { font-size: .9em; word-break: break-all; }
            </style></head><body>
            <h1>One model, {{sample.Parties}}</h1>
            <p>{{WebUtility.HtmlEncode(verdict)}}</p>
            {{source}}
            <table><thead><tr><th></th><th>test rows</th>{{Three($"<th colspan=\"{(sample.IsUnbalanced ? 3 : 2)}\">", "federated", "local only", "pooled")}}</tr>
            <tr><th>{{sample.Site.One}}</th><th></th>{{string.Concat(Enumerable.Repeat(sample.IsUnbalanced ? "<th>accuracy</th><th>balanced</th><th>AUC</th>" : "<th>accuracy</th><th>AUC</th>", 3))}}</tr></thead><tbody>
            {{Rows(sample, figures)}}</tbody></table>{{Unbalanced(sample, figures)}}
            <p><img alt="Accuracy by round" src="data:image/png;base64,{{Convert.ToBase64String(plot)}}"></p>
            <ul>
            <li><strong>Federated</strong>: every {{sample.Site.One}} trained on its own rows{{TrainingSentence.OfFederated(experiment)}}; only updates travelled. <strong>Local only</strong>: each {{sample.Site.One}}'s own model of its own rows alone, {{TrainingSentence.OfOthers(experiment)}}. <strong>Pooled</strong>: what one could have if all records lay in one place, trained like these.</li>
            <li>Spec <code>{{spec.Name}}</code>, seed {{spec.Seed}}, {{metrics.Rounds}} rounds, {{metrics.Seconds.ToString(CultureInfo.InvariantCulture)}} s, {{metrics.BytesUploadedPerSite}} bytes of updates sent by each {{sample.Site.One}}. Model <code>{{metrics.ModelSha256}}</code>.</li>
            </ul>
            {{Privacy(sample, metrics.SecureAggregation, metrics.Privacy)}}
            <p>What each {{sample.Site.One}}'s privacy officer files, from its own ledger: {{string.Join(", ", sample.Sites.Select(site => $"<a href=\"{PrivacyPages.Folder}/{PrivacyPages.NameOf(site)}\">{site.Title}</a>"))}}.</p>
            <p>{{sample.CaveatHtml}}</p>
            </body></html>
            """;
    }

    private static string Privacy(SampleDescription sample, SecureAggregationSection secure, PrivacySection? privacy)
    {
        string site = sample.Site.One, sites = sample.Site.Many;
        string encrypted = secure.Kind == "none"
            ? $"<p class=\"warn\"><strong>No secure aggregation.</strong> In this run the coordinator can read each {site}'s update.</p>"
            : $"""
                <p><strong>Secure aggregation</strong> ({secure.Mode} mode): each {site} encrypted its update ({secure.BytesPerParameter.ToString(CultureInfo.InvariantCulture)} bytes a parameter and round), and any {secure.Threshold} of {secure.Committee} {sites} together opened the sum, {secure.OpenedRounds} times. The roster comes from the coordinator's CA: nobody, the coordinator included, sees one {site}'s update as long as the coordinator follows the protocol. One {site} that colludes with the coordinator and sends a malformed ciphertext can give it the key, hence every {site}'s updates under that key; no setting of this version proves ciphertexts well-formed.</p>
                """;
        string noise = privacy is null
            ? $"<p class=\"warn\"><strong>No differential privacy.</strong> Nothing was added to what was opened: what it says of single {sample.Person.Many}, and what successive sums say of one {site}, is not bounded. Two rounds of which one lacks a single {site} show how many rows it has.</p>"
            : !privacy.Private ? $"<p class=\"warn\"><strong>No differential privacy.</strong> {WebUtility.HtmlEncode(PrivacySentence.Of(privacy, sample))}</p>"
            : $"""
                <p><strong>Differential privacy.</strong> {WebUtility.HtmlEncode(PrivacySentence.Of(privacy, sample))} Unit: one row; neighbours differ by one row more or less; noise multiplier {privacy.NoiseMultiplier.ToString(CultureInfo.InvariantCulture)}; accountant {privacy.Accountant}. {(privacy.Noise == "own" ? $"Each {site} adds all the noise that its {sample.Person.Many} need." : $"The {sites}' parts add up to the noise; the guarantee assumes that the {sites} other than those counted as colluding keep their parts to themselves, and the secrecy of secure aggregation above.")}</p>
                <p>{WebUtility.HtmlEncode(PrivacySentence.OfAudit(privacy, sample))}</p>
                <p class="warn"><strong>What that does not bound.</strong> What this page shows of the test rows is for the sample alone: a real run does not release it.</p>
                """;
        return encrypted + noise;
    }

    private static string Rows(SampleDescription sample, Comparison figures)
    {
        var rows = new StringBuilder();
        for (int i = 0; i < sample.Sites.Count; i++) Row(rows, sample, "", sample.Sites[i].Title, figures.TestRows[i], figures.Federated[i], figures.Local[i], figures.Pooled[i]);
        Row(rows, sample, " class=\"all\"", "All", figures.TestRows.Sum(), figures.FederatedAll, figures.LocalAll, figures.PooledAll);
        return rows.ToString();
    }

    private static void Row(StringBuilder rows, SampleDescription sample, string style, string title, int count, params Figure[] figures)
    {
        rows.Append(CultureInfo.InvariantCulture, $"<tr{style}><td>{title}</td><td>{count}</td>");
        foreach (Figure figure in figures)
        {
            rows.Append(Cell(figure.Accuracy));
            if (sample.IsUnbalanced) rows.Append(Cell(figure.BalancedAccuracy));
            rows.Append(Cell(figure.Auc));
        }

        rows.Append("</tr>\n");
    }

    private static string Cell(double? value) => $"<td>{value?.ToString("0.000", CultureInfo.InvariantCulture) ?? "–"}</td>";

    private static string Three(string open, params string[] titles) => string.Concat(titles.Select(title => $"{open}{title}</th>"));

    private static string Unbalanced(SampleDescription sample, Comparison figures) => sample.IsUnbalanced
        ? string.Create(CultureInfo.InvariantCulture, $"\n<p>Always naming the commoner class is right for {figures.Majority:P1} and has a balanced accuracy of 0.5. Balanced: the mean of both classes' shares that are right. Both are at a probability of 0.5; the AUC needs no such threshold.</p>")
        : "";
}
