using System.Text.Json;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.SecureAggregation;
using Federation.V1;

namespace Federation.Client;

/// <summary>The runs that this site has agreed to: what its policy allows, kept with spec and schema in the run's folder.</summary>
internal sealed class AgreedRuns(NodeFolder folder, string site, NodePolicy policy, RunApproval approval)
{
    private const string SpecFile = "spec.yaml", SchemaFile = "schema.yaml", SubmissionFile = "submission.json";

    private Tuple<LearningTask, string, string>? _parsed; // the last one: most rounds are of the run that the one before was of

    // A file that was cut short or written by another lacks a field: that is no submission.
    private static readonly JsonSerializerOptions s_strict = new() { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    /// <summary>Whether this site has agreed to the run.</summary>
    public bool Has(string runId) => Find(runId) is not null;

    /// <summary>The run as it is kept; null: it is not. What cannot be read, or lacks its schema, was never written to its end.</summary>
    public LearningTask? Find(string runId)
    {
        if (!File.Exists(Path.Combine(folder.Run(runId), SpecFile)) || !File.Exists(Path.Combine(folder.Run(runId), SchemaFile))) return null;
        try
        {
            LearningTask task = Parse(runId, SpecOf(runId), SchemaOf(runId));
            SubmissionOf(runId);
            return task.Schema is not null || task.Spec.Data is null ? task : null;
        }
        catch (Exception error) when (error is ProtocolException or JsonException)
        {
            return null;
        }
    }

    /// <summary>The run if the policy allows it; nothing is kept that a later task could use.</summary>
    /// <exception cref="ProtocolException">The run asks for less than the policy, lacks an approval that it asks for, or is another one than was agreed to under its id.</exception>
    public LearningTask Read(RunDescription run)
    {
        LearningTask task = Parse(run.RunId, run.SpecYaml, run.SchemaYaml);
        RequireTerms(task); // first: nobody is to sign what this site refuses in any case
        SignedSubmission submission = RunApproval.Read(run);
        approval.Require(task, run.SpecYaml, run.SchemaYaml, submission);
        // What a site agreed to stays: a run that was to be encrypted cannot become another one under its name.
        if (Has(run.RunId) && (SpecOf(run.RunId) != run.SpecYaml || SchemaOf(run.RunId) != run.SchemaYaml || !RunApproval.IsSame(SubmissionOf(run.RunId), submission)))
        {
            throw new ProtocolException(Refusal.AnotherOpening, $"The coordinator sent another spec, schema or initial model for run {run.RunId} than the one this site agreed to.");
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
        SignedSubmission submission = RunApproval.Read(run);
        string signatures = JsonSerializer.Serialize(submission), kept = Path.Combine(folder.Run(run.RunId), SubmissionFile);
        bool has = Has(run.RunId);
        if (has && File.Exists(kept) && File.ReadAllText(kept) == signatures) return;
        approval.Keep(run, submission); // before anything is done for it
        WholeFile.Write(kept, signatures); // the same submission may have more signatures now
        if (has) return;
        WholeFile.Write(Path.Combine(folder.Run(run.RunId), SchemaFile), run.SchemaYaml);
        WholeFile.Write(Path.Combine(folder.Run(run.RunId), SpecFile), run.SpecYaml); // last: with it the run counts as known
    }

    public string SpecOf(string runId) => File.ReadAllText(Path.Combine(folder.Run(runId), SpecFile));

    public string SchemaOf(string runId) => File.ReadAllText(Path.Combine(folder.Run(runId), SchemaFile));

    /// <summary>What is kept of the run's signatures; of a run that an older program agreed to, none.</summary>
    /// <exception cref="JsonException">The file was not written to its end, or by another.</exception>
    public SignedSubmission SubmissionOf(string runId)
    {
        string path = Path.Combine(folder.Run(runId), SubmissionFile);
        return File.Exists(path) ? JsonSerializer.Deserialize<SignedSubmission>(File.ReadAllText(path), s_strict) ?? throw new JsonException("null") : RunApproval.None;
    }

    /// <summary>For a run that is kept: before it is trained in.</summary>
    /// <exception cref="ProtocolException">The run asks for less than this site's policy, or lacks an approval; it may have become stricter since the site agreed.</exception>
    public void RequirePolicy(LearningTask task)
    {
        RequireTerms(task);
        approval.Require(task, SpecOf(task.RunId), SchemaOf(task.RunId), SubmissionOf(task.RunId));
    }

    /// <summary>For duties that are not about this site's own records: its part in the run's keys.</summary>
    /// <exception cref="ProtocolException">This site's policy asks for approvals, and the run has not got them here.</exception>
    public void RequireApproval(string runId)
    {
        if (policy.Approval is null) return;
        LearningTask task = Find(runId) ?? throw new ProtocolException(Refusal.NotApproved, $"This site's policy asks for approvals, and it has not agreed to run {runId}: it has no part in the run's keys.");
        approval.Require(task, SpecOf(runId), SchemaOf(runId), SubmissionOf(runId));
    }

    /// <summary>A sum that this site helps to open is of the run that it agreed to: under one id the coordinator could show others another spec, with less noise or none.</summary>
    /// <exception cref="ProtocolException">It is of another spec or schema.</exception>
    public void RequireSame(string runId, RoundDescriptor round)
    {
        if (!Has(runId)) return;
        if (!round.RunSpec.AsSpan().SequenceEqual(RoundDescriptor.HashOf(SpecOf(runId))) || !round.LocalTraining.AsSpan().SequenceEqual(RoundDescriptor.HashOf(SchemaOf(runId))))
        {
            throw new ProtocolException(Refusal.AnotherOpening, $"The sum to be opened is of another spec or schema than the ones of run {runId} that this site agreed to.");
        }
    }

    /// <summary>The model that a run's first round starts from, and round 0 evaluates, is the one that was approved. What later rounds start from nobody can sign beforehand.</summary>
    /// <exception cref="ProtocolException">It is another.</exception>
    public void RequireModel(LearningTask task, int round, string modelSha256)
    {
        if (policy.Approval is null || task.Spec.Statistics is not null || SubmissionOf(task.RunId).InitialModelSha256 is var initial && initial == modelSha256) return;
        throw new ProtocolException(Refusal.NotApproved, $"Round {round} is to begin with the model {modelSha256}; the run's initial model is {initial}.");
    }

    private void RequireTerms(LearningTask task)
    {
        if (policy.Refusals(task.Spec, task.Schema) is [_, ..] weaker) throw new ProtocolException(Refusal.BelowPolicy, string.Join(" ", weaker));
    }

    // Not a mishap of this site's: the words are the coordinator's own, so all of what is wrong with them may be said to it.
    private LearningTask Parse(string runId, string spec, string schema)
    {
        try
        {
            if (_parsed is var (known, itsSpec, itsSchema) && known.RunId == runId && itsSpec == spec && itsSchema == schema) return known;
            LearningTask task = new(runId, site, RunSpec.Parse(spec, SpecFile), schema.Length == 0 ? null : DataSchema.Parse(schema, SchemaFile));
            _parsed = new(task, spec, schema);
            return task;
        }
        catch (InvalidInputException error)
        {
            throw new ProtocolException(Refusal.Malformed, $"The run's spec or schema cannot be read: {error.Message}");
        }
    }
}
