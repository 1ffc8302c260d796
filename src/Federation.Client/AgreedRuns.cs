using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.SecureAggregation;
using Federation.V1;

namespace Federation.Client;

/// <summary>The runs that this site has agreed to: what its policy allows, kept with spec and schema in the run's folder.</summary>
internal sealed class AgreedRuns(NodeFolder folder, string site, NodePolicy policy)
{
    private const string SpecFile = "spec.yaml", SchemaFile = "schema.yaml";

    /// <summary>Whether this site has agreed to the run.</summary>
    public bool Has(string runId) => Find(runId) is not null;

    /// <summary>The run as it is kept; null: it is not. What cannot be read, or lacks its schema, was never written to its end.</summary>
    public LearningTask? Find(string runId)
    {
        if (!File.Exists(Path.Combine(folder.Run(runId), SpecFile)) || !File.Exists(Path.Combine(folder.Run(runId), SchemaFile))) return null;
        try
        {
            LearningTask task = Parse(runId, SpecOf(runId), SchemaOf(runId));
            return task.Schema is not null || task.Spec.Data is null ? task : null;
        }
        catch (ProtocolException)
        {
            return null;
        }
    }

    /// <summary>The run if the policy allows it; nothing is kept that a later task could use.</summary>
    /// <exception cref="ProtocolException">The run asks for less than the policy, or it is another one than was agreed to under its id.</exception>
    public LearningTask Read(RunDescription run)
    {
        LearningTask task = Parse(run.RunId, run.SpecYaml, run.SchemaYaml);
        RequirePolicy(task);
        // What a site agreed to stays: a run that was to be encrypted cannot become another one under its name.
        if (Has(run.RunId) && (SpecOf(run.RunId) != run.SpecYaml || SchemaOf(run.RunId) != run.SchemaYaml))
        {
            throw new ProtocolException(Refusal.AnotherOpening, $"The coordinator sent another spec or schema for run {run.RunId} than the one this site agreed to.");
        }

        return task;
    }

    /// <summary>This site takes part in the run no more.</summary>
    public void Forget(string runId) => File.Delete(Path.Combine(folder.Run(runId), SpecFile));

    /// <summary>Keeps the run if the policy allows it.</summary>
    /// <exception cref="ProtocolException">As for <see cref="Read"/>.</exception>
    public LearningTask Agree(RunDescription run)
    {
        LearningTask task = Read(run);
        Keep(run);
        return task;
    }

    /// <summary>Keeps a run that was <see cref="Read"/>.</summary>
    public void Keep(RunDescription run)
    {
        if (Has(run.RunId)) return;
        WholeFile.Write(Path.Combine(folder.Run(run.RunId), SchemaFile), run.SchemaYaml);
        WholeFile.Write(Path.Combine(folder.Run(run.RunId), SpecFile), run.SpecYaml); // last: with it the run counts as known
    }

    public string SpecOf(string runId) => File.ReadAllText(Path.Combine(folder.Run(runId), SpecFile));

    public string SchemaOf(string runId) => File.ReadAllText(Path.Combine(folder.Run(runId), SchemaFile));

    /// <exception cref="ProtocolException">The run asks for less than this site's policy; it may have become stricter since the site agreed.</exception>
    public void RequirePolicy(LearningTask task)
    {
        if (policy.Refusals(task.Spec, task.Schema) is [_, ..] weaker) throw new ProtocolException(Refusal.BelowPolicy, string.Join(" ", weaker));
    }

    // Not a mishap of this site's: the words are the coordinator's own, so all of what is wrong with them may be said to it.
    private LearningTask Parse(string runId, string spec, string schema)
    {
        try
        {
            return new(runId, site, RunSpec.Parse(spec, SpecFile), schema.Length == 0 ? null : DataSchema.Parse(schema, SchemaFile));
        }
        catch (InvalidInputException error)
        {
            throw new ProtocolException(Refusal.Malformed, $"The run's spec or schema cannot be read: {error.Message}");
        }
    }
}
