using System.Globalization;
using System.Net;
using System.Text;
using Federation.Samples.Medical.Data;

namespace Federation.Samples.Medical.Figures;

/// <summary>One self-contained page: what was done, what came out, what it does not show.</summary>
internal static class ReportPage
{
    public static string Html(Comparison figures, MetricsDocument metrics, HeartData data, Experiment experiment, ulong seed, string verdict, byte[] plot)
    {
        string source = data.IsSynthetic
            ? "<p class=\"warn\"><strong>Synthetic patients.</strong> The real files could not be had; every figure on this page is about made-up people.</p>"
            : "<p>Data: UCI Heart Disease (Janosi, Steinbrunn, Pfisterer, Detrano; DOI 10.24432/C52P4X, CC BY 4.0). Test rows are those of FLamby's split.</p>";
        return $$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>Federated heart-disease model</title>
            <style>
            :root { color-scheme: light dark; --line: #8884; --warn: #c2410c; }
            body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
            table { border-collapse: collapse; width: 100%; } th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: right; } th:first-child, td:first-child { text-align: left; }
            tr.all td { font-weight: 600; } img { max-width: 100%; background: #fff; border-radius: 6px; } .warn { border-left: 4px solid var(--warn); padding-left: .8rem; } code { font-size: .9em; word-break: break-all; }
            </style></head><body>
            <h1>One model, four hospitals</h1>
            <p>{{WebUtility.HtmlEncode(verdict)}}</p>
            {{source}}
            <table><thead><tr><th></th><th>test rows</th><th colspan="2">federated</th><th colspan="2">local only</th><th colspan="2">pooled</th></tr>
            <tr><th>hospital</th><th></th><th>accuracy</th><th>AUC</th><th>accuracy</th><th>AUC</th><th>accuracy</th><th>AUC</th></tr></thead><tbody>
            {{Rows(figures)}}</tbody></table>
            <p><img alt="Accuracy by round" src="data:image/png;base64,{{Convert.ToBase64String(plot)}}"></p>
            <ul>
            <li><strong>Federated</strong>: every hospital trained on its own rows; only updates travelled. <strong>Local only</strong>: each hospital's own model, same number of epochs. <strong>Pooled</strong>: what one could have if all records lay in one place.</li>
            <li>Spec <code>{{experiment.Name}}</code>, seed {{seed}}, {{metrics.Rounds}} rounds, {{metrics.Seconds.ToString(CultureInfo.InvariantCulture)}} s, {{metrics.BytesUploadedPerSite}} bytes of updates sent by each hospital. Model <code>{{metrics.ModelSha256}}</code>.</li>
            </ul>
            {{Privacy(metrics.SecureAggregation, metrics.Privacy)}}
            <p>A small data set with few women, from the 1980s: nothing here is a clinical claim. Switzerland has 16 test rows; one row is 6 points of accuracy.</p>
            </body></html>
            """;
    }

    private static string Privacy(SecureAggregationSection secure, PrivacySection? privacy)
    {
        string encrypted = secure.Kind == "none"
            ? "<p class=\"warn\"><strong>No secure aggregation.</strong> In this run the coordinator can read each hospital's update.</p>"
            : $"""
                <p><strong>Secure aggregation</strong> ({secure.Mode} mode): each hospital encrypted its update ({secure.BytesPerParameter.ToString(CultureInfo.InvariantCulture)} bytes a parameter and round), and any {secure.Threshold} of {secure.Committee} hospitals together opened the sum, {secure.OpenedRounds} times. The roster comes from the coordinator's CA: nobody, the coordinator included, sees one hospital's update as long as the coordinator follows the protocol. One hospital that colludes with the coordinator and sends a malformed ciphertext can give it the key, hence every hospital's updates under that key; no setting of this version proves ciphertexts well-formed.</p>
                """;
        string noise = privacy is null
            ? "<p class=\"warn\"><strong>No differential privacy.</strong> Nothing was added to what was opened: what it says of single patients, and what successive sums say of one hospital, is not bounded. Two rounds of which one lacks a single hospital show how many rows it has.</p>"
            : $"""
                <p><strong>Differential privacy.</strong> {WebUtility.HtmlEncode(PrivacySentence.Of(privacy))} Unit: one row; neighbours differ by one row more or less; noise multiplier {privacy.NoiseMultiplier.ToString(CultureInfo.InvariantCulture)}; accountant {privacy.Accountant}. {(privacy.Noise == "own" ? "Each hospital adds all the noise that its patients need." : "The hospitals' parts add up to the noise; the guarantee assumes that the hospitals other than those counted as colluding keep their parts to themselves, and the secrecy of secure aggregation above.")}</p>
                <p class="warn"><strong>What that does not bound.</strong> What this page shows of the test rows is for the sample alone: a real run does not release it.</p>
                """;
        return encrypted + noise;
    }

    private static string Rows(Comparison figures)
    {
        var rows = new StringBuilder();
        for (int i = 0; i < Hospital.All.Count; i++) Row(rows, "", Hospital.All[i].Title, figures.TestRows[i], figures.Federated[i], figures.Local[i], figures.Pooled[i]);
        Row(rows, " class=\"all\"", "All", figures.TestRows.Sum(), figures.FederatedAll, figures.LocalAll, figures.PooledAll);
        return rows.ToString();
    }

    private static void Row(StringBuilder rows, string style, string title, int count, params Figure[] figures)
    {
        rows.Append(CultureInfo.InvariantCulture, $"<tr{style}><td>{title}</td><td>{count}</td>");
        foreach (Figure figure in figures) rows.Append(CultureInfo.InvariantCulture, $"<td>{figure.Accuracy:0.000}</td><td>{(figure.Auc is { } auc ? auc.ToString("0.000", CultureInfo.InvariantCulture) : "–")}</td>");
        rows.Append("</tr>\n");
    }
}
