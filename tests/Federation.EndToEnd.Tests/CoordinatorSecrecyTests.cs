using System.Buffers.Binary;
using System.Numerics;
using System.Text;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;

namespace Federation.EndToEnd.Tests;

/// <summary>Everything that a coordinator keeps and shows in a secure run, searched for the update of one site: as it was trained, as text, as the whole numbers that are encrypted, and as a ciphertext in which nothing hides them.</summary>
public sealed class CoordinatorSecrecyTests
{
    private const float First = 1.2345678f, Second = -2.3456789f;

    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    [Fact] // while the round is open and after it
    public async Task Coordinator_ItsFilesAndItsScreen_HoldNothingOfOneSitesUpdate()
    {
        using KeptLog log = new();
        await using RunningSites sites = await RunningSites.StartAsync(log, s_sites);
        GatedLearner gate = sites.Gate("d", heldRound: 1);
        sites.Run("a", new PlantingLearner());
        sites.Run(s_sites[1..3]);
        sites.Run("d", gate);
        string run = await sites.SubmitAsync(rounds: 1);
        await gate.Started;
        await sites.ContributedAsync(run, "a", 1);
        Assert.Contains(Kept(sites.Federation.State), kept => kept.Name.StartsWith("spool", StringComparison.Ordinal)); // a's contribution among them
        Search();
        gate.Release();
        await sites.EndedAsync();
        Search();
        Assert.Contains(log.Lines, line => line.Contains("a contributed", StringComparison.Ordinal));

        void Search()
        {
            byte[] screen = Encoding.UTF8.GetBytes(string.Join('\n', log.Lines));
            foreach ((string name, byte[] content) in Kept(sites.Federation.State).Append(("the log", screen))) Assert.True(Found(content) is null, $"{name} holds the planted values {Found(content)}");
        }
    }

    [Fact] // a search that finds nothing anywhere would prove nothing
    public void Search_AnUpdateThatNothingHides_IsFoundInEachForm()
    {
        byte[] noise = new byte[5000];
        new Random(1).NextBytes(noise);
        Assert.Null(Found(noise));
        Assert.Equal("as they are", Found([.. noise, .. Floats()]));
        Assert.Equal("as text", Found([.. noise, .. Encoding.UTF8.GetBytes($"update of a: [{First}, {Second}]")]));
        Assert.Equal("as whole numbers", Found([.. noise, .. BitConverter.GetBytes(Level(First)), .. BitConverter.GetBytes(Level(Second))]));
        Assert.Equal("as a ciphertext that hides nothing", Found(Packed([Scaled(Level(First)), Scaled(Level(Second)), 12345])));
    }

    /// <returns>In which form the planted values are there; null: not at all.</returns>
    private static string? Found(byte[] content)
    {
        if (content.AsSpan().IndexOf(Floats()) >= 0) return "as they are";
        if (new[] { "1.2345", "2.3456" }.Any(text => content.AsSpan().IndexOf(Encoding.ASCII.GetBytes(text)) >= 0)) return "as text";
        // Rounding goes up or down; a step more on both sides costs nothing.
        long[] steps = [-2, -1, 0, 1, 2];
        foreach ((long one, long other) in steps.SelectMany(one => steps.Select(other => (one, other))))
        {
            byte[] numbers = [.. BitConverter.GetBytes(Level(First) + one), .. BitConverter.GetBytes(Level(Second) + other)];
            if (content.AsSpan().IndexOf(numbers) >= 0) return "as whole numbers";
        }

        if (content.Length < 16) return null;
        ulong first = Word(content, 0), second = Word(content, 1);
        return steps.Any(step => Scaled(Level(First) + step) == first) || steps.Any(step => Scaled(Level(Second) + step) == second) ? "as a ciphertext that hides nothing" : null;
    }

    private static byte[] Floats() => [.. BitConverter.GetBytes(First), .. BitConverter.GetBytes(Second)];

    /// <summary>The whole number in [0, levels] that is encrypted for a value.</summary>
    private static long Level(float value)
    {
        UpdateEncoding encoding = SecureEncoding.Of(RunSpec.Parse(OneVector.Spec(1, 3, "{ kind: threshold-bfv, maxWeight: 1, threshold: 3 }"), "spec"), RunningSites.Values, s_sites.Length);
        return (encoding.Layout.Levels / 2) + (long)Math.Floor(value / encoding.Grid);
    }

    /// <summary>The message in the first prime's words of c₀, where c₀ is nothing but the message: ⌊(q·m + (t + 1)/2)/t⌋ modulo the prime.</summary>
    private static ulong Scaled(long message)
    {
        BfvParameters keys = BfvParameters.ForKeys;
        BigInteger t = keys.PlainModulus.Value;
        return (ulong)((((keys.DataRing.Product * message) + ((t + 1) / 2)) / t) % keys.Primes[0]);
    }

    /// <summary>Word i of a packed ring element at the beginning of a file: as many bits as the first prime has.</summary>
    private static ulong Word(byte[] content, int i)
    {
        int bits = BfvParameters.ForKeys.DataRing.Moduli[0].Bits;
        UInt128 all = BinaryPrimitives.ReadUInt128LittleEndian(content);
        return (ulong)((all >> (i * bits)) & ((1UL << bits) - 1));
    }

    private static byte[] Packed(ulong[] words)
    {
        int bits = BfvParameters.ForKeys.DataRing.Moduli[0].Bits;
        BigInteger all = words.Reverse().Aggregate(BigInteger.Zero, (sum, word) => (sum << bits) | word);
        byte[] bytes = new byte[words.Length * 8];
        all.TryWriteBytes(bytes, out _, isUnsigned: true);
        return bytes;
    }

    private static IEnumerable<(string Name, byte[] Content)> Kept(string folder)
    {
        foreach (string file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Where(file => Path.GetFileName(file) != "lock"))
        {
            using FileStream stream = new(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            byte[] content = new byte[stream.Length];
            stream.ReadExactly(content);
            yield return (Path.GetRelativePath(folder, file), content);
        }
    }

    /// <summary>An update of values that would be recognised anywhere.</summary>
    private sealed class PlantingLearner : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) =>
            new(new ModelState(start.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select((_, i) => i % 2 == 0 ? First : Second)] })), 1, 0);

        public Formats.Evaluation.EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => new() { Examples = 1, Correct = 1, LogLossSum = 0, BrierSum = 0 };

        public void Dispose()
        {
        }
    }
}
