using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>The calls of one layer in a batch.</summary>
/// <param name="Calls">At least one; where a layer is called several times its gradient is the sum.</param>
/// <param name="Trains">Whether a parameter, by its name in the module, is trained.</param>
public sealed record LayerCalls<TModule>(TModule Module, IReadOnlyList<LayerCall> Calls, BatchUnits Units, Func<string, bool> Trains);

/// <summary>How the gradients of each kind of module are clipped. Modules without a rule are run again for each record, which is correct and slow.</summary>
public sealed class LayerRules
{
    private readonly Dictionary<Type, Func<LayerCalls<nn.Module>, IReadOnlyList<GradientPart>>> _rules = [];
    private readonly HashSet<Type> _builtIn;

    /// <summary>Rules for Linear, Conv1d, Conv2d, Embedding, LayerNorm, GroupNorm and <see cref="ChannelNorm"/>; <see cref="DpLstm"/> and <see cref="DpGru"/> are made of Linear.</summary>
    public LayerRules()
    {
        Register<Linear>(LinearRule.Parts);
        Register<Conv1d>(calls => ConvolutionRule.Parts(calls.Module, calls.Calls, calls.Units, calls.Trains));
        Register<Conv2d>(calls => ConvolutionRule.Parts(calls.Module, calls.Calls, calls.Units, calls.Trains));
        Register<Embedding>(EmbeddingRule.Parts);
        Register<LayerNorm>(NormalizationRule.Parts);
        Register<GroupNorm>(NormalizationRule.Parts);
        Register<ChannelNorm>(NormalizationRule.Parts);
        _builtIn = [.. _rules.Keys];
    }

    /// <summary>A rule for modules of exactly this type, in place of the former one. The first step holds its sums and norms against each other and against the plain gradients, on a few units.</summary>
    public void Register<TModule>(Func<LayerCalls<TModule>, IReadOnlyList<GradientPart>> rule)
        where TModule : nn.Module
    {
        _rules[typeof(TModule)] = calls => rule(new((TModule)calls.Module, calls.Calls, calls.Units, calls.Trains));
        _builtIn?.Remove(typeof(TModule));
    }

    /// <summary>A rule that gives each record's gradients outright, [B, …parameter's shape] by the parameter's name in the module, for one call.</summary>
    public void RegisterPerRecord<TModule>(Func<TModule, LayerCall, IReadOnlyDictionary<string, Tensor>> gradients)
        where TModule : nn.Module => Register<TModule>(calls => Materialised(calls.Calls.Select(call => Known(calls.Module, gradients(calls.Module, call))), calls.Units, calls.Trains));

    /// <summary>Whether modules of this type have a rule of the user's.</summary>
    internal bool IsOwn(Type module) => _rules.ContainsKey(module) && !_builtIn.Contains(module);

    /// <summary>What a rule calls by a name that the layer does not have.</summary>
    internal static LearningException Unknown(nn.Module module, string parameter, string[] known) =>
        new($"The rule for {module.GetType().Name} names '{parameter}', which is no parameter that it can give a gradient of; {string.Join(", ", known.Select(name => $"'{name}'"))} {(known.Length == 1 ? "is" : "are")} right.");

    private static IReadOnlyDictionary<string, Tensor> Known(nn.Module module, IReadOnlyDictionary<string, Tensor> gradients)
    {
        string[] known = [.. RecordByRecordRule.Own(module).Select(parameter => parameter.Name)];
        return gradients.Keys.FirstOrDefault(name => !known.Contains(name)) is { } wrong ? throw Unknown(module, wrong, known) : gradients;
    }

    internal bool Has(Type module) => _rules.ContainsKey(module);

    internal IReadOnlyList<GradientPart> Parts(LayerCalls<nn.Module> calls) => _rules.TryGetValue(calls.Module.GetType(), out var rule) ? rule(calls) : RecordByRecordRule.Parts(calls);

    /// <summary>Parts from gradients of each record in each call.</summary>
    internal static IReadOnlyList<GradientPart> Materialised(IEnumerable<IReadOnlyDictionary<string, Tensor>> calls, BatchUnits units, Func<string, bool> trains) =>
        [.. Sums(calls, units, trains).Select(sum => new MaterialisedPart(sum.Key, sum.Value))];

    private static Dictionary<string, Tensor> Sums(IEnumerable<IReadOnlyDictionary<string, Tensor>> calls, BatchUnits units, Func<string, bool> trains)
    {
        using IDisposable scope = NewDisposeScope();
        Dictionary<string, Tensor> sums = [];
        foreach (IReadOnlyDictionary<string, Tensor> call in calls)
        {
            foreach ((string name, Tensor gradient) in call)
            {
                if (!trains(name)) continue;
                sums[name] = sums.TryGetValue(name, out Tensor? before) ? before + gradient : gradient;
            }
        }

        // An alias, because a rule may hand out a tensor that is not its own.
        return sums.ToDictionary(sum => sum.Key, sum => units.Sum(sum.Value).alias().MoveToOuterDisposeScope());
    }
}
