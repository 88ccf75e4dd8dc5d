using System.Reflection;
using System.Reflection.Emit;
using System.Runtime.CompilerServices;

namespace KvmSharp.Abi.Tests.Layout;

/// <summary>Lists what C# types declare, measured from the loaded types themselves.</summary>
public static class AbiReflection
{
    /// <summary>Every top-level struct of <paramref name="types"/> with its public fields (unions' members by path), and every public constant of static classes.</summary>
    public static List<AbiDeclaration> Describe(IEnumerable<Type> types)
    {
        var result = new List<AbiDeclaration>();
        foreach (Type type in types.Where(t => t.IsPublic || t.IsNestedPublic).OrderBy(t => t.FullName, StringComparer.Ordinal))
        {
            if (type is { IsValueType: true, IsEnum: false })
            {
                result.Add(new AbiDeclaration(AbiKind.Struct, type.Name, SizeOf(type), 0));
                AddFields(result, type.Name, type, 0);
            }
            else if (type is { IsAbstract: true, IsSealed: true })
            {
                AddConstants(result, type);
            }
        }

        return result;
    }

    private static void AddFields(List<AbiDeclaration> result, string path, Type type, ulong start)
    {
        foreach (FieldInfo field in type.GetFields(BindingFlags.Instance | BindingFlags.Public))
        {
            string name = $"{path}.{field.Name}";
            ulong offset = start + OffsetOf(field);
            result.Add(new AbiDeclaration(AbiKind.Field, name, offset, SizeOf(field.FieldType)));
            bool isNestedUnionOrStruct = field.FieldType.DeclaringType == type
                && !field.FieldType.IsDefined(typeof(UnsafeValueTypeAttribute)) && !field.FieldType.IsDefined(typeof(InlineArrayAttribute));
            if (isNestedUnionOrStruct)
            {
                AddFields(result, name, field.FieldType, offset);
            }
        }
    }

    private static void AddConstants(List<AbiDeclaration> result, Type type)
    {
        foreach (FieldInfo field in type.GetFields(BindingFlags.Static | BindingFlags.Public).Where(f => f.IsLiteral && f.FieldType.IsPrimitive))
        {
            ulong size = SizeOf(field.FieldType);
            object value = field.GetRawConstantValue()!;
            ulong bits = value is ulong large ? large : unchecked((ulong)Convert.ToInt64(value, null));
            result.Add(new AbiDeclaration(AbiKind.Constant, field.Name, bits & Mask(size), size));
        }
    }

    /// <summary>The bits a value of <paramref name="size"/> bytes has.</summary>
    public static ulong Mask(ulong size) => size >= 8 ? ulong.MaxValue : (1UL << (int)(size * 8)) - 1;

    private static ulong SizeOf(Type type)
    {
        if (type.IsPointer)
        {
            return (ulong)nint.Size;
        }

        MethodInfo method = typeof(Unsafe).GetMethod(nameof(Unsafe.SizeOf))!.MakeGenericMethod(type);
        return (ulong)(int)method.Invoke(null, null)!;
    }

    // Marshal.OffsetOf gives the marshalled layout; this is the one in memory: the distance of the field from the start of a local struct.
    private static ulong OffsetOf(FieldInfo field)
    {
        var method = new DynamicMethod("offset", typeof(nint), Type.EmptyTypes, typeof(AbiReflection).Module, skipVisibility: true);
        ILGenerator il = method.GetILGenerator();
        LocalBuilder local = il.DeclareLocal(field.DeclaringType!);
        il.Emit(OpCodes.Ldloca, local);
        il.Emit(OpCodes.Ldflda, field);
        il.Emit(OpCodes.Conv_U);
        il.Emit(OpCodes.Ldloca, local);
        il.Emit(OpCodes.Conv_U);
        il.Emit(OpCodes.Sub);
        il.Emit(OpCodes.Ret);
        return (ulong)(nint)method.Invoke(null, null)!;
    }
}
