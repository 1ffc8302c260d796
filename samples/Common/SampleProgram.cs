using System.Runtime.InteropServices;
using Federation.Formats;
using Federation.Samples.Processes;

namespace Federation.Samples;

/// <summary>A sample's frame: the hidden verbs of its children, interruption, errors in one line, exit codes.</summary>
public static class SampleProgram
{
    /// <param name="work">The sample itself, for the process that the user started.</param>
    /// <returns>0; 2 where what was typed is wrong; 130 interrupted; 1 otherwise.</returns>
    public static async Task<int> RunAsync(string[] args, Func<CancellationToken, Task> work)
    {
        bool child = args.Length > 0 && args[0] is CoordinatorProcess.Verb or SiteProcess.Verb;
        using var interrupted = new CancellationTokenSource();
        // A terminal's Ctrl-C goes to all processes; the children wait for their parent's end.
        using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop), terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        try
        {
            switch (args)
            {
                case [CoordinatorProcess.Verb, var state]: return await CoordinatorProcess.RunAsync(state);
                case [SiteProcess.Verb, var name, var folder, var dataSet, var coordinator]: return await SiteProcess.RunAsync(name, folder, dataSet, coordinator);
            }

            await work(interrupted.Token);
            return 0;
        }
        catch (Exception error) when (interrupted.IsCancellationRequested && error is OperationCanceledException or Grpc.Core.RpcException)
        {
            Console.Error.WriteLine("Interrupted.");
            return 130;
        }
        catch (InvalidInputException error)
        {
            Console.Error.WriteLine(error.Message);
            return 2;
        }
#pragma warning disable CA1031 // the outermost frame: one line instead of a stack trace
        catch (Exception error)
#pragma warning restore CA1031
        {
            Console.Error.WriteLine(error is ChildFailedException ? error.Message : $"{error.GetType().Name}: {error.Message}");
            return 1;
        }

        void Stop(PosixSignalContext signal)
        {
            signal.Cancel = true;
            if (!child) interrupted.Cancel();
        }
    }
}
