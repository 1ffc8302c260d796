using System.Globalization;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Federation.Protocol.Identity;

/// <summary>The coordinator of this federation answered, with a certificate that is not valid at this machine's time: one of the two clocks is wrong, or the certificate was not renewed. Passes when it is set right.</summary>
public sealed class OutOfDateException(X509Certificate2 certificate, DateTimeOffset now)
    : AuthenticationException(string.Create(CultureInfo.InvariantCulture, $"The coordinator's certificate is valid from {certificate.NotBefore.ToUniversalTime():u} to {certificate.NotAfter.ToUniversalTime():u}, and this machine's clock says {now:u}"));
