using Federation.Samples;
using Federation.Samples.Mnist;
using Federation.Samples.Mnist.Tuning;

return await SampleProgram.RunAsync(args, async cancellationToken =>
{
    Arguments arguments = Arguments.Parse(args);
    if (arguments.Options.Help) Console.WriteLine(Arguments.Usage);
    else if (arguments.Options.Tune) await MnistTuning.RunAsync(arguments, cancellationToken);
    else await MnistSample.RunAsync(arguments, cancellationToken);
});
