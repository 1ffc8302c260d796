using Federation.Learning.Data;

namespace Federation.Learning.Auditing;

/// <summary>The record whose membership is attacked: within the schema's public ranges, and as far from what the others teach as such a record can be.</summary>
internal static class TargetRecord
{
    /// <summary>The row with the longest features, with the label after its own: its gradient is long, and no other row's points the same way.</summary>
    /// <param name="classes">Of the label.</param>
    public static Rows Of(Rows rows, int classes)
    {
        int longest = Enumerable.Range(0, rows.Count).MaxBy(row => rows.Features.AsSpan(row * rows.Width, rows.Width).ToArray().Sum(value => (double)value * value));
        Rows target = rows.Select([longest]);
        return target with { Labels = [(target.Labels[0] + 1) % classes] };
    }
}
