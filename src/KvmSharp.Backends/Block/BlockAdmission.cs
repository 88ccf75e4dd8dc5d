namespace KvmSharp.Backends.Block;

/// <summary>What every engine decides about a request before the host sees it.</summary>
internal static unsafe class BlockAdmission
{
    /// <summary>True if the slot's request needs no host (wrong, empty, or a flush that is off) and is finished.</summary>
    public static bool TryFinish(RawFile file, BlockSlots slots, int slot)
    {
        ref readonly BlockRequest request = ref slots[slot]->Request;
        int verdict = file.Check(request);
        bool nothingToDo = request.Operation == BlockOperation.Flush
            ? file.Traits.IgnoreFlush || file.Traits.ReadOnly
            : request.LengthBytes == 0;
        if (verdict == 0 && !nothingToDo)
            return false;
        slots.Finish(slot, verdict);
        return true;
    }
}
