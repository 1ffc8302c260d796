namespace Federation.Privacy.Accounting;

/// <summary>Which data sets count as neighbours; every figure of privacy is about one of these.</summary>
public enum NeighboringRelation
{
    /// <summary>One privacy unit more or less.</summary>
    AddOrRemoveOne,

    /// <summary>One privacy unit exchanged for another.</summary>
    ReplaceOne,
}
