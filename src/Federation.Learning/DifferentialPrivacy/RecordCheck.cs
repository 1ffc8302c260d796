using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Whether each record's loss is of that record alone, seen from outside: on the first records of the first step.</summary>
internal static class RecordCheck
{
    private const int MostRecords = 8;

    /// <exception cref="LearningException">A buffer keeps something of the records, or a loss depends on which other records are beside it.</exception>
    public static void Require(nn.Module model, Func<Tensor, Tensor> losses, PrivateBatch batch, Device device)
    {
        using IDisposable scope = NewDisposeScope(), off = no_grad();
        long[] records = [.. batch.Records.Take(MostRecords)];
        (string Name, Tensor Value, Tensor Before)[] buffers = [.. model.named_buffers().Select(buffer => (buffer.name, buffer.buffer, buffer.buffer.clone()))];
        _ = losses(tensor(records, device: device));
        foreach ((string name, Tensor value, Tensor before) in buffers)
        {
            if (!value.ne(before).any().item<bool>()) continue;
            value.copy_(before);
            throw new LearningException($"The buffer '{name}' changes when records go through the model: it would be released without noise. Remove it, or compute it from public data.");
        }

        (nn.Module Module, bool Training)[] modes = [.. ModelLayers.Modules(model).Select(entry => (entry.Module, entry.Module.training))];
        try
        {
            model.eval(); // dropout would hide what is looked for
            Tensor together = losses(tensor(records, device: device)), again = losses(tensor(records, device: device));
            Losses.CheckShape(together, records.Length);
            if (!Close(together, again)) return; // random by itself: nothing to compare with
            Tensor alone = cat([.. records.Select(record => losses(tensor(new[] { record }, device: device)))]);
            if (!Close(together, alone)) throw new LearningException("The loss of a record depends on which others are in the batch: records must not be mixed, such as by the batch's mean.");
        }
        finally
        {
            // Parents come before what they hold.
            foreach ((nn.Module module, bool training) in modes) module.train(training);
        }
    }

    /// <summary>As float32 goes, where both are finite.</summary>
    private static bool Close(Tensor one, Tensor other) => !one.Minus(other).abs().gt(one.abs().add(LastingScalars.One).mul(LastingScalars.Thousandth)).logical_and(one.isfinite()).logical_and(other.isfinite()).any().item<bool>();
}
