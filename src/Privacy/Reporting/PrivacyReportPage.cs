using System.Globalization;
using System.Net;
using System.Text;
using Federation.Privacy.Ledger;
using static System.FormattableString;

namespace Federation.Privacy.Reporting;

/// <summary>The report as one HTML page that needs nothing else: no script, no font, no address. Everything that comes from the ledger is encoded.</summary>
public static class PrivacyReportPage
{
    private const int MostRows = 100;

    private const string Style = """
        :root{color-scheme:light dark;--ink:#1b2430;--dim:#55606e;--paper:#fff;--line:#d5dbe3;--spent:#0b62c4;--budget:#b3261e;--good:#14713d;--bad:#b3261e;--box:#f3f6fa}
        @media (prefers-color-scheme:dark){:root{--ink:#e6eaf0;--dim:#a3adba;--paper:#12161c;--line:#39424e;--spent:#6cb0ff;--budget:#ff8a80;--good:#6fd39a;--bad:#ff8a80;--box:#1b212a}}
        body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:820px;margin:24px auto;padding:0 16px}
        h1{font-size:24px;margin:0 0 2px}h2{font-size:17px;margin:22px 0 6px}p{margin:6px 0}.dim{color:var(--dim)}
        .verdict{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}
        .boxes{display:flex;flex-wrap:wrap;gap:10px;margin:14px 0}.box{flex:1 1 130px;background:var(--box);border-radius:8px;padding:10px 12px}.box b{display:block;font-size:24px;line-height:1.2}
        table{border-collapse:collapse;width:100%;font-size:13px}caption{text-align:left;color:var(--dim);padding:2px 0 6px}th,td{text-align:left;padding:4px 8px 4px 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}td.number,th.number{text-align:right}td.number,th,td.short{white-space:nowrap}
        svg{width:100%;height:auto}svg text{font:11px system-ui,sans-serif;fill:var(--dim)}.grid{stroke:var(--line)}.spent{fill:none;stroke:var(--spent);stroke-width:2}.budget{stroke:var(--budget);stroke-dasharray:5 4}svg .budget-label{fill:var(--budget)}
        code{font-size:12px;overflow-wrap:anywhere}ul{margin:6px 0;padding-left:20px}
        @media print{body{margin:0;max-width:none;font-size:12px}h2{margin:12px 0 4px}}
        """;

    /// <returns>A whole document, UTF-8 by its own word.</returns>
    public static string Html(PrivacyReport report)
    {
        StringBuilder page = new();
        string one = Unit(report.Unit);
        page.Append($"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>Privacy report: {Encode(report.DataSet)}</title><style>{Style}</style></head><body>\n");
        page.Append($"<h1>Privacy report: {Encode(report.DataSet)}</h1><p class=\"dim\">{Invariant($"{report.Generated.UtcDateTime:yyyy-MM-dd HH:mm}")} UTC. {Period(report)}</p>\n");
        page.Append(report.Valid
            ? $"<p class=\"verdict good\">✓ The ledger is whole: all {report.Records} records are as they were signed, in order, none missing.</p>\n"
            : $"<p class=\"verdict bad\">✗ The ledger is not whole. The figures below may be too low; do not rely on them.</p><ul>{string.Concat(report.Problems.Take(10).Select(problem => $"<li>{Encode(problem)}</li>"))}</ul>\n");
        page.Append($"<div class=\"boxes\"><div class=\"box\">Spent<b>ε = {Number(report.Epsilon)}</b></div><div class=\"box\">Budget<b>{(report.Budget is { } budget ? "ε = " + Number(budget.Epsilon) : "none set")}</b></div><div class=\"box\">Left<b>{(report.Remaining is { } left ? "ε = " + Number(left) : "–")}</b></div><div class=\"box\">An attacker is right<b>≤ {Percent(report.Attack.Success)}</b></div></div>\n");
        page.Append($"<h2>What this means</h2><p>{Meaning(report, one)}</p>\n{Attack(report, one)}");
        page.Append($"<h2>Spent over time</h2>{EpsilonPicture.Svg(report.OverTime, report.Budget?.Epsilon)}\n");
        page.Append($"<h2>What was released, and to whom</h2>{Releases(report)}\n");
        page.Append($"<h2>How to read this</h2><ul>{string.Concat(Notes(report, one).Select(note => $"<li>{note}</li>"))}</ul>\n");
        page.Append($"<p class=\"dim\">Ledger <code>{Encode(report.Ledger)}</code>, signed by the key <code>{Encode(report.KeySha256 ?? "unknown")}</code>. Anybody with the ledger file can check this page: <code>fed privacy verify</code>, <code>fed privacy report</code>.</p>\n</body></html>\n");
        return page.ToString();
    }

    private static string Meaning(PrivacyReport report, string one)
    {
        if (report.Releases.Count == 0) return "Nothing has been released from this data set.";
        if (double.IsPositiveInfinity(report.Epsilon)) return $"Something was released <strong>without noise</strong>. There is no bound on what it tells about {one}: whoever receives it may learn everything that it holds.";
        return $"Noise was added to everything listed below. Whoever sees all of it, and knows everything else about the data, still cannot tell well whether {one} {(report.Relation == "replace-one" ? "is the real one or was exchanged for another" : "is in it")}: each conclusion that he draws would have been at most e<sup>ε</sup> = {Number(Math.Exp(report.Epsilon))} times less likely without, but for a chance of δ = {Number(report.Delta)}.";
    }

