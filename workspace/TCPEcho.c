/*
 * TCPEcho [host [port]]: an echo client. Sends each line that you type, and prints what comes back; ^D
 * ends it.
 */
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINE_LENGTH 1500

static void fail(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* Returns a socket connected to the port of the host. */
static int connected_socket(const char *host, const char *port)
{
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found, *address;
    int error = getaddrinfo(host, port, &wanted, &found);
    int sock = -1;

    if (error != 0)
        fail("can't find %s: %s", host, gai_strerror(error));
    for (address = found; address != NULL; address = address->ai_next) {
        sock = socket(address->ai_family, address->ai_socktype, address->ai_protocol);
        if (sock < 0)
            continue;
        if (connect(sock, address->ai_addr, address->ai_addrlen) == 0)
            break;
        close(sock);
        sock = -1;
    }
    if (sock < 0)
        fail("can't connect to %s port %s: %s", host, port, strerror(errno));
    freeaddrinfo(found);
    return sock;
}

/* Sends a line, and prints the echo until as many bytes have come back. */
static void echo(int sock, const char *line, size_t length)
{
    char buffer[LINE_LENGTH];
    size_t sent = 0, back = 0;

    while (sent < length) {
        ssize_t written = write(sock, line + sent, length - sent);

        if (written < 0)
            fail("echo write: %s", strerror(errno));
        sent += (size_t)written;
    }
    while (back < length) {
        ssize_t received = read(sock, buffer, sizeof buffer);

        if (received < 0)
            fail("echo read: %s", strerror(errno));
        if (received == 0)
            fail("the server closed the connection");
        fwrite(buffer, 1, (size_t)received, stdout);
        fflush(stdout);
        back += (size_t)received;
    }
}

int main(int argc, char *argv[])
{
    const char *host = argc > 1 ? argv[1] : "localhost";
    const char *port = argc > 2 ? argv[2] : "7";
    char line[LINE_LENGTH + 1];
    int sock;

    if (argc > 3)
        fail("usage: TCPEcho [host [port]]");
    sock = connected_socket(host, port);
    while (fgets(line, sizeof line, stdin) != NULL)
        echo(sock, line, strlen(line));
    return 0;
}
