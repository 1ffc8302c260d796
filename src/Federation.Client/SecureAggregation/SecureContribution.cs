using System.Security.Cryptography;
using System.Text;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.V1;
using Microsoft.Extensions.Logging;
using Opening = Federation.Privacy.SecureAggregation.Opening;

namespace Federation.Client.SecureAggregation;

/// <summary>A site's contributions: checks everything that a round says before it trains, and writes the encrypted file that is stored and sent.</summary>
internal sealed class SecureContribution(Node.NodeClient client, NodeFolder folder, string site, ECDsa identity, NodePolicy policy, CommitteeStore store, int threads, ILogger logger)
{
    private (string Certificate, string Roster, string Test, (EpochCertificate, Roster) Checked)? _keys;

    /// <summary>The round, if it is what the run's own spec says, under a key that this site has checked.</summary>
    /// <param name="specYaml">As this site keeps it.</param>
    /// <param name="purpose">What this task is for; the coordinator does not choose it.</param>
    /// <exception cref="ProtocolException">Something does not hold; says what was tried.</exception>
    /// <exception cref="FormatException">Bytes of the coordinator are not what they should be.</exception>
    public async Task<SiteRound> CheckAsync(LearningTask task, string specYaml, string schemaYaml, SecureRound secure, string purpose, int round, string modelSha256, int values, CancellationToken cancellationToken)
    {
        if (task.Spec.SecureAggregation is null) throw new ProtocolException(Refusal.AnotherOpening, "The coordinator asks for an encrypted contribution; the run's spec says 'secureAggregation: none'.");
        if (secure.Purpose != purpose) throw new ProtocolException(Refusal.AnotherOpening, $"The coordinator asks for a contribution to '{secure.Purpose}' where only one to '{purpose}' is given.");
        (EpochCertificate certificate, Roster roster) = await KeysAsync(task.RunId, secure, cancellationToken);
        store.See(task.RunId, certificate.Descriptor.Epoch, Convert.ToHexStringLower(certificate.Hash));
        RoundDescriptor descriptor = RoundDescriptor.Decode(secure.Descriptor_.Span);
        Same(descriptor.RunSpec, RoundDescriptor.HashOf(specYaml), "The round is described for another run spec than the one this site agreed to");
        Same(descriptor.LocalTraining, RoundDescriptor.HashOf(schemaYaml), "The round is described for other training settings");
        Same(descriptor.Model, Convert.FromHexString(modelSha256), "The round is described for another model than the one sent to this site");
        if (!descriptor.Cohort.Contains(site)) throw new ProtocolException(Refusal.NotInCohort, $"'{site}' is not in the cohort that the round describes.");
        if (descriptor.Cohort.FirstOrDefault(other => !roster.Sites.ContainsKey(other)) is { } unknown) throw new ProtocolException(Refusal.NotInRoster, $"The cohort names '{unknown}', which is not in roster {roster.Version}.");
        int least = Math.Max(task.Spec.Cohort.MinContributors, policy.MinContributors);
        if (descriptor.MinContributors < least) throw new ProtocolException(Refusal.BelowPolicy, $"The round would be opened with {descriptor.MinContributors} contributors; spec and policy ask for {least}.");
        if ((descriptor.MaxColluding, descriptor.Weights) != (SecureEncoding.MaxColluding(task.Spec), SecureEncoding.Weights(task.Spec))) throw new ProtocolException(Refusal.AnotherOpening, "The round describes other weights, or another share of the noise, than the spec means.");
        double? clip = task.Spec.Privacy is { Unit: DpUnit.Site } ? descriptor.Encoding?.Clip : null;
        if (clip is { } whole && !SiteClip.IsPossible(task.Spec.Privacy!, whole)) throw new ProtocolException(Refusal.AnotherOpening, $"The round clips each site's update to {SiteClip.Of(task.Spec.Privacy!, whole):g4}, which the spec's clip of {task.Spec.Privacy!.Clip:g4} cannot have come to.");
        UpdateEncoding? expected = secure.Purpose == Opening.Update ? SecureEncoding.Of(task.Spec, values, descriptor.Cohort.Count, clip) : null;
        if (!(expected?.Encode() ?? []).AsSpan().SequenceEqual(descriptor.Encoding?.Encode() ?? [])) throw new ProtocolException(Refusal.AnotherOpening, "The round describes another encoding than the spec means: other clipping, grid, noise or weights.");
        return new(new Opening(task.RunId, certificate.Descriptor.Epoch, (ulong)round, secure.Purpose), descriptor, certificate);
    }

    /// <summary>Whether this site may contribute anew.</summary>
    /// <exception cref="ProtocolException">It has contributed to the model, and that sum was opened as far as it knows.</exception>
    public void RequireNew(SiteRound round)
    {
        Opening opening = round.Opening;
        OpeningRecord? record = null; // read only if it matters: it holds every answer
        ContributionRule.Check(opening.Run, (int)opening.Round, opening.Purpose, ModelOf(round), store.Contributions(opening.Run), past => (record ??= store.Record()).HasAnswered(opening.Run, past, opening.Purpose));
    }

    /// <summary>Makes a contribution known to this site's later self, before anything of it leaves.</summary>
    public void Remember(string run, int round, string purpose, StoredUpdate update) => store.Add(run, new(round, purpose, update.ModelSha256, update.Rounding));

