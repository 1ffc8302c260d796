using Federation.Formats.Models;
using Federation.Learning;

namespace Federation.Client.Tests;

/// <summary>A site's control variate counts when its update has changed the global one, and not before.</summary>
public sealed class OwnControlsTests : IDisposable
{
    private const string Run = "run";
    private readonly TemporaryFolder _folder = new();
    private readonly NodeFolder _node;

    public OwnControlsTests() => _node = new NodeFolder(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void At_TheFirstRound_IsZero() => Assert.Equal(0, At(Of(3)));

    [Fact] // each question by another process
    public void At_AfterAnUpdateThatWasTakenAndCounted_IsTheNewOne()
    {
        New().Keep(Run, 1, Of(0), Of(5));
        New().Taken(Run, 1);
        Assert.Equal(5, At(Of(1)));
        New().Keep(Run, 2, Of(1), Of(7));
        Assert.Equal(5, At(Of(2)));
        New().Taken(Run, 2);
        Assert.Equal(7, At(Of(2)));
    }

    [Fact] // too late, or the round was given up: nothing of it is in the global one
    public void At_AfterAnUpdateThatDidNotCount_IsTheOneBefore()
    {
        New().Keep(Run, 1, Of(0), Of(5));
        Assert.Equal(0, At(Of(1)));
        New().Taken(Run, 1);
        Assert.Equal(0, At(Of(0)));
        New().Keep(Run, 2, Of(0), Of(6));
        New().Taken(Run, 1);
        Assert.Equal(0, At(Of(1)));
        New().Taken(Run, 2);
        Assert.Equal(6, At(Of(1)));
        Assert.Equal(2, Directory.EnumerateFiles(_node.Run(Run)).Count());
    }

    [Fact] // the update of a stored round is sent again after the round has changed the model
    public void Keep_OfARoundThatCounts_IsRefused()
    {
        New().Keep(Run, 1, Of(0), Of(5));
        New().Taken(Run, 1);
        Assert.Throws<LearningException>(() => New().Keep(Run, 1, Of(1), Of(6)));
    }

    [Fact]
    public void Forget_LeavesNothing()
    {
        New().Keep(Run, 1, Of(0), Of(5));
        New().Forget(Run);
        Assert.Empty(Directory.EnumerateFiles(_node.Run(Run)));
    }

    private float At(ModelState global) => New().At(Run, global).Tensors[0].Values[0];

    private OwnControls New() => new(_node);

    private static ModelState Of(float value) => new([new NamedTensor("w", [1], [value])]);
}
