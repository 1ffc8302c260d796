using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;

namespace Federation.Learning.Auditing;

/// <summary>What a coalition of the run's largest size sees of one site under shared noise: the opened sum of as few contributors as the run allows, less the coalition's own parts. The others' updates are zero, their noise is not.</summary>
internal static class CoalitionView
{
    /// <param name="update">Of the site that is audited.</param>
    /// <returns>The sum, in the update's layout.</returns>
    public static ModelState Opened(RunSpec run, ModelState update, SecureRandom random)
    {
        int contributors = run.Cohort.MinContributors - SecureEncoding.MaxColluding(run), values = update.Tensors.Sum(tensor => tensor.Values.Length);
        EncodedSum sum = new(SecureEncoding.Of(run, values, run.Cohort.MinContributors));
        sum.Add([.. update.Tensors.SelectMany(tensor => tensor.Values)], random);
        for (int site = 1; site < contributors; site++) sum.Add(new float[values], random);
        float[] opened = sum.Open();
        int start = 0;
        return new(update.Tensors.Select(tensor => tensor with { Values = opened[start..(start += tensor.Values.Length)] }));
    }
}
