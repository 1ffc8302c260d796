using System.Globalization;
using Federation.Formats;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Privacy.SecureAggregation;

namespace Federation.Simulation;

/// <summary>Everything that is wrong with a simulation, before anything is trained.</summary>
internal static class SimulationCheck
{
    /// <exception cref="InvalidInputException">Every problem.</exception>
    public static void Of(SimulationInput input)
    {
        List<Problem> problems = [.. Unsupported(input.Spec), .. OfClients(input), .. OfTask(input)];
        if (problems.Count > 0) throw new InvalidInputException(problems);
    }

    /// <summary>What shows beside the model.</summary>
    /// <exception cref="InvalidInputException">The run does not fit the memory, or its updates cannot be encoded.</exception>
    public static void OfModel(SimulationInput input, ModelState model, int workers, long available)
    {
        RunSpec spec = input.Spec;
        int cohort = CohortOf(spec, input.Simulation.Clients);
        // A worker has weights, gradients, an optimizer's two moments and an update; in the clear a round keeps all of its updates.
        long size = model.Header.DataLength, each = checked(8 * size), updates = checked((spec.SecureAggregation is null ? (long)cohort : 4) * size), examples = (long)input.Partition.Clients.Max(client => client.Count) * input.Train.Values * sizeof(float) * 3;
        long needed = checked((workers * (each + examples)) + updates + (6 * size));
        if (needed > available)
        {
            throw new InvalidInputException(new Problem(
                string.Create(CultureInfo.InvariantCulture, $"needs about {Mebibytes(needed)} MiB (a model of {Mebibytes(size)} MiB, {workers} workers, rounds of {cohort} clients); {Mebibytes(available)} MiB are available."),
                Field: "simulation", Repair: spec.SecureAggregation is null ? "Fewer workers, a smaller cohort.count or a smaller model is right." : "Fewer workers or a smaller model is right."));
        }

        if (spec.SecureAggregation is null) return;
        try
        {
            SecureEncoding.Of(spec, UpdateShape.Of(spec, model.Header).Values, cohort);
        }
        catch (UpdateLayoutException error)
        {
            throw new InvalidInputException(new Problem($"A sum over {cohort} clients cannot be encoded: {error.Message}", Field: "secureAggregation"));
        }
    }

    /// <summary>How many clients a round asks at most.</summary>
    public static int CohortOf(RunSpec spec, int clients) => spec.Cohort.Draw is { } draw ? Math.Min(draw.Of(clients, spec.Cohort.MinContributors).Asked, clients) : clients;

    private static IEnumerable<Problem> Unsupported(RunSpec spec)
    {
        if (spec.Strategy.Kind is StrategyKind.Scaffold or StrategyKind.FedBuff or StrategyKind.Custom) yield return new Problem($"is {spec.Strategy.Kind.ToString().ToLowerInvariant()}, which is not simulated: {(spec.Strategy.Kind == StrategyKind.FedBuff ? "its rounds overlap" : spec.Strategy.Kind == StrategyKind.Scaffold ? "every client would keep a control variate" : "it is in a coordinator's own program")}.", Field: "strategy.kind", Repair: "Choose another strategy, or run it on real nodes.");
        if (spec.Personal is { Tensors.Count: > 0 }) yield return new Problem("is not simulated: every client would keep a model part of its own.", Field: "personal", Repair: "Remove it.");
        if (spec.Privacy is { Unit: DpUnit.Person }) yield return new Problem("is person; a simulation's examples do not say whose they are.", Field: "privacy.unit", Repair: "Write record or site.");
        if (spec.Cohort.Labels is not null) yield return new Problem("choose among sites; a simulation's clients have no labels.", Field: "cohort.labels", Repair: "Remove it.");
    }

    private static IEnumerable<Problem> OfClients(SimulationInput input)
    {
        int clients = input.Simulation.Clients;
        CohortSpec cohort = input.Spec.Cohort;
        if (cohort.Sites is { } sites && sites.Count != clients) yield return new Problem($"is {clients}, and cohort.sites lists {sites.Count} sites.", Field: "simulation.clients", Repair: $"Write {sites.Count}, or sites: all.");
        if (clients > input.Train.Count) yield return new Problem($"is {clients}; {input.Train.Name} has {input.Train.Count} training examples, and every client needs one.", Field: "simulation.clients", Repair: $"At most {input.Train.Count} is right.");
        else if (input.Partition.Clients.Count != clients) yield return new Problem($"is {clients}, and the partition has {input.Partition.Clients.Count} clients.", Field: "simulation.clients", Repair: $"Write {input.Partition.Clients.Count}.");
        int[] empty = [.. Enumerable.Range(0, input.Partition.Clients.Count).Where(client => input.Partition.Clients[client].Count == 0)];
        if (empty.Length > 0) yield return new Problem($"leaves {empty.Length} of {input.Partition.Clients.Count} clients without an example (the first is number {empty[0] + 1}).", Field: "simulation.partition", Repair: "Fewer clients, or a more even partition, is right.");
        if (cohort.MinContributors > clients) yield return new Problem($"is {cohort.MinContributors}; there are {clients} clients.", Field: "cohort.minContributors", Repair: $"At most {clients} is right.");
        if (cohort.Draw?.Count > clients) yield return new Problem($"is {cohort.Draw.Count}; there are {clients} clients.", Field: "cohort.count", Repair: $"At most {clients} is right.");
    }

    private static IEnumerable<Problem> OfTask(SimulationInput input)
    {
        if (input.IsBinary && input.Train.Classes != 2) yield return new Problem($"is binary-classification; {input.Train.Name} has {input.Train.Classes} classes.", Field: "task.kind", Repair: "Write multiclass-classification, or leave task out.");
        if (input.Spec.Model.Kind == ModelKind.Custom && input.CreateModule is null) yield return new Problem("is custom: a module of the user's own program.", Field: "model.kind", Repair: "Write logistic or mlp, or start the program that holds the module.");
        if (input.Test is { } test && (test.Values != input.Train.Values || test.Classes != input.Train.Classes)) yield return new Problem($"Test examples have {test.Values} values and {test.Classes} classes, training examples {input.Train.Values} and {input.Train.Classes}.", Field: "simulation.data");
    }

    private static long Mebibytes(long bytes) => (bytes + (1 << 20) - 1) >> 20;
}
