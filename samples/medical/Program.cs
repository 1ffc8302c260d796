using System.Runtime.InteropServices;
using Federation.Formats;
using Federation.Samples.Medical;
using Federation.Samples.Medical.Processes;

bool child = args.Length > 0 && args[0] is CoordinatorProcess.Verb or HospitalProcess.Verb;
using var interrupted = new CancellationTokenSource();
// A terminal's Ctrl-C goes to all processes; the children wait for their parent's end.
using PosixSignalRegistration interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop), terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
try
{
    switch (args)
    {
        case [CoordinatorProcess.Verb, var state]: return await CoordinatorProcess.RunAsync(state);
        case [HospitalProcess.Verb, var name, var folder, var coordinator]: return await HospitalProcess.RunAsync(name, folder, coordinator);
    }

    Arguments arguments = Arguments.Parse(args);
    if (arguments.Help) Console.WriteLine(Arguments.Usage);
    else if (arguments.Tune) await MedicalSample.TuneAsync(arguments, interrupted.Token);
    else await MedicalSample.RunAsync(arguments, interrupted.Token);
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
