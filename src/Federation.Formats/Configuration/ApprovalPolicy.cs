using Federation.Formats.Runs;

namespace Federation.Formats.Configuration;

/// <summary>Who has to sign a run before a site takes part in it, and what alone may run there.</summary>
/// <param name="Submitters">The only ones whose runs are taken part in; null: anybody's, signed or not.</param>
/// <param name="Cosigners">Null: nobody else has to sign.</param>
/// <param name="Specs">Hashes of the only specs; null: any.</param>
/// <param name="Models">Hashes of the only initial models; null: any.</param>
public sealed record ApprovalPolicy(IReadOnlyList<NamedKey>? Submitters, CosignerPolicy? Cosigners, IReadOnlyList<string>? Specs, IReadOnlyList<string>? Models)
{
    /// <summary>Whether signatures are asked for: then a submission is one run.</summary>
    public bool AsksForSignatures => Submitters is not null || Cosigners is not null;

    /// <summary>Holds a run against this policy.</summary>
    /// <param name="federationSha256">Of the key of this site's own CA.</param>
    /// <param name="trains">The run has a model.</param>
    public ApprovalAnswer Check(string federationSha256, string specYaml, string schemaYaml, SignedSubmission submission, bool trains)
    {
        // What is named nowhere is in no list and under no signature.
        if (trains && submission.InitialModelSha256.Length == 0) return new("The coordinator does not say what the run's initial model is; this site's policy asks for approvals, which are of that model too.", []);
        byte[] signed = submission.ToSign(federationSha256, specYaml, schemaYaml);
        return Refused(submission, signed) is { } refusal ? new(refusal, []) : new(null, [.. Unlisted(submission.SpecSha256(specYaml, schemaYaml), submission.InitialModelSha256), .. Unsigned(submission, signed)]);
    }

    /// <summary>What this policy's lists lack, one sentence each.</summary>
    public IEnumerable<string> Unlisted(string specSha256, string initialModelSha256)
    {
        if (Specs?.Contains(specSha256) == false) yield return $"This site has not approved the spec {RosterPin.Prefix}{specSha256}; 'approved: {{ specs: […] }}' in the policy of its node.yaml does.";
        if (initialModelSha256.Length > 0 && Models?.Contains(initialModelSha256) == false) yield return $"This site has not approved the initial model {RosterPin.Prefix}{initialModelSha256}; 'approved: {{ models: […] }}' in the policy of its node.yaml does.";
    }

    private string? Refused(SignedSubmission submission, byte[] signed)
    {
        if (submission.Submitter is not { } submitter)
        {
            if (Submitters is not null) return $"The run is not signed; this site takes part in runs that {NamedKey.List(Submitters, "or")} submitted. `fed run submit SPEC --key FILE` signs one.";
            return Cosigners is not null && submission.Nonce.Length != SignedSubmission.NonceBytes ? "The run was submitted in a way that nobody can co-sign; this site's policy asks for co-signatures. `fed run submit` submits one that can be." : null;
        }

        if (!submitter.Signs(signed)) return "The submitter's signature is not of this run: its spec, its schema or its initial model is another than was signed, or the federation is.";
        return Submitters?.Any(key => key.Sha256 == submitter.KeySha256) == false ? $"The run was submitted with the key {RosterPin.Prefix}{submitter.KeySha256}; this site takes part in runs that {NamedKey.List(Submitters, "or")} submitted." : null;
    }

    private IEnumerable<string> Unsigned(SignedSubmission submission, byte[] signed)
    {
        if (Cosigners is not { } asked) yield break;
        byte[] approved = SignedSubmission.ToApprove(signed);
        NamedKey[] missing = [.. asked.Keys.Where(key => !submission.Approvals.Any(approval => approval.KeySha256 == key.Sha256 && approval.Signs(approved)))];
        int there = asked.Keys.Count - missing.Length;
        if (there < asked.Required) yield return $"This site waits for co-signatures: {there} of {asked.Required} are there, and {NamedKey.List(missing, "or")} can still sign (`fed run approve`).";
    }
}

/// <summary>Of so many of these organisations or people, each with a key.</summary>
public sealed record CosignerPolicy(int Required, IReadOnlyList<NamedKey> Keys);

/// <param name="Name">For people; nothing is decided by it.</param>
/// <param name="Sha256">Of the key's SubjectPublicKeyInfo.</param>
public sealed record NamedKey(string Name, string Sha256)
{
    /// <summary>'ann', 'bob' or 'eve'.</summary>
    public static string List(IReadOnlyList<NamedKey> keys, string and)
    {
        string[] names = [.. keys.Select(key => $"'{key.Name}'")];
        return names.Length < 2 ? string.Concat(names) : $"{string.Join(", ", names[..^1])} {and} {names[^1]}";
    }
}

/// <param name="Refusal">Why the run is never taken part in; null: nothing is wrong with it.</param>
/// <param name="Missing">What may still come, one sentence each.</param>
public sealed record ApprovalAnswer(string? Refusal, IReadOnlyList<string> Missing);