    private static string Attack(PrivacyReport report, string one)
    {
        if (report.Releases.Count == 0) return "";
        AttackBounds attack = report.Attack;
        return $"""
            <table><caption>The most that any attacker can reach who sees every release and has to find out whether {one} is in the data</caption>
            <tr><td>He is right, where it is as likely as not (50 % is guessing)</td><td class="number">at most {Percent(attack.Success)}</td></tr>
            <tr><td>Of those that are in it he finds, with one false alarm in a hundred (1 % is guessing)</td><td class="number">at most {Percent(attack.DetectionAtOnePercent)}</td></tr>
            <tr><td>… with one false alarm in a thousand (0.1 % is guessing)</td><td class="number">at most {Percent(attack.DetectionAtOnePerMille)}</td></tr>
            <tr><td>Undecided before, he can be so sure in the cases that tell most (1 % false alarms)</td><td class="number">at most {Percent(attack.BeliefFromHalf)}</td></tr></table>

            """;
    }

    private static string Releases(PrivacyReport report)
    {
        if (report.Releases.Count == 0) return "<p>Nothing yet.</p>";
        StringBuilder table = new("<table><thead><tr><th>Run</th><th>What</th><th>To</th><th class=\"number\">Times</th><th>When (UTC)</th><th>Protected by</th><th class=\"number\">ε alone</th></tr></thead><tbody>\n");
        foreach (ReleaseGroup group in report.Releases.TakeLast(MostRows))
        {
            string when = group.First.UtcDateTime.Date == group.Last.UtcDateTime.Date ? Invariant($"{group.Last.UtcDateTime:yyyy-MM-dd}") : Invariant($"{group.First.UtcDateTime:yyyy-MM-dd} to {group.Last.UtcDateTime:yyyy-MM-dd}");
            string unconfirmed = group.Unconfirmed > 0 ? $"<br>{group.Unconfirmed} unconfirmed" : "";
            table.Append($"<tr><td>{Encode(group.Run)}</td><td class=\"short\">{Encode(group.Purpose)}</td><td>{Encode(group.Recipient)}</td><td class=\"number\">{group.Count}{unconfirmed}</td><td>{when}</td><td>{string.Join("<br>", group.Mechanisms.Take(5).Select(Encode))}{(group.Mechanisms.Count > 5 ? $"<br>and {group.Mechanisms.Count - 5} more" : "")}</td><td class=\"number\">{Number(group.Epsilon)}</td></tr>\n");
        }

        table.Append("</tbody></table>");
        if (report.Releases.Count > MostRows) table.Append($"<p class=\"dim\">The newest {MostRows} of {report.Releases.Count} groups; <code>--json</code> has all.</p>");
        return table.ToString();
    }

    private static IEnumerable<string> Notes(PrivacyReport report, string one)
    {
        yield return $"<strong>Protected unit:</strong> {one}. Two data sets count as neighbours if they differ by {(report.Relation == "replace-one" ? $"{one} exchanged for another" : $"{one} more or less")} (<code>{Encode(report.Relation)}</code>).{(report.Unit == "record" ? " Somebody with several records is protected less." : "")} Whoever is recorded at several sites of one run is protected less, too.";
        yield return $"<strong>ε</strong> bounds what the releases tell, all of them together; 0 is nothing, and small is good: up to about 1 is strong, beyond about 10 little is left. <strong>δ</strong> = {Number(report.Delta)} is the chance that the bound fails. ε of several rows together is less than their sum. Computed by the {Encode(report.Accountant)} accountant, whose figure is never below the exact one for these releases.";
        if (report.EpsilonOutside < report.Epsilon) yield return $"Sites shared the noise of some releases. The figures here are <strong>against a coalition</strong> of as many contributors as the runs name, who pool what they know of it, and hold only while the others keep their parts to themselves and the sums alone are opened (secure aggregation). Against everybody who knows no part of the noise, the coordinator too, they come to ε = {Number(report.EpsilonOutside)}.";
        if (report.Releases.Any(group => group.Purpose == Release.EntrustedUpdate)) yield return $"Releases marked <em>{Release.EntrustedUpdate}</em> were updates that their recipient saw <strong>without noise</strong>, trusted to add it. The figures here are against everybody who sees no more than the models; against that recipient, and whoever reads its files, there is <strong>no differential privacy</strong>.";
        yield return "The bound holds whatever an attacker knows besides, now or later, and however he computes, if the node was run as published and its random numbers are unknown to him. Not counted: the rounding of sums in 32-bit numbers, how long computations take, and that this site took part, or failed to.";
        if (report.Unconfirmed > 0) yield return $"{report.Unconfirmed} releases were paid for and never confirmed: they may not have left, and count all the same.";
        if (report.Losses > 0) yield return $"Records of this ledger were lost {report.Losses} times; what they had reserved was charged when the loss was accepted.";
        if (report.Budget is null) yield return "No budget is set: releases are recorded, and none is refused.";
    }

    private static string Period(PrivacyReport report) => report.First is { } first && report.Last is { } last ? Invariant($"Releases from {first.UtcDateTime:yyyy-MM-dd} to {last.UtcDateTime:yyyy-MM-dd}.") : "No releases.";

    private static string Unit(string unit) => unit switch
    {
        "person" => "one person, with everything recorded of them at this site",
        "site" => "this whole site, with all of its records",
        _ => "one record",
    };

    private static string Number(double value) => double.IsPositiveInfinity(value) ? "∞" : value is > 0 and < 1e-3 or >= 1e6 ? value.ToString("0.##e+0", CultureInfo.InvariantCulture) : value.ToString("G4", CultureInfo.InvariantCulture);

    // Rounded up: these are upper bounds.
    private static string Percent(double share) => (Math.Ceiling(share * 1000) / 10).ToString("0.#", CultureInfo.InvariantCulture) + " %";

    private static string Encode(string text) => WebUtility.HtmlEncode(text);
}
