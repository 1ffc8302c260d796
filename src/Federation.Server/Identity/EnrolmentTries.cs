using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Federation.Protocol;
using Grpc.Core;

namespace Federation.Server.Identity;

/// <summary>How often enrolment may be tried in vain: 5 times a minute from one address, and 5 times a minute for one invited name. One enrolment is looked at after the other, so that many at once are no more tries.</summary>
public sealed class EnrolmentTries(TimeProvider time)
{
    private readonly TryLimit _addresses = new(time), _names = new(time);
    private readonly Lock _turn = new();

    /// <param name="invited">The name in the token, where it is one that was invited; null: none. Other names are not counted, only their address is: nobody can fill memory with names.</param>
    /// <exception cref="RpcException">Tried too often, or what <paramref name="enrol"/> refuses, which counts as a try.</exception>
    public T Try<T>(IPAddress? address, string? invited, Func<T> enrol)
    {
        string from = KeyOf(address);
        lock (_turn)
        {
            TimeSpan byAddress = _addresses.Wait(from), byName = invited is null ? TimeSpan.Zero : _names.Wait(invited);
            if (byAddress > TimeSpan.Zero || byName > TimeSpan.Zero) throw TooMany(byAddress >= byName ? "from this address" : $"for the site '{invited}'", byAddress >= byName ? byAddress : byName);
            try
            {
                return enrol();
            }
            catch (RpcException)
            {
                _addresses.Failed(from);
                if (invited is not null) _names.Failed(invited);
                throw;
            }
        }
    }

    /// <summary>An IPv6 network of 64 bits is one party, whatever addresses it makes of it.</summary>
    internal static string KeyOf(IPAddress? address)
    {
        if (address is null) return "";
        if (address.IsIPv4MappedToIPv6) address = address.MapToIPv4();
        return address.AddressFamily == AddressFamily.InterNetworkV6 ? Convert.ToHexStringLower(address.GetAddressBytes()[..8]) : address.ToString();
    }

    private static RpcException TooMany(string what, TimeSpan wait)
    {
        string seconds = string.Create(CultureInfo.InvariantCulture, $"{Math.Max(1, Math.Ceiling(wait.TotalSeconds))} s");
        return RpcError.Refuse(StatusCode.ResourceExhausted, Refusal.TooManyTries, $"Enrolment was tried in vain {TryLimit.Most} times within a minute {what}.", "token", $"Try again in {seconds}.");
    }
}
