using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>simulation</c>.</summary>
internal static class SimulationReader
{
    public const int MostClients = 100_000, MostWorkers = 1024;

    private const string Durations = "a length of time from 1s to 7d, such as 30s, 10m, 2h or 1d,";

    /// <returns>Null: the spec says nothing of a simulation.</returns>
    public static SimulationSpec? Read(FieldReader fields)
    {
        if (fields.Map("simulation", required: false) is not { } map) return null;
        var spec = new SimulationSpec(
            (int)map.Integer("clients", 1, MostClients),
            Optional(map, "workers", MostWorkers),
            ReadSpeed(map),
            map.Number("dropout", value => value is >= 0 and < 1, "in [0, 1)", 0),
            ReadAvailability(map),
            Optional(map, "evaluateEvery", 1_000_000),
            Optional(map, "checkpointEvery", 1_000_000))
        {
            Data = SimulatedDataReader.Read(map, required: false),
            Partition = PartitionReader.Read(map),
        };
        map.Close();
        return spec;
    }

    private static int? Optional(FieldReader map, string name, long most) => map.Has(name) ? (int)map.Integer(name, 1, most) : null;

    private static ClientSpeed ReadSpeed(FieldReader map)
    {
        ClientSpeed usual = ClientSpeed.Usual;
        if (map.Map("speed", required: false) is not { } speed) return usual;
        var spec = new ClientSpeed(
            speed.Number("examplesPerSecond", value => value is >= 1e-3 and <= 1e9, "in [0.001, 1000000000]", usual.ExamplesPerSecond),
            speed.Number("spread", value => value is >= 0 and <= 5, "in [0, 5]", usual.Spread),
            speed.Duration("delay", TimeSpan.FromSeconds(1), TimeSpan.FromDays(7), Durations, usual.Delay));
        speed.Close();
        return spec;
    }

    private static ClientAvailability? ReadAvailability(FieldReader map)
    {
        if (map.Map("availability", required: false) is not { } availability) return null;
        var spec = new ClientAvailability(
            availability.Number("share", value => value is > 0 and <= 1, "in (0, 1]"),
            availability.Duration("period", TimeSpan.FromSeconds(1), TimeSpan.FromDays(7), Durations, TimeSpan.FromHours(1)));
        availability.Close();
        return spec;
    }
}
