using Federation.Formats.Runs;
using Federation.Learning.Optimizers;
using TorchSharp;

namespace Federation.Learning.Training;

/// <summary>The learning rate of each step of a site's training in one round, where the spec's schedule is over steps: as if each round of the run had as many.</summary>
internal sealed class StepRates
{
    private readonly LearningRateSchedule? _schedule;
    private readonly double _rate;
    private readonly long _before, _total;

    /// <param name="round">From 1. Rounds that were abandoned count too, so there may be more than the spec says; each of those is as the last.</param>
    /// <param name="steps">In the round.</param>
    public StepRates(RunSpec spec, int round, long steps)
    {
        (_schedule, _rate) = (spec.Local.RateSchedule is { IsOverSteps: true } schedule ? schedule : null, spec.Local.Optimizer.LearningRate);
        (_before, _total) = (checked((Math.Min(round, spec.Rounds) - 1) * steps), checked(spec.Rounds * steps));
    }

    /// <param name="step">From 0.</param>
    public void Set(torch.optim.Optimizer optimizer, long step)
    {
        if (_schedule is null) return;
        double rate = _rate * _schedule.FactorAt(_before + step, _total);
        if (optimizer is InMemoryOptimizer own) own.LearningRate = rate;
        else foreach (torch.optim.ILearningRateController group in optimizer.ParamGroups) group.LearningRate = rate;
    }
}
