namespace KvmSharp.Machine.Config;

/// <summary>How the text of an option's value is taken apart.</summary>
public enum OptionSyntax
{
    /// <summary>All of it is the value of the first key.</summary>
    Whole,

    /// <summary><c>VALUE,key=value,...</c>: the first key's name may be left out, a doubled comma is a comma.</summary>
    CommaList,

    /// <summary>The first word is the first key's value, the rest the second's.</summary>
    Words,
}
