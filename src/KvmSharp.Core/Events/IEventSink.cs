namespace KvmSharp.Core.Events;

/// <summary>Takes what happens on an <see cref="EventLoop"/>. An exception that leaves it ends the loop and is reported to the loop's failure callback.</summary>
public interface IEventSink
{
    /// <summary>A registered descriptor is ready, a post arrived or a timer expired. Loop thread. Bounded work: re-post for the rest.</summary>
    /// <param name="cookie">What was given at registration or with the post.</param>
    /// <param name="epollEvents">EPOLLIN and kin; 0 for posts and timers.</param>
    void OnReady(uint cookie, uint epollEvents);
}
