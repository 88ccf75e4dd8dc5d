/* Inside the lab: keeps a VM open, and runs the commands that come in on the virtio-serial ports kvmsharp.0, kvmsharp.1, ... */
#define _GNU_SOURCE
#include "labtool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * KVM flips static keys (rewrites its own code) when the first VM appears, the last one goes, or an APIC is switched on.
 * The emulated CPU of the lab does not handle that exactly while another one runs the same code; a VM that is always there
 * keeps the keys where they are. Its vCPU never runs.
 */
static void keep_vm(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
        fprintf(stderr, "lab agent: no keeper VM: %s\n", strerror(errno));
}

struct session {
    int port;
    pid_t child;
    int input;   /* pipe or terminal to the command, -1 when closed */
    int output;  /* pipe or terminal from the command */
    int error;   /* -1 with a terminal */
    bool terminal;
    uint8_t pending[LAB_MAX_PAYLOAD]; /* stdin the command has not taken yet */
    size_t pending_used;
    bool input_ended;
};

static struct session session;
static struct frame_reader reader;
static uint8_t conversation[LAB_SYNC_LENGTH];

static void set_nonblocking(int fd)
{
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static void run_child(char **argv, char **environment, const char *directory)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    if (chdir(directory) < 0 && chdir("/") < 0)
        _exit(126);
    for (; *environment; environment++)
        putenv(*environment);
    execvp(argv[0], argv);
    fprintf(stderr, "lab: cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(errno == ENOENT ? 127 : 126);
}

/* Payload: "tty" or "pipe", rows, columns, folder, number of variables, the variables, the command. All NUL-terminated. */
static bool start(const uint8_t *payload, uint32_t length)
{
    static char text[LAB_MAX_PAYLOAD + 1];
    static char *words[4096];
    size_t count = 0, variables;
    char **argv, **environment;
    memcpy(text, payload, length);
    text[length] = 0;
    for (uint32_t at = 0; at < length && count < 4095; at += (uint32_t)strlen(text + at) + 1)
        words[count++] = text + at;
    words[count] = NULL;
    if (count < 6 || (variables = (size_t)atoi(words[4])) > count - 6)
        return false;
    argv = words + 5 + variables;
    environment = calloc(variables + 1, sizeof *environment);
    memcpy(environment, words + 5, variables * sizeof *environment);
    session.terminal = strcmp(words[0], "tty") == 0;
    session.pending_used = 0;
    session.input_ended = false;
    if (session.terminal) {
        struct winsize size = {.ws_row = (unsigned short)atoi(words[1]), .ws_col = (unsigned short)atoi(words[2])};
        int master;
        session.child = forkpty(&master, NULL, NULL, &size);
        if (session.child == 0)
            run_child(argv, environment, words[3]);
        set_nonblocking(master);
        fcntl(master, F_SETFD, FD_CLOEXEC);
        session.input = session.output = master;
        session.error = -1;
    } else {
        int in[2], out[2], err[2];
        if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
            return false;
        session.child = fork();
        if (session.child == 0) {
            setsid();
            dup2(in[0], 0);
            dup2(out[1], 1);
            dup2(err[1], 2);
            run_child(argv, environment, words[3]);
        }
        close(in[0]);
        close(out[1]);
        close(err[1]);
        session.input = in[1];
        session.output = out[0];
        session.error = err[0];
        set_nonblocking(session.input);
        set_nonblocking(session.output);
        set_nonblocking(session.error);
    }
    free(environment);
    return session.child > 0;
}

/* Moves what is there; false at end of file. */
static bool forward(int fd, uint8_t type)
{
    static uint8_t buffer[32 * 1024];
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got > 0)
        return frame_send(session.port, type, buffer, (uint32_t)got);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

static void feed(void)
{
    while (session.pending_used > 0) {
        ssize_t put = write(session.input, session.pending, session.pending_used);
        if (put < 0) {
            if (errno == EAGAIN || errno == EINTR)
                return;
            session.pending_used = 0; /* the command closed its stdin: what follows is dropped, as a pipe would */
            break;
        }
        memmove(session.pending, session.pending + put, session.pending_used - (size_t)put);
        session.pending_used -= (size_t)put;
    }
    if (session.input_ended && session.input >= 0 && !session.terminal) {
        close(session.input);
        session.input = -1;
    }
}

/* Handles what the client sent; false when it started another conversation. */
static bool handle_frames(void)
{
    uint8_t type;
    const uint8_t *payload;
    uint32_t length;
    while (session.pending_used == 0 && frame_peek(&reader, &type, &payload, &length)) {
        if (type == FRAME_SYNC) {
            if (length != sizeof conversation || memcmp(payload, conversation, length) != 0)
                return false;
            frame_pop(&reader); /* the client repeats itself until it is answered */
            continue;
        }
        if (type == FRAME_INPUT && session.input >= 0) {
            if (length == 0) {
                session.input_ended = true;
            } else {
                memcpy(session.pending, payload, length);
                session.pending_used = length;
            }
            feed();
        } else if (type == FRAME_SIGNAL && length == 1) {
            kill(-session.child, payload[0]);
        } else if (type == FRAME_WINDOW && length == 4 && session.terminal) {
            struct winsize size = {.ws_row = (unsigned short)(payload[0] | payload[1] << 8),
                                   .ws_col = (unsigned short)(payload[2] | payload[3] << 8)};
            ioctl(session.input, TIOCSWINSZ, &size);
        }
        frame_pop(&reader);
    }
    return true;
}

/* Serves one command until it ends or its client is gone. True: the client is still there and was told the status. */
static bool serve(void)
{
    bool client_gone = false, output_open = true, error_open = session.error >= 0;
    int status = 0;
    pid_t ended = 0;
    int64_t last_alive = monotonic_us();
    while (!client_gone) {
        struct pollfd wait[4] = {
            {.fd = session.port, .events = session.pending_used == 0 ? POLLIN : 0},
            {.fd = output_open ? session.output : -1, .events = POLLIN},
            {.fd = error_open ? session.error : -1, .events = POLLIN},
            {.fd = session.pending_used > 0 ? session.input : -1, .events = POLLOUT},
        };
        /* The end of the command arrives as SIGCHLD, which interrupts the wait. */
        sigset_t open_mask;
        struct timespec second = {.tv_sec = 1};
        sigemptyset(&open_mask);
        ppoll(wait, 4, &second, &open_mask);
        if (ended == 0)
            ended = waitpid(session.child, &status, WNOHANG);
        if (wait[0].revents & (POLLHUP | POLLERR | POLLNVAL))
            client_gone = true;
        if (wait[0].revents & POLLIN && frame_fill(&reader, session.port) < 0)
            client_gone = true;
        if (wait[3].revents)
            feed();
        if (!client_gone && !handle_frames())
            client_gone = true;
        if (wait[1].revents && !forward(session.output, FRAME_OUT))
            output_open = false;
        if (wait[2].revents && !forward(session.error, FRAME_ERR))
            error_open = false;
        if (ended > 0) {
            /* All it wrote is in the pipes by now; what its own children still write later is theirs. */
            struct pollfd rest[2] = {{.fd = output_open ? session.output : -1, .events = POLLIN},
                                     {.fd = error_open ? session.error : -1, .events = POLLIN}};
            if (poll(rest, 2, 0) <= 0 || !((rest[0].revents | rest[1].revents) & POLLIN))
                break;
        }
        if (monotonic_us() - last_alive > 5000000) {
            last_alive = monotonic_us();
            if (!client_gone && !frame_send(session.port, FRAME_ALIVE, NULL, 0))
                client_gone = true;
        }
    }
    if (ended <= 0) {
        kill(-session.child, SIGTERM);
        for (int wait_ms = 0; wait_ms < 3000 && waitpid(session.child, &status, WNOHANG) == 0; wait_ms += 50)
            usleep(50000);
        kill(-session.child, SIGKILL);
        waitpid(session.child, &status, 0);
    }
    if (session.input >= 0)
        close(session.input);
    if (!session.terminal)
        close(session.output);
    if (session.error >= 0)
        close(session.error);
    sync();
    if (!client_gone) {
        uint32_t code = (uint32_t)exit_status(status);
        uint8_t payload[4] = {(uint8_t)code, (uint8_t)(code >> 8), 0, 0};
        frame_send(session.port, FRAME_EXIT, payload, sizeof payload);
    }
    return !client_gone;
}

static void on_signal(int number)
{
    (void)number;
}

static void port_loop(const char *path)
{
    sigset_t blocked;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGCHLD, &action, NULL);
    sigaction(SIGIO, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGCHLD);
    sigaddset(&blocked, SIGIO);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    session.port = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (session.port < 0)
        fail("cannot open %s: %s", path, strerror(errno));
    /* A port without a client always polls as hung up; SIGIO tells when that changes, so an idle agent sleeps. */
    fcntl(session.port, F_SETOWN, getpid());
    fcntl(session.port, F_SETFL, O_NONBLOCK | O_ASYNC);
    for (;;) {
        uint8_t type;
        const uint8_t *payload;
        uint32_t length;
        if (!frame_peek(&reader, &type, &payload, &length)) {
            if (frame_fill(&reader, session.port) > 0)
                continue;
            struct timespec limit = {.tv_sec = 2};
            sigtimedwait(&blocked, NULL, &limit);
            continue;
        }
        if (type == FRAME_SYNC) {
            if (length == sizeof conversation)
                memcpy(conversation, payload, length);
            reader.synced = true;
            frame_send(session.port, FRAME_SYNC, payload, length);
            frame_pop(&reader);
        } else if (type == FRAME_RUN) {
            bool started = start(payload, length);
            frame_pop(&reader);
            /* After a client that went away only a new conversation counts; a new one may be waiting in the buffer. */
            if (!started || !serve())
                reader.synced = false;
        } else {
            frame_pop(&reader);
        }
    }
}

int agent_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    keep_vm();
    DIR *ports = opendir("/sys/class/virtio-ports");
    for (struct dirent *entry; ports && (entry = readdir(ports));) {
        char path[512], name[64] = "";
        snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        if (!fgets(name, sizeof name, file))
            name[0] = 0;
        fclose(file);
        if (strncmp(name, "kvmsharp.", 9) != 0)
            continue;
        snprintf(path, sizeof path, "/dev/%s", entry->d_name);
        if (fork() == 0)
            port_loop(path);
    }
    if (ports)
        closedir(ports);
    /* Init of the lab: also reaps what commands leave behind. */
    while (wait(NULL) > 0 || errno == EINTR)
        ;
    return 1;
}
