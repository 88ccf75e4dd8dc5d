namespace KvmSharp.Emulated.Storage.Ide;

/// <summary>Takes what became of a drive's request, on the drive's loop.</summary>
internal interface IDriveIoOwner
{
    void OnIoCompleted(in DriveIoResult result);
}
