using System.Reflection;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Swaps what <see cref="ModelCheck"/> refuses for what can be trained: BatchNorm for GroupNorm (BatchNorm1d for <see cref="ChannelNorm"/>), InstanceNorm with running statistics for one without.</summary>
public static class ModelFixer
{
    private const long MostGroups = 32; // Wu and He 2018

    /// <summary>The model with its modules swapped: itself, changed, or another Sequential. Weight and bias are kept; running statistics are dropped, because they are of records.</summary>
    /// <param name="changes">A sentence for each.</param>
    /// <remarks>Before the optimizer is made, which must know the new parameters.</remarks>
    /// <exception cref="LearningException">A module lies where it cannot be swapped, such as in a field of type BatchNorm2d; says what to change.</exception>
    public static TModule Fix<TModule>(TModule model, out IReadOnlyList<string> changes)
        where TModule : nn.Module
    {
        List<string> done = [];
        changes = done;
        nn.Module made = Fixed(model, "", done);
        return made as TModule ?? throw new LearningException($"The model itself becomes a {made.GetType().Name}: pass it as nn.Module.");
    }

    /// <summary>As many as divide the channels, but never one channel a group: on an image of one pixel it would be normalised to 0.</summary>
    private static long Groups(long channels) => Enumerable.Range(1, (int)Math.Min(MostGroups, Math.Max(1, channels / 2))).Last(count => channels % count == 0);

    private static nn.Module Fixed(nn.Module module, string path, List<string> changes)
    {
        switch (module)
        {
            case BatchNorm1d batch:
                changes.Add($"'{path}': ChannelNorm, GroupNorm of one group, in place of {batch.GetType().Name}.");
                return Alike(batch, batch.weight, batch.bias, new ChannelNorm(batch.num_features, batch.eps, batch.affine), made => (made.Weight, made.Bias));
            case BatchNorm batch:
                long groups = Groups(batch.num_features);
                changes.Add($"'{path}': GroupNorm of {groups} groups in place of {batch.GetType().Name}.");
                return Alike(batch, batch.weight, batch.bias, Normalization.Group(groups, batch.num_features, batch.eps, batch.affine), made => (made.weight, made.bias));
            case InstanceNorm { track_running_stats: true } instance:
                changes.Add($"'{path}': {instance.GetType().Name} without running statistics.");
                InstanceNorm still = instance switch
                {
                    InstanceNorm1d => nn.InstanceNorm1d(instance.num_features, instance.eps, affine: instance.affine),
                    InstanceNorm2d => nn.InstanceNorm2d(instance.num_features, instance.eps, affine: instance.affine),
                    _ => nn.InstanceNorm3d(instance.num_features, instance.eps, affine: instance.affine),
                };
                return Alike(instance, instance.weight, instance.bias, still, made => (made.weight, made.bias));
        }

        (string Name, nn.Module Module)[] children = [.. module.named_children().Select(child => (child.name, child.module))];
        nn.Module[] swapped = [.. children.Select(child => Fixed(child.Module, path.Length == 0 ? child.Name : $"{path}.{child.Name}", changes))];
        if (children.Zip(swapped).All(pair => ReferenceEquals(pair.First.Module, pair.Second))) return module;
        if (module is Sequential)
        {
            Sequential made = nn.Sequential([.. children.Zip(swapped, (child, fix) => (child.Name, (nn.Module<Tensor, Tensor>)fix))]);
            made.train(module.training);
            return made;
        }

        foreach (((string name, nn.Module child), nn.Module fix) in children.Zip(swapped))
        {
            if (!ReferenceEquals(child, fix)) SetField(module, name, child, fix, path);
        }

        // In their old order, which is that of the state.
        foreach ((string name, _) in children) module.register_module(name, null!);
        foreach (((string name, _), nn.Module fix) in children.Zip(swapped)) module.register_module(name, fix);
        return module;
    }

    private static TModule Alike<TModule>(nn.Module former, Tensor? weight, Tensor? bias, TModule made, Func<TModule, (Parameter? Weight, Parameter? Bias)> parameters)
        where TModule : nn.Module
    {
        using IDisposable off = no_grad();
        if (weight is { IsInvalid: false })
        {
            made.to(weight.device);
            parameters(made).Weight!.copy_(weight);
            parameters(made).Weight!.requires_grad = weight.requires_grad;
        }

        if (bias is { IsInvalid: false })
        {
            parameters(made).Bias!.copy_(bias);
            parameters(made).Bias!.requires_grad = bias.requires_grad;
        }

        made.train(former.training);
        return made;
    }

    private static void SetField(nn.Module owner, string name, nn.Module child, nn.Module fix, string path)
    {
        bool set = false;
        for (Type? type = owner.GetType(); type is not null && type != typeof(nn.Module); type = type.BaseType)
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly))
            {
                if (!ReferenceEquals(field.GetValue(owner), child)) continue;
                if (!field.FieldType.IsInstanceOfType(fix))
                {
                    throw new LearningException($"'{(path.Length == 0 ? name : $"{path}.{name}")}' is held by {owner.GetType().Name}.{field.Name} of type {field.FieldType.Name}, which cannot hold a {fix.GetType().Name}: declare the field as nn.Module<Tensor, Tensor>, or use {fix.GetType().Name} there.");
                }

                field.SetValue(owner, fix);
                set = true;
            }
        }

        if (!set) throw new LearningException($"'{(path.Length == 0 ? name : $"{path}.{name}")}' is held by {owner.GetType().Name} in no field of its own: use {fix.GetType().Name} there.");
    }
}
