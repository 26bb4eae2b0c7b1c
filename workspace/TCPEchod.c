/*
 * TCPEchod [port]: a concurrent echo server. Each client is served by its own process.
 *
 * It works as it is. Two things are missing, which you add in sections 5 and 6 of WORKSHEET.md: look for
 * "SECTION" below.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define QUEUE_LENGTH 5
#define BUFFER_SIZE 8192

/* Prints a message on stderr, and ends the process. */
static void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Returns a socket that listens on the port, on every address of this host. */
static int passive_socket(const char *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_ANY),
    };
    int msock = socket(AF_INET, SOCK_STREAM, 0);

    if (msock < 0)
        fail("can't create socket: %s", strerror(errno));
    if (bind(msock, (struct sockaddr *)&address, sizeof address) < 0)
        fail("can't bind to %s port: %s", port, strerror(errno));
    if (listen(msock, QUEUE_LENGTH) < 0)
        fail("can't listen on %s port: %s", port, strerror(errno));
    return msock;
}

/* Writes all bytes: a single write(2) may accept fewer than it is given. */
static void write_all(int fd, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t written = write(fd, bytes, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            fail("echo write: %s", strerror(errno));
        bytes += written;
        length -= (size_t)written;
    }
}

/* The service: sends back what it receives, until the client closes. */
static void TCPEcho(int ssock)
{
    char buffer[BUFFER_SIZE];

    for (;;) {
        ssize_t length = read(ssock, buffer, sizeof buffer);

        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            fail("echo read: %s", strerror(errno));
        if (length == 0)
            return;
        printf("%d received %zd bytes\n", (int)getpid(), length);
        write_all(ssock, buffer, (size_t)length);
    }
}

#ifndef WITHOUT_REAPER
/*
 * SECTION 5. The kernel sends SIGCHLD when a child has ended. Write the handler here, and install it in
 * main. It must call waitpid for every child that has ended, and must not block on those that have not.
 */
#endif

/*
 * SECTION 6. Write a handler for SIGPIPE here, following the example of the one for SIGCHLD. It should
 * print that it was called. Which functions may a handler call for that? See signal-safety(7).
 */

int main(int argc, char *argv[])
{
    const char *port = "7";
    int msock;

    if (argc > 2)
        fail("usage: TCPEchod [port]");
    if (argc == 2)
        port = argv[1];
    setvbuf(stdout, NULL, _IOLBF, 0); /* print each line at once, even into a pipe */
    msock = passive_socket(port);

    /* SECTION 5: install the handler for SIGCHLD (not in the build WITHOUT_REAPER). */
    /* SECTION 6: install the handler for SIGPIPE. */

    for (;;) {
        struct sockaddr_in client;
        socklen_t length = sizeof client;
        int ssock;
        pid_t child;

        printf("waiting for connections on port %s\n", port);
        ssock = accept(msock, (struct sockaddr *)&client, &length);
        if (ssock < 0) {
            if (errno == EINTR)
                continue; /* a signal handler ran */
            fail("accept: %s", strerror(errno));
        }
        printf("connection from %s port %d\n", inet_ntoa(client.sin_addr), ntohs(client.sin_port));

        child = fork();
        if (child < 0)
            fail("fork: %s", strerror(errno));
        if (child == 0) {
            close(msock); /* the child does not accept */
            TCPEcho(ssock);
            exit(0); /* this also closes ssock, and sends the FIN */
        }
        printf("process %d serves it\n", (int)child);
        close(ssock); /* the parent does not serve */
    }
}
