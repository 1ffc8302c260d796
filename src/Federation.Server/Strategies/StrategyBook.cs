using Federation.Formats;
using Federation.Formats.Runs;

namespace Federation.Server.Strategies;

/// <summary>The strategies that this coordinator has.</summary>
/// <param name="own">By the name that specs call them by; each call makes one for a run, from the numbers of the spec's <c>parameters</c>.</param>
public sealed class StrategyBook(IReadOnlyDictionary<string, Func<IReadOnlyDictionary<string, double>, Strategy>>? own = null)
{
    /// <exception cref="InvalidInputException">A strategy of one's own that this coordinator does not have, or that does not take these numbers.</exception>
    public Strategy Of(StrategySpec spec) => spec.Kind switch
    {
        StrategyKind.FedAvgM => new FedAvgM(spec["learningRate"], spec["momentum"]),
        StrategyKind.FedAdagrad => new FedAdagrad(spec["learningRate"], spec["beta1"], spec["tau"]),
        StrategyKind.FedAdam => new FedAdam(spec["learningRate"], spec["beta1"], spec["beta2"], spec["tau"]),
        StrategyKind.FedYogi => new FedYogi(spec["learningRate"], spec["beta1"], spec["beta2"], spec["tau"]),
        StrategyKind.FedBuff => new FedBuff(spec["learningRate"]),
        StrategyKind.FedNova => new FedNova(),
        StrategyKind.Scaffold => new Scaffold(spec["learningRate"]),
        StrategyKind.QFedAvg => new QFedAvg(),
        StrategyKind.Custom => Own(spec),
        _ => new FedAvg(), // the robust ones make another mean
    };

    private Strategy Own(StrategySpec spec)
    {
        if (own?.GetValueOrDefault(spec.Name!) is not { } make)
        {
            throw new InvalidInputException(new Problem($"This coordinator has no strategy '{spec.Name}'.", Field: "strategy.name", Repair: own is { Count: > 0 } ? Nearest.Repair(spec.Name!, [.. own.Keys]) : "A program of your own starts a coordinator with it: docs/strategies.md."));
        }

        try
        {
            return make(spec.Numbers);
        }
        catch (Exception error) when (error is ArgumentException or KeyNotFoundException)
        {
            throw new InvalidInputException(new Problem($"The strategy '{spec.Name}' does not take these numbers: {error.Message}", Field: "strategy.parameters"));
        }
    }
}
