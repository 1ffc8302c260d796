using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Homomorphic;

/// <summary>Which engine this program was built with.</summary>
public static class BfvEngine
{
    /// <summary>The engine of this build; dispose it.</summary>
    public static IBfvEngine Create(BfvParameters parameters) =>
#if SEAL_NATIVE
        new SealNetEngine(parameters);
#else
        new ManagedBfvEngine(parameters, new SecureRandom(), ownsRandom: true);
#endif
}
