using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Samples.Mnist.Data;
using Federation.Samples.Training;

namespace Federation.Samples.Mnist;

/// <param name="Losses">Mean training loss of each epoch.</param>
/// <param name="Accuracy">On the images held out.</param>
/// <param name="LogLoss">On the same; mean, natural logarithm.</param>
internal sealed record Trained(ModelState Model, IReadOnlyList<double> Losses, double Accuracy, double LogLoss);

/// <summary>All images in one place: a run of one site and one round.</summary>
internal static class CentralTraining
{
    /// <param name="measured">Has no part in the training, and is looked at once, after it.</param>
    public static Trained Run(RunSpec spec, Digits train, Digits measured, Action<int, double> epochEnded, CancellationToken cancellationToken)
    {
        using var learner = new ModuleLearner(Perceptron.Create, train.ToExamples(), Perceptron.Loss, measured.ToExamples());
        List<double> losses = [];
        var task = new LearningTask("mnist", "central", spec, null)
        {
            EpochEnded = (epoch, loss) =>
            {
                losses.Add(loss);
                epochEnded(epoch, loss);
            },
        };
        ModelState model = InProcessFederation.Train(task, [("central", learner)], Perceptron.Initial(spec.Seed), cancellationToken);
        EvaluationSums sums = learner.Evaluate(task, model, cancellationToken);
        return new Trained(model, losses, (double)sums.Correct / sums.Examples, sums.LogLossSum / sums.Examples);
    }
}
