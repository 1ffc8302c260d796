namespace Federation.Protocol.Identity;

/// <summary>What an operator may do; each may do what the ones before it may.</summary>
public enum OperatorRole
{
    /// <summary>Lists, shows and watches; changes nothing and takes no model away.</summary>
    Viewer,

    /// <summary>Invites sites, submits and cancels runs, takes models away.</summary>
    Operator,

    /// <summary>Revokes sites, and issues and revokes operators.</summary>
    Admin,
}

/// <summary>Roles as they are written.</summary>
public static class OperatorRoles
{
    public const string Rule = "viewer, operator or admin";

    /// <summary>Null: the text is no role.</summary>
    public static OperatorRole? Parse(string text) => text switch { "viewer" => OperatorRole.Viewer, "operator" => OperatorRole.Operator, "admin" => OperatorRole.Admin, _ => null };

    public static string ToText(this OperatorRole role) => role switch { OperatorRole.Viewer => "viewer", OperatorRole.Operator => "operator", OperatorRole.Admin => "admin", _ => throw new ArgumentOutOfRangeException(nameof(role), role, "No such role.") };

    /// <summary>What the certificate says.</summary>
    public static CertificateRole ToCertificateRole(this OperatorRole role) => role switch { OperatorRole.Viewer => CertificateRole.Viewer, OperatorRole.Operator => CertificateRole.Operator, OperatorRole.Admin => CertificateRole.Admin, _ => throw new ArgumentOutOfRangeException(nameof(role), role, "No such role.") };

    /// <summary>Null: it is no operator's.</summary>
    public static OperatorRole? ToOperatorRole(this CertificateRole role) => role switch { CertificateRole.Viewer => OperatorRole.Viewer, CertificateRole.Operator => OperatorRole.Operator, CertificateRole.Admin => OperatorRole.Admin, _ => null };
}
