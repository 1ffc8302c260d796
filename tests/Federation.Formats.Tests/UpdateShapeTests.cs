using Federation.Formats.Models;
using Federation.Formats.Runs;

namespace Federation.Formats.Tests;

public sealed class UpdateShapeTests
{
    private static readonly SafetensorsHeader s_model = SafetensorsHeader.Float32([("bn1.weight", [3]), ("conv.weight", [2, 2]), ("conv.bias", [2]), ("head.weight", [5])]);

    [Fact]
    public void Of_AnUsualRun_IsTheModelsOwn()
    {
        UpdateShape shape = UpdateShape.Of(Spec("fedavg"), s_model);
        Assert.Same(s_model, shape.Header);
        Assert.Equal([(0L, 14L)], shape.Shared);
        Assert.False(shape.HasScalar);
    }

    [Fact] // in the order of the file: bn1.weight 0–3, conv.bias 3–5, conv.weight 5–9, head.weight 9–14
    public void Of_APersonalPart_LeavesItOut()
    {
        UpdateShape shape = UpdateShape.Of(Spec("fedavg", "personal: { tensors: [\"bn*\", \"*.bias\"] }"), s_model);
        Assert.Equal(["conv.weight", "head.weight"], shape.Header.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([(5L, 9L)], shape.Shared);
        Assert.Equal([(0L, 3L), (5L, 4L)], UpdateShape.Of(Spec("fedavg", "personal: { tensors: [\"head*\", conv.bias] }"), s_model).Shared);
    }

    [Theory]
    [InlineData("fednova")]
    [InlineData("q-fedavg")]
    public void Of_AStrategyWithANumber_HasItFirst(string strategy)
    {
        UpdateShape shape = UpdateShape.Of(Spec(strategy, "personal: { tensors: [\"bn*\"] }"), s_model);
        Assert.Equal(["!", "conv.bias", "conv.weight", "head.weight"], shape.Header.Tensors.Select(tensor => tensor.Name));
        Assert.Equal((12, 1, double.PositiveInfinity), (shape.Values, shape.Unit, shape.LargestScalar));
    }

    [Fact] // a number is sent as the cut's part that it is of the largest: 3 epochs of (500 + 15)/16 steps, twice as far with ρ = 0.5
    public void Of_ANumberThatIsEncrypted_FitsTheCut()
    {
        RunSpec run = Spec("fednova") with { SecureAggregation = new SecureAggregationSpec(Cut: 4, MaxWeight: 500), Local = new(new(OptimizerKind.Sgd, 0.1, 0.5), 16, 3) };
        UpdateShape shape = UpdateShape.Of(run, s_model);
        Assert.Equal(3 * (500 + 15) / 16.0 * 2, shape.LargestScalar, 1e-9);
        Assert.Equal(4, shape.Unit * shape.LargestScalar, 1e-9);
        Assert.InRange(NormalizedSteps.Of(run.Local, 3 * 32), 0, shape.LargestScalar); // 500 examples are 32 steps an epoch
    }

    [Theory]
    [InlineData("fedavg", "personal: { tensors: [bn2.weight] }", "personal.tensors", "fits no tensor")]
    [InlineData("fedavg", "personal: { tensors: [\"*\"] }", "personal.tensors", "share nothing")]
    [InlineData("fednova", "", "strategy.kind", "'!' would stand")]
    public void Of_WhatDoesNotFitTheModel_IsRefused(string strategy, string more, string field, string says)
    {
        SafetensorsHeader model = strategy == "fednova" ? SafetensorsHeader.Float32([("!", [1]), ("w", [2])]) : s_model;
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => UpdateShape.Of(Spec(strategy, more), model)).Problems);
        Assert.Equal(field, problem.Field);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory] // Wang et al. 2020, section 4.1: Σ(1 − ρ^(τ−k))/(1 − ρ); Σ(1 − ημ)^(τ−1−k)
    [InlineData(0, 0, 7, 7)]
    [InlineData(0.5, 0, 2, 2.5)]
    [InlineData(0.5, 0, 3, 4.25)]
    [InlineData(0, 1, 3, 2.71)]
    public void NormalizedSteps_AreThePapersSums(double momentum, double proximal, int steps, double expected) =>
        Assert.Equal(expected, NormalizedSteps.Of(new LocalSpec(new OptimizerSpec(OptimizerKind.Sgd, 0.1, momentum), 1, 1, proximal), steps), 1e-12);

    [Fact]
    public void ModelControls_OfAModel_ComeAfterIt()
    {
        var model = new ModelState([new NamedTensor("a", [1], [1]), new NamedTensor("z", [2], [2, 3])]);
        var controls = new ModelState([new NamedTensor("a", [1], [4]), new NamedTensor("z", [2], [5, 6])]);
        ModelState both = ModelControls.Join(model, controls);
        Assert.Equal(["a", "z", "~a", "~z"], both.Tensors.Select(tensor => tensor.Name));
        Assert.Equal(both.Header.Bytes, ModelControls.HeaderOf(model.Header).Bytes);
        Assert.Equal((model.Sha256, controls.Sha256), (ModelControls.Weights(both).Sha256, ModelControls.Controls(both).Sha256));
        Assert.Same(model, ModelControls.Weights(model));
        Assert.Equal([1f, 2f, 3f, 0f, 0f, 0f], ModelControls.Begin(both).Tensors.SelectMany(tensor => tensor.Values)); // the sites' begin anew, so their mean does
        Assert.Equal([1f, 2f, 3f, 0f, 0f, 0f], ModelControls.Begin(model).Tensors.SelectMany(tensor => tensor.Values));
        Assert.Equal((true, false, false), (ModelControls.AreIn(both.Header), ModelControls.AreIn(model.Header), ModelControls.AreIn(SafetensorsHeader.Float32([("a", [1]), ("~a", [2])]))));
        Assert.Contains("ModelControls.Begin", Assert.Throws<InvalidInputException>(() => UpdateShape.Of(Spec("scaffold"), model.Header)).Message, StringComparison.Ordinal);
        Assert.Equal(both.Header.Bytes, UpdateShape.Of(Spec("scaffold"), both.Header).Header.Bytes);
        Assert.Throws<InvalidInputException>(() => ModelControls.HeaderOf(SafetensorsHeader.Float32([("~x", [1])])));
    }

    private static RunSpec Spec(string strategy, string more = "") => RunSpec.Parse($$"""
        name: own
        model: { kind: custom }
        rounds: 1
        seed: 0
        cohort: { minContributors: 3, deadline: 5s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1 }
        strategy: { kind: {{strategy}} }
        secureAggregation: none
        privacy: none
        {{more}}
        """, "spec");
}
