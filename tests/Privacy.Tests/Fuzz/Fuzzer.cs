using System.Diagnostics;
using System.Globalization;

namespace Federation.Privacy.Tests.Fuzz;

/// <summary>Feeds a decoder broken inputs: each gives an object or the one exception of its format, in bounded memory and time.</summary>
internal static class Fuzzer
{
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(20); // also on a machine that does other things

    public delegate bool Decoder(ReadOnlySpan<byte> input);

    /// <summary>Inputs of one decoder: <c>FED_FUZZ</c>, else what a test run can afford.</summary>
    public static long Inputs(long usual) => long.TryParse(Environment.GetEnvironmentVariable("FED_FUZZ"), CultureInfo.InvariantCulture, out long asked) ? asked : usual;

    /// <typeparam name="TRefusal">The only exception that may leave the decoder.</typeparam>
    /// <param name="decode">False: what was made is larger by its nature, and its memory does not count.</param>
    /// <param name="memory">The most managed bytes that an input of so many bytes may take.</param>
    /// <param name="reason">Of a refusal, to count by.</param>
    /// <returns>How many kinds of refusal there were.</returns>
    public static int Run<TRefusal>(string name, long inputs, ByteMutator mutator, Decoder decode, Func<int, long> memory, Func<TRefusal, string> reason)
        where TRefusal : Exception
    {
        long accepted = 0, most = 0, beyondTwice = long.MinValue;
        Dictionary<string, long> refused = [];
        for (long i = 0; i < inputs; i++)
        {
            ReadOnlySpan<byte> input = mutator.Next();
            long before = GC.GetAllocatedBytesForCurrentThread(), started = Stopwatch.GetTimestamp(), taken = 0;
            string? why = null;
            try
            {
                bool counts = decode(input);
                taken = counts ? GC.GetAllocatedBytesForCurrentThread() - before : 0;
                accepted++;
            }
            catch (TRefusal refusal)
            {
                taken = GC.GetAllocatedBytesForCurrentThread() - before;
                why = reason(refusal);
            }
            catch (Exception exception)
            {
                Assert.Fail($"{name}, input {i}: {exception}\n{Convert.ToBase64String(input)}");
            }

            if (taken > memory(input.Length)) Assert.Fail($"{name}, input {i} of {input.Length} bytes: {taken} bytes were taken, more than {memory(input.Length)}.\n{Convert.ToBase64String(input)}");
            if (Stopwatch.GetElapsedTime(started) > s_longest) Assert.Fail($"{name}, input {i}: took {Stopwatch.GetElapsedTime(started)}.\n{Convert.ToBase64String(input)}");
            most = Math.Max(most, taken);
            beyondTwice = Math.Max(beyondTwice, taken - (2L * input.Length));
            if (why != null) refused[why] = refused.GetValueOrDefault(why) + 1;
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{name}: {inputs} inputs, {accepted} accepted, {inputs - accepted} refused, at most {most} bytes, {beyondTwice} beyond twice the input. {string.Join(", ", refused.OrderByDescending(pair => pair.Value).Take(12).Select(pair => $"{pair.Key} {pair.Value}"))}");
        return refused.Count;
    }
}
