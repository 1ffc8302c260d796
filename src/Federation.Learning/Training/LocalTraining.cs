using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Models;
using Federation.Learning.Optimizers;
using Federation.Privacy.Canonical;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Training;

/// <summary>One round of training at one site: some epochs over its examples, then the weighted difference to the global model.</summary>
internal static class LocalTraining
{
    /// <param name="module">Holds the global model; holds the trained one afterwards.</param>
    /// <param name="inputs">First dimension: examples.</param>
    /// <param name="loss">Mean loss of a batch from (output, target).</param>
    /// <exception cref="LearningException">The loss or a weight is not finite.</exception>
    public static TrainingResult Run(
        nn.Module<Tensor, Tensor> module, Tensor inputs, Tensor targets, Func<Tensor, Tensor, Tensor> loss, LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
    {
        LocalSpec local = task.Spec.Local;
        ModuleState.Load(module, start);
        // Own modules may draw from Torch's generator (dropout); this makes them repeatable. Nothing private comes from it.
        random.manual_seed(unchecked((long)DerivedSeed.For(task.Spec.Seed, "module", (ulong)round, task.Site)));
        var shuffle = new SeededGenerator(DerivedSeed.For(task.Spec.Seed, "data-order", (ulong)round, task.Site));
        using optim.Optimizer optimizer = CreateOptimizer(module, local.Optimizer, GradientCorrection.Of(module, task, start));
        using WeightAverage? average = WeightAverage.Of(module, local);
        long count = inputs.shape[0], steps = 0, perEpoch = (count + local.BatchSize - 1) / local.BatchSize;
        var rates = new StepRates(task.Spec, round, checked(perEpoch * local.Epochs));
        double before = task.Spec.Strategy.Kind == StrategyKind.QFedAvg ? MeanLoss(module, inputs, targets, loss, cancellationToken) : double.NaN, mean = 0;
        module.train();
        for (int epoch = 0; epoch < local.Epochs; epoch++)
        {
            using IDisposable scope = NewDisposeScope();
            Tensor order = tensor(shuffle.Order((int)count).Select(index => (long)index).ToArray(), device: inputs.device);
            double sum = 0;
            for (long first = 0; first < count; first += local.BatchSize)
            {
                cancellationToken.ThrowIfCancellationRequested();
                using IDisposable step = NewDisposeScope();
                Tensor batch = order.slice(0, first, Math.Min(first + local.BatchSize, count), 1);
                optimizer.zero_grad();
                double number = Accumulate(module, inputs, targets, loss, batch, local.MicroBatchSize ?? local.BatchSize);
                rates.Set(optimizer, steps);
                optimizer.step();
                average?.Add();
                steps++;
                if (!double.IsFinite(number)) throw new LearningException($"The training loss became {number} in round {round}. A lower local.optimizer.learningRate helps.");
                sum += number * batch.shape[0];
            }

            mean = sum / count;
            task.EpochEnded?.Invoke(epoch + 1, mean);
        }

        average?.Apply();
        return new TrainingResult(WeightedDelta(start, ModuleState.Of(module), count, round), (ulong)count, mean)
        {
            Steps = steps,
            StartLoss = before,
            Buffers = module.named_buffers().Select(buffer => buffer.name).ToHashSet(),
        };
    }

    /// <summary>Adds the gradient of a batch's mean loss to the parameters', a part of the batch at a time.</summary>
    /// <returns>The mean loss.</returns>
    private static double Accumulate(nn.Module<Tensor, Tensor> module, Tensor inputs, Tensor targets, Func<Tensor, Tensor, Tensor> loss, Tensor batch, long atOnce)
    {
        long size = batch.shape[0];
        if (atOnce >= size) return Backward(module, inputs, targets, loss, batch, 1);
        double sum = 0;
        for (long first = 0; first < size; first += atOnce)
        {
            using IDisposable scope = NewDisposeScope();
            long last = Math.Min(first + atOnce, size);
            sum += Backward(module, inputs, targets, loss, batch.slice(0, first, last, 1), (double)(last - first) / size);
        }

        return sum;
    }

    /// <returns>The mean loss, times the part.</returns>
    private static double Backward(nn.Module<Tensor, Tensor> module, Tensor inputs, Tensor targets, Func<Tensor, Tensor, Tensor> loss, Tensor batch, double part)
    {
        Tensor value = loss(module.call(inputs.index_select(0, batch)), targets.index_select(0, batch));
        using Scalar share = part;
        (part == 1 ? value : value.mul(share)).backward();
        return value.to(ScalarType.Float64).item<double>() * part;
    }

    /// <summary>Over all examples, as for evaluation.</summary>
    private static double MeanLoss(nn.Module<Tensor, Tensor> module, Tensor inputs, Tensor targets, Func<Tensor, Tensor, Tensor> loss, CancellationToken cancellationToken)
    {
        const long atOnce = 4096;
        using IDisposable noGrad = no_grad();
        module.eval();
        double sum = 0;
        for (long first = 0; first < inputs.shape[0]; first += atOnce)
        {
            cancellationToken.ThrowIfCancellationRequested();
            using IDisposable scope = NewDisposeScope();
            long last = Math.Min(first + atOnce, inputs.shape[0]);
            sum += loss(module.call(inputs.slice(0, first, last, 1)), targets.slice(0, first, last, 1)).to(ScalarType.Float64).item<double>() * (last - first);
        }

        return sum / inputs.shape[0];
    }

    /// <summary>(trained − start) × weight, each value rounded to float32 once.</summary>
    internal static ModelState WeightedDelta(ModelState start, ModelState trained, long weight, int round)
    {
        if (trained.FirstNonFinite() is { } bad) throw new LearningException($"A weight is not finite after round {round}: {bad} A lower local.optimizer.learningRate helps.");
        List<NamedTensor> deltas = [];
        foreach ((NamedTensor before, NamedTensor after) in start.Tensors.Zip(trained.Tensors))
        {
            float[] delta = new float[before.Values.Length];
            for (int i = 0; i < delta.Length; i++) delta[i] = (float)(((double)after.Values[i] - before.Values[i]) * weight);
            deltas.Add(new NamedTensor(before.Name, before.Shape, delta));
        }

        var state = new ModelState(deltas);
        return state.FirstNonFinite() is { } overflow ? throw new LearningException($"The update of round {round} does not fit float32: {overflow}") : state;
    }

    /// <summary>One of our own where it can take the module's parameters, else Torch's.</summary>
    /// <param name="correction">Added to each step's gradient; null: nothing is.</param>
    internal static optim.Optimizer CreateOptimizer(nn.Module module, OptimizerSpec spec, GradientCorrection? correction = null)
    {
        if (!InMemoryOptimizer.CanTake(module)) return correction is null ? OfTorch(module, spec) : correction.Around(OfTorch(module, spec));
        return spec.Kind == OptimizerKind.Sgd ? new Sgd(module, spec, correction) : new Adam(module, spec, correction);
    }

    internal static optim.Optimizer OfTorch(nn.Module module, OptimizerSpec spec) => spec.Kind switch
    {
        OptimizerKind.Sgd => optim.SGD(module.parameters(), spec.LearningRate, spec.Momentum, weight_decay: spec.WeightDecay),
        OptimizerKind.Adam => optim.Adam(module.parameters(), spec.LearningRate, weight_decay: spec.WeightDecay),
        OptimizerKind.AdamW => optim.AdamW(module.parameters(), spec.LearningRate, weight_decay: spec.WeightDecay),
        _ => throw new ArgumentOutOfRangeException(nameof(spec), spec.Kind, "No such optimizer."),
    };
}
