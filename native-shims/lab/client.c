/* Outside the lab: runs one command in it. Standard streams pass through byte for byte, the exit status is the command's. */
#define _GNU_SOURCE
#include "labtool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

enum { STATUS_TIMEOUT = 124, STATUS_LAB = 125 };

static struct frame_reader reader;
static int port = -1;
static struct termios saved_terminal;
static bool terminal_is_raw;
static volatile sig_atomic_t caught_signal, window_changed;

static void restore_terminal(void)
{
    if (terminal_is_raw)
        tcsetattr(0, TCSAFLUSH, &saved_terminal);
    terminal_is_raw = false;
}

static void on_signal(int number)
{
    if (number == SIGWINCH)
        window_changed = 1;
    else
        caught_signal = number;
}

/* The first port nobody uses; the lock goes with the process. */
static int connect_port(const char *folder)
{
    for (int index = 0; index < LAB_PORTS; index++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char lock_path[sizeof address.sun_path];
        if ((size_t)snprintf(lock_path, sizeof lock_path, "%s/port%d.lock", folder, index) >= sizeof lock_path)
            fail("path too long for a socket: %s", folder);
        snprintf(address.sun_path, sizeof address.sun_path, "%s/port%d", folder, index);
        int lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (lock < 0)
            fail("cannot open %s: %s", lock_path, strerror(errno));
        if (flock(lock, LOCK_EX | LOCK_NB) < 0) {
            close(lock);
            continue;
        }
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
            fail("the lab is not running (cannot connect to %s: %s)", address.sun_path, strerror(errno));
        fcntl(fd, F_SETFL, O_NONBLOCK);
        return fd;
    }
    fail("all %d channels of the lab are in use", LAB_PORTS);
}

static bool process_lives(pid_t process)
{
    return process <= 0 || kill(process, 0) == 0 || errno == EPERM;
}

/* Agrees with the agent on where a conversation starts; waits for the lab to have booted. */
static void synchronize(int timeout_s, pid_t machine)
{
    uint8_t hello[LAB_SYNC_LENGTH];
    int64_t begin = monotonic_us(), next = 0, pause_us = 30000, nonce = begin ^ ((int64_t)getpid() << 40);
    memcpy(hello, LAB_MAGIC, 8);
    memcpy(hello + 8, &nonce, 8);
    for (;;) {
        int64_t now = monotonic_us();
        uint8_t type;
        const uint8_t *payload;
        uint32_t length;
        if (now - begin > (int64_t)timeout_s * 1000000)
            fail("no answer from the lab for %d s", timeout_s);
        if (!process_lives(machine))
            fail("the lab ended while it was starting");
        if (caught_signal)
            exit(128 + caught_signal);
        /* Now and then QEMU leaves what comes right after the connection unread until more comes. */
        if (now >= next) {
            next = now + pause_us;
            pause_us = pause_us < 1000000 ? pause_us * 2 : pause_us;
            if (!frame_send(port, FRAME_SYNC, hello, sizeof hello))
                fail("the lab went away while it was starting");
        }
        struct pollfd wait = {.fd = port, .events = POLLIN};
        poll(&wait, 1, pause_us < 400000 ? 15 : 200);
        if (wait.revents && frame_fill(&reader, port) < 0)
            fail("the lab went away while it was starting");
        while (frame_peek(&reader, &type, &payload, &length)) {
            bool ours = type == FRAME_SYNC && length == sizeof hello && memcmp(payload, hello, sizeof hello) == 0;
            frame_pop(&reader);
            if (ours) {
                reader.synced = true;
                return;
            }
        }
    }
}

static void send_window(void)
{
    struct winsize size;
    if (ioctl(1, TIOCGWINSZ, &size) == 0) {
        uint8_t payload[4] = {(uint8_t)size.ws_row, (uint8_t)(size.ws_row >> 8), (uint8_t)size.ws_col, (uint8_t)(size.ws_col >> 8)};
        frame_send(port, FRAME_WINDOW, payload, sizeof payload);
    }
}

static size_t add_word(char *text, size_t used, const char *word)
{
    size_t length = strlen(word) + 1;
    if (used + length > LAB_MAX_PAYLOAD)
        fail("command and environment are longer than %u bytes", LAB_MAX_PAYLOAD);
    memcpy(text + used, word, length);
    return used + length;
}

static void write_all(int fd, const uint8_t *data, uint32_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, data, length);
        if (put > 0) {
            data += put;
            length -= (uint32_t)put;
        } else if (errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            poll(&wait, 1, 1000);
        } else if (errno != EINTR) {
            restore_terminal();
            exit(128 + SIGPIPE); /* nobody reads our output; the agent ends the command when we are gone */
        }
    }
}

/*
 * The emulated CPU leaves and enters its guests by changing its word of pending interrupts without the emulator's lock. A change that
 * the emulator's other thread makes at that moment is lost, a timer's interrupt with it: the lab then sleeps until the next interrupt
 * of any kind, which nothing but its own timer would cause. A frame is such an interrupt.
 */
static const int64_t wake_every_us = 500000;

