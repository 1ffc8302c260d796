using Federation.Samples;
using Federation.Samples.Medical;
using Federation.Samples.Medical.Tuning;

return await SampleProgram.RunAsync(args, async cancellationToken =>
{
    Arguments arguments = Arguments.Parse(args);
    if (arguments.Options.Help) Console.WriteLine(Arguments.Usage);
    else if (arguments.Options.Tune) await MedicalTuning.RunAsync(arguments, cancellationToken);
    else await MedicalSample.RunAsync(arguments, cancellationToken);
});
