/* Entry point and the framing that agent and client share. */
#define _GNU_SOURCE
#include "labtool.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("lab: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(125);
}

int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int exit_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static uint32_t payload_length(const uint8_t *header)
{
    return header[1] | (uint32_t)header[2] << 8 | (uint32_t)header[3] << 16 | (uint32_t)header[4] << 24;
}

int frame_fill(struct frame_reader *reader, int fd)
{
    ssize_t got;
    if (reader->used == sizeof reader->data)
        return 0;
    got = read(fd, reader->data + reader->used, sizeof reader->data - reader->used);
    if (got > 0) {
        reader->used += (size_t)got;
        return (int)got;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void drop(struct frame_reader *reader, size_t count)
{
    memmove(reader->data, reader->data + count, reader->used - count);
    reader->used -= count;
}

/* A client may have died in the middle of a frame; what it left behind is skipped byte by byte. */
static bool find_sync(struct frame_reader *reader)
{
    static const uint8_t prefix[] = {FRAME_SYNC, LAB_SYNC_LENGTH, 0, 0, 0, 'K', 'V', 'S', 'L', 'A', 'B', '0', '1'};
    while (reader->used >= sizeof prefix) {
        const uint8_t *next;
        if (memcmp(reader->data, prefix, sizeof prefix) == 0)
            return true;
        next = memchr(reader->data + 1, FRAME_SYNC, reader->used - 1);
        drop(reader, next ? (size_t)(next - reader->data) : reader->used);
    }
    return false;
}

bool frame_peek(struct frame_reader *reader, uint8_t *type, const uint8_t **payload, uint32_t *length)
{
    if (!reader->synced && !find_sync(reader))
        return false;
    if (reader->used < LAB_HEADER)
        return false;
    *type = reader->data[0];
    *length = payload_length(reader->data);
    if (*length > LAB_MAX_PAYLOAD) { /* not one of ours: look for the next conversation */
        reader->synced = false;
        drop(reader, 1);
        return frame_peek(reader, type, payload, length);
    }
    if (reader->used < LAB_HEADER + *length)
        return false;
    *payload = reader->data + LAB_HEADER;
    return true;
}

void frame_pop(struct frame_reader *reader)
{
    drop(reader, LAB_HEADER + payload_length(reader->data));
}

static bool send_all(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = write(fd, data, length);
        if (sent > 0) {
            data += sent;
            length -= (size_t)sent;
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        struct pollfd wait = {.fd = fd, .events = POLLOUT};
        if (poll(&wait, 1, 1000) > 0 && (wait.revents & (POLLHUP | POLLERR)))
            return false;
    }
    return true;
}

bool frame_send(int fd, uint8_t type, const void *payload, uint32_t length)
{
    /* One buffer, so that a port (which hands out whole buffers) sees one message. */
    static uint8_t buffer[LAB_HEADER + LAB_MAX_PAYLOAD];
    buffer[0] = type;
    buffer[1] = (uint8_t)length;
    buffer[2] = (uint8_t)(length >> 8);
    buffer[3] = (uint8_t)(length >> 16);
    buffer[4] = (uint8_t)(length >> 24);
    if (length > 0)
        memcpy(buffer + LAB_HEADER, payload, length);
    return send_all(fd, buffer, LAB_HEADER + length);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "agent") == 0)
        return agent_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "client") == 0)
        return client_main(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "firstline") == 0)
        return firstline_main(argc - 1, argv + 1);
    fprintf(stderr, "usage: labtool agent | client FOLDER [options] -- COMMAND... | firstline [options] PATTERN -- COMMAND...\n");
    return 2;
}