static int converse(bool terminal, int timeout_s, int silence_s)
{
    static uint8_t buffer[32 * 1024];
    int64_t begin = monotonic_us(), heard = begin, woken = begin, stop_at = timeout_s > 0 ? begin + (int64_t)timeout_s * 1000000 : INT64_MAX;
    bool input_open = true, timed_out = false;
    int signals_sent = 0;
    for (;;) {
        uint8_t type;
        const uint8_t *payload;
        uint32_t length;
        struct pollfd wait[2] = {{.fd = port, .events = POLLIN}, {.fd = input_open ? 0 : -1, .events = POLLIN}};
        poll(wait, 2, (int)(wake_every_us / 1000));
        if (window_changed) {
            window_changed = 0;
            send_window();
        }
        if (caught_signal) {
            uint8_t number = (uint8_t)caught_signal;
            caught_signal = 0;
            if (++signals_sent > 3)
                return 128 + number;
            frame_send(port, FRAME_SIGNAL, &number, 1);
        }
        if (wait[0].revents) {
            if (frame_fill(&reader, port) < 0) {
                fprintf(stderr, "lab: the lab's machine ended while the command was running\n");
                return STATUS_LAB;
            }
            heard = monotonic_us();
        }
        while (frame_peek(&reader, &type, &payload, &length)) {
            int status = -1;
            if (type == FRAME_OUT)
                write_all(1, payload, length);
            else if (type == FRAME_ERR)
                write_all(2, payload, length);
            else if (type == FRAME_EXIT && length == 4)
                status = payload[0] | payload[1] << 8;
            frame_pop(&reader);
            if (status >= 0)
                return timed_out ? STATUS_TIMEOUT : status;
        }
        if (wait[1].revents) {
            ssize_t got = read(0, buffer, sizeof buffer);
            if (got > 0 || (got < 0 && errno != EINTR && errno != EAGAIN) || got == 0) {
                if (got <= 0)
                    input_open = false;
                if (!(terminal && got <= 0) && !frame_send(port, FRAME_INPUT, buffer, got > 0 ? (uint32_t)got : 0))
                    return STATUS_LAB;
            }
        }
        int64_t now = monotonic_us();
        if (now - heard > (int64_t)silence_s * 1000000) {
            fprintf(stderr, "lab: the lab has not answered for %d s; it hangs\n", silence_s);
            return STATUS_LAB;
        }
        if (now - woken >= wake_every_us) {
            struct pollfd room = {.fd = port, .events = POLLOUT};
            woken = now;
            if (poll(&room, 1, 0) > 0 && (room.revents & POLLOUT))
                frame_send(port, FRAME_WAKE, NULL, 0);
        }
        if (now > stop_at) {
            uint8_t number = timed_out ? SIGKILL : SIGTERM;
            if (!timed_out)
                fprintf(stderr, "lab: the command did not end within %d s; stopping it\n", timeout_s);
            timed_out = true;
            stop_at = now + 5000000;
            frame_send(port, FRAME_SIGNAL, &number, 1);
        }
    }
}

/* client FOLDER [--tty|--pipe] [--timeout S] [--boot-timeout S] [--machine PID] [--cwd DIR] [--env NAME=VALUE]... -- COMMAND... */
int client_main(int argc, char **argv)
{
    static char text[LAB_MAX_PAYLOAD];
    static char *environment[512];
    const char *folder = argc > 1 ? argv[1] : NULL, *directory = "/";
    int terminal = -1, timeout_s = 0, boot_timeout_s = 90, silence_s = 120, count = 0, at = 2;
    pid_t machine = 0;
    char number[16];
    size_t used = 0;
    for (; at < argc && strcmp(argv[at], "--") != 0; at++) {
        const char *option = argv[at], *value = at + 1 < argc ? argv[at + 1] : "";
        if (strcmp(option, "--tty") == 0) {
            terminal = 1;
            continue;
        } else if (strcmp(option, "--pipe") == 0) {
            terminal = 0;
            continue;
        } else if (strcmp(option, "--timeout") == 0) {
            timeout_s = atoi(value);
        } else if (strcmp(option, "--boot-timeout") == 0) {
            boot_timeout_s = atoi(value);
        } else if (strcmp(option, "--silence") == 0) {
            silence_s = atoi(value);
        } else if (strcmp(option, "--machine") == 0) {
            machine = atoi(value);
        } else if (strcmp(option, "--cwd") == 0) {
            directory = value;
        } else if (strcmp(option, "--env") == 0 && count < 511) {
            environment[count++] = argv[at + 1];
        } else {
            fail("client: unknown option %s", option);
        }
        at++;
    }
    if (!folder || at + 1 >= argc)
        fail("client: no command");
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGWINCH, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    port = connect_port(folder);
    synchronize(boot_timeout_s, machine);

    struct winsize size = {.ws_row = 24, .ws_col = 80};
    if (terminal < 0)
        terminal = isatty(0) && isatty(1);
    ioctl(1, TIOCGWINSZ, &size);
    used = add_word(text, used, terminal ? "tty" : "pipe");
    snprintf(number, sizeof number, "%d", size.ws_row);
    used = add_word(text, used, number);
    snprintf(number, sizeof number, "%d", size.ws_col);
    used = add_word(text, used, number);
    used = add_word(text, used, directory);
    snprintf(number, sizeof number, "%d", count);
    used = add_word(text, used, number);
    for (int index = 0; index < count; index++)
        used = add_word(text, used, environment[index]);
    for (at++; at < argc; at++)
        used = add_word(text, used, argv[at]);
    if (terminal && tcgetattr(0, &saved_terminal) == 0) {
        struct termios raw = saved_terminal;
        cfmakeraw(&raw);
        terminal_is_raw = true;
        tcsetattr(0, TCSAFLUSH, &raw);
        atexit(restore_terminal);
    }
    if (!frame_send(port, FRAME_RUN, text, (uint32_t)used))
        fail("the lab went away");
    int status = converse(terminal != 0, timeout_s, silence_s);
    restore_terminal();
    return status;
}
