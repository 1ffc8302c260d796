using Federation.Formats.Models;
using Federation.Learning;

namespace Federation.Client;

/// <summary>
/// This site's control variate in a run of SCAFFOLD, durable from round to round, sent nowhere. A site cannot know whether an update that it sent is in the global one: the round may be given up, or this process may die before it hears.
/// So it keeps what each update makes of its control variate under that update's hash, and goes on from the one that the coordinator names, which wrote it down together with the global one. So the global one stays the mean of the sites'.
/// </summary>
internal sealed class OwnControls(NodeFolder folder)
{
    private const string End = ".control.safetensors";

    /// <summary>cᵢ as it is after an update.</summary>
    /// <param name="counted">Hash of the newest update that counts; empty: none does, cᵢ is 0.</param>
    /// <param name="like">For its tensors.</param>
    /// <exception cref="LearningException">It is not kept here.</exception>
    /// <exception cref="Formats.InvalidInputException">What was kept cannot be read.</exception>
    public ModelState At(string runId, string counted, ModelState like)
    {
        if (counted.Length == 0) return like.Zeros();
        return Files(runId).FirstOrDefault(file => file.Update == counted) is { Path: not null } kept
            ? ModelState.Read(kept.Path)
            : throw new LearningException($"The coordinator counts this site's update {counted}, and what that made of its control variate is not kept here: it was lost, or the run goes on from an old backup. Submit the run anew.");
    }

    /// <summary>Keeps what a round's update makes of it; before anything of the update is stored.</summary>
    /// <param name="counted">As in <see cref="At"/>. All before this round but that one can count no more.</param>
    /// <param name="update">Hash of the update.</param>
    public void Keep(string runId, int round, string counted, string update, ModelState own)
    {
        own.Save(Path.Combine(folder.Run(runId), FormattableString.Invariant($"{round}.{update}{End}")));
        foreach (Kept file in Files(runId).Where(file => file.Round < round && file.Update != counted).ToArray()) File.Delete(file.Path);
    }

    /// <summary>The run is over.</summary>
    public void Forget(string runId)
    {
        foreach (string file in Directory.EnumerateFiles(folder.Run(runId), "*" + End).ToArray()) File.Delete(file);
    }

    private IEnumerable<Kept> Files(string runId)
    {
        foreach (string path in Directory.EnumerateFiles(folder.Run(runId), "*" + End))
        {
            if (Path.GetFileName(path)[..^End.Length].Split('.') is [var round, var update] && int.TryParse(round, out int number)) yield return new(path, number, update);
        }
    }

    private sealed record Kept(string Path, int Round, string Update);
}
