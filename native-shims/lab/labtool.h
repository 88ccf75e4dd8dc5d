/* The lab's helper: one static program with an agent (inside the lab), a client (outside) and two small tools. */
#ifndef LABTOOL_H
#define LABTOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A frame on the port: type, little-endian length, payload. */
enum frame_type {
    FRAME_SYNC = 'Y',    /* both ways: LAB_MAGIC and the client's nonce; starts a conversation */
    FRAME_RUN = 'R',     /* to agent: NUL-terminated strings, see client.c */
    FRAME_INPUT = 'I',   /* to agent: stdin bytes; empty: end of input */
    FRAME_SIGNAL = 'S',  /* to agent: one byte, the signal for the command's process group */
    FRAME_WINDOW = 'W',  /* to agent: rows and columns, two little-endian 16-bit words */
    FRAME_WAKE = 'K',    /* to agent: nothing; the interrupt that brings it is what counts, see client.c */
    FRAME_OUT = 'O',     /* to client: stdout (or terminal) bytes */
    FRAME_ERR = 'E',     /* to client: stderr bytes */
    FRAME_ALIVE = 'P',   /* to client: nothing new, but the lab is alive */
    FRAME_EXIT = 'X',    /* to client: little-endian 32-bit exit status as a shell would give it */
};

#define LAB_MAGIC "KVSLAB01"
#define LAB_SYNC_LENGTH 16u
#define LAB_HEADER 5u
#define LAB_MAX_PAYLOAD (64u * 1024u)
#define LAB_PORTS 12

struct frame_reader {
    uint8_t data[LAB_HEADER + LAB_MAX_PAYLOAD];
    size_t used;
    bool synced; /* false: skip bytes until a FRAME_SYNC is found */
};

/* Reads what is there without waiting. Returns -1 when the other side is gone, else the number of bytes read. */
int frame_fill(struct frame_reader *reader, int fd);
/* Gives the next whole frame, or false. `payload` stays valid until frame_pop. */
bool frame_peek(struct frame_reader *reader, uint8_t *type, const uint8_t **payload, uint32_t *length);
void frame_pop(struct frame_reader *reader);
/* Writes a frame to a non-blocking descriptor; false when the other side is gone. */
bool frame_send(int fd, uint8_t type, const void *payload, uint32_t length);

void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
int64_t monotonic_us(void);
int exit_status(int wait_status);

int agent_main(int argc, char **argv);
int client_main(int argc, char **argv);
int firstline_main(int argc, char **argv);

#endif