    /// <summary>Writes the contribution of a trained update.</summary>
    /// <param name="task">The run's seed fixes the rounding, so that a run repeats, unless a contribution with that very rounding has left this site before.</param>
    public async Task<WrittenUpdate> WriteAsync(string path, SiteRound round, TrainingResult result, LearningTask task, CancellationToken cancellationToken)
    {
        double weight = Math.Min(result.Weight, round.Descriptor.Encoding!.LargestWeight);
        byte[] roundingKey = SecureEncoding.RoundingKey(task.Spec, round.Opening.Round, site, round.Descriptor.Model);
        // The same integers are not encrypted twice: not in another run of the same spec either, nor after the stored bytes were lost.
        if (store.HasRounded(Sha256Hex.Of(roundingKey))) RandomNumberGenerator.Fill(roundingKey);
        float[] update = Values(result.WeightedDelta, result.Weight);
        if (task.Spec.Privacy is { Unit: DpUnit.Site } privacy)
        {
            float[] vector = SiteClip.Vector(privacy, update, round.Descriptor.Encoding.Clip);
            update.AsSpan().Clear();
            update = vector;
        }

        try
        {
            StoredUpdate.Forget(path);
            await using FileStream file = new(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
            using SecureRandom random = new(), noise = task.NoiseOf(round.Opening.Purpose, (int)round.Opening.Round);
            (SignedMessage header, EncodedUpdate encoded) = await ContributionFile.WriteUpdateAsync(file, round, site, identity, update, weight, roundingKey, random, task.Spec.Privacy is { InsecureSeededNoise: true } ? 1 : threads, cancellationToken, noise);
            file.Flush(flushToDisk: true);
            ModelState? counted = SiteTraining.IsScaffold(task) ? Filled(result.WeightedDelta, CountedUpdate.Of(round.Descriptor.Encoding, update, weight, roundingKey)) : null;
            return new(Sha256Hex.Of(header.Encode()), Sha256Hex.Of(roundingKey), encoded, counted);
        }
        finally
        {
            update.AsSpan().Clear();
        }
    }

    /// <summary>Writes the contribution of whole numbers: evaluation sums, statistics.</summary>
    /// <returns>The SHA-256 of its signed header.</returns>
    public async Task<string> WriteAsync(string path, SiteRound round, ulong[] numbers, CancellationToken cancellationToken)
    {
        StoredUpdate.Forget(path);
        await using FileStream file = new(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16);
        SignedMessage header = await ContributionFile.WriteCountsAsync(file, round, site, identity, numbers, cancellationToken);
        file.Flush(flushToDisk: true);
        return Sha256Hex.Of(header.Encode());
    }

    private async Task<(EpochCertificate Certificate, Roster Roster)> KeysAsync(string run, SecureRound secure, CancellationToken cancellationToken)
    {
        if (_keys is { } known && (known.Certificate, known.Roster, known.Test) == (secure.CertificateSha256, secure.RosterSha256, secure.TestSha256)) return known.Checked;
        Roster roster = Roster.Decode(await ReadAsync(secure.RosterSha256, cancellationToken));
        PinnedRoster.RequireOfKeys(policy, roster);
        EpochCertificate certificate = EpochCertificate.Decode(await ReadAsync(secure.CertificateSha256, cancellationToken));
        certificate.Verify(roster, policy.ToCommittee());
        EpochTest.Verify(certificate, roster, SignedOpeningAnswer.Decode(await ReadAsync(secure.TestSha256, cancellationToken)));
        // A member has said so when it stored its share.
        if (!certificate.Qualified.Any(member => certificate.Descriptor.Members[member - 1] == site)) logger.LogInformation("Run {Run}, key epoch {Epoch}: this site contributes and holds no share; any {Threshold} of {Count} members open a sum. Roster {Version} of {Sites} sites, sha256:{Hash}. {Guarantee}", run, certificate.Descriptor.Epoch, certificate.Descriptor.Threshold, certificate.Qualified.Count, roster.Version, roster.Sites.Count, roster.Hash, policy.Guarantee(roster));
        _keys = (secure.CertificateSha256, secure.RosterSha256, secure.TestSha256, (certificate, roster));
        return (certificate, roster);
    }

    private Task<byte[]> ReadAsync(string sha256, CancellationToken cancellationToken) => BlobDownload.ReadAsync(client, folder, sha256, cancellationToken);

    /// <summary>The mean delta, tensor after tensor in the file's order.</summary>
    private static float[] Values(ModelState weighted, double weight)
    {
        float[] values = new float[weighted.Header.ValueCount];
        foreach (NamedTensor tensor in weighted.Tensors)
        {
            int start = (int)(weighted.Header.Tensors.First(info => info.Name == tensor.Name).Begin / sizeof(float));
            for (int i = 0; i < tensor.Values.Length; i++) values[start + i] = (float)(tensor.Values[i] / weight);
        }

        return values;
    }

    /// <summary>The inverse: other values in the place of a state's.</summary>
    private static ModelState Filled(ModelState like, float[] values) => new(like.Tensors.Zip(like.Header.Tensors, (tensor, info) =>
    {
        int start = (int)(info.Begin / sizeof(float));
        return tensor with { Values = values[start..(start + tensor.Values.Length)] };
    }));

    private static string ModelOf(SiteRound round) => Convert.ToHexStringLower(round.Descriptor.Model);

    private static void Same(ReadOnlySpan<byte> actual, ReadOnlySpan<byte> expected, string what)
    {
        if (!actual.SequenceEqual(expected)) throw new ProtocolException(Refusal.AnotherOpening, $"{what}.");
    }
}

/// <summary>A contribution that was written.</summary>
/// <param name="Sha256">Of its signed header.</param>
/// <param name="Rounding">What names its rounding.</param>
/// <param name="Encoded">What the encoder saw.</param>
/// <param name="Counted">The update as the opened sum holds it, cut and rounded, where the strategy has to know; null: it has not.</param>
internal sealed record WrittenUpdate(string Sha256, string Rounding, EncodedUpdate Encoded, ModelState? Counted);
