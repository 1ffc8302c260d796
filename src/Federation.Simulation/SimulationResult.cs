using System.Globalization;
using System.Text;
using System.Text.Json.Serialization;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;

namespace Federation.Simulation;

/// <summary>What came of a simulation: metrics.json, and <c>fed simulate --json</c>.</summary>
/// <param name="CompletedRounds">That changed the model.</param>
/// <param name="VirtualSeconds">What it would have taken by the spec's client speeds.</param>
/// <param name="ClientRounds">Updates that were trained and counted.</param>
/// <param name="SecureAggregation">simulated: encoded, rounded and summed as on real nodes, and not encrypted; or none.</param>
/// <param name="Accuracy">On the public test set, like the next; null: it was not evaluated.</param>
/// <param name="Privacy">Null: the spec has none.</param>
public sealed record SimulationResult(
    string Name, int Clients, int Rounds, int CompletedRounds, string Reason, string ModelSha256, string Data, string SecureAggregation, double? Accuracy, double? LogLoss, SimulatedPrivacy? Privacy, double VirtualSeconds, double Seconds, int Workers, long ClientRounds, double ClientRoundsPerSecond)
{
    /// <param name="seconds">Of this process, and the rounds that it trained.</param>
    public static SimulationResult Of(SimulationInput input, SimulatedRun run, int workers, double seconds, long trained)
    {
        Metrics? last = run.Rounds.LastOrDefault(round => round.Evaluation is not null)?.Evaluation;
        return new(
            input.Spec.Name, input.Simulation.Clients, input.Spec.Rounds, run.CompletedRounds, run.Reason, run.Model.Sha256, input.Train.Name, input.Spec.SecureAggregation is null ? "none" : "simulated", last?.Accuracy, last?.LogLoss,
            SimulatedPrivacy.Of(input, run.Model.Header, run.Rounds.Count), run.Rounds.Count == 0 ? 0 : run.Rounds[^1].Seconds, Math.Round(seconds, 3), workers, trained, seconds > 0 ? Math.Round(trained / seconds, 1) : 0);
    }

    /// <summary>rounds.csv.</summary>
    public static string Csv(IEnumerable<SimulatedRound> rounds)
    {
        var text = new StringBuilder("round,virtualSeconds,cohort,contributors,silent,failed,trainingLoss,accuracy,logLoss,modelSha256\n");
        foreach (SimulatedRound round in rounds) text.Append(CultureInfo.InvariantCulture, $"{round.Round},{round.Seconds:F3},{round.Cohort},{round.Contributors},{round.Silent},{round.Failed},{round.Loss},{round.Evaluation?.Accuracy},{round.Evaluation?.LogLoss},{round.ModelSha256}\n");
        return text.ToString();
    }
}

/// <summary>What the run would cost on real nodes, by its spec; a client that is not in every round pays less.</summary>
/// <param name="Private">false: the noise follows from the seed, which is no secret; ε is Infinity.</param>
/// <param name="Epsilon">Of a unit over all rounds, evaluations of the spec included: against <paramref name="MaxColluding"/> contributors who pool what they know, or with own noise against everybody else.</param>
public sealed record SimulatedPrivacy(bool Private, string Unit, string Noise, double NoiseMultiplier, double Delta, double Epsilon, int MaxColluding, string Accountant)
{
    /// <param name="rounds">Opened so far.</param>
    public static SimulatedPrivacy? Of(SimulationInput input, SafetensorsHeader model, int rounds)
    {
        RunSpec spec = input.Spec;
        if (spec.Privacy is not { } privacy) return null;
        double epsilon = privacy.InsecureSeededNoise
            ? double.PositiveInfinity
            : PrivacyCost.Epsilon(PrivacyCost.OfUnit(spec, null, UpdateShape.Charged(spec, model), SimulationCheck.CohortOf(spec, input.Simulation.Clients), rounds, outside: false), privacy.Delta);
        return new(!privacy.InsecureSeededNoise, privacy.UnitName, privacy.Noise.ToString().ToLowerInvariant(), spec.Sigma, privacy.Delta, epsilon, privacy.MaxColluding, "pld");
    }

    [JsonIgnore]
    public string Sentence => !Private
        ? "Not private: the noise follows from the seed (insecureSeededNoise), and whoever knows it can take it off."
        : string.Create(CultureInfo.InvariantCulture, $"On real nodes the run costs each {Unit} at most ε = {Epsilon:g4} at δ = {Delta} (noise multiplier {NoiseMultiplier}, {Noise} noise).");
}
