/* fork_server PORT: the concurrent echo server in C, to measure tcpechod against. It does what
 * tcpechod does, and prints as much. */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void die(const char *what)
{
    perror(what);
    _exit(1);
}

static void reap(int signal)
{
    int saved = errno;
    (void)signal;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
    errno = saved;
}

static void echo(int connection)
{
    char buffer[8192];
    ssize_t received;

    while ((received = read(connection, buffer, sizeof buffer)) > 0) {
        printf("child %d received %.*s", getpid(), (int)received, buffer);
        for (ssize_t sent = 0, n; sent < received; sent += n) {
            if ((n = write(connection, buffer + sent, (size_t)(received - sent))) < 0)
                die("write");
        }
    }
    if (received < 0)
        die("read");
    printf("child %d ends\n", getpid());
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET}, peer;
    int passive = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_port = htons((uint16_t)(argc > 1 ? atoi(argv[1]) : 7));
    if (bind(passive, (struct sockaddr *)&address, sizeof address) < 0 || listen(passive, 5) < 0)
        die("listen");
    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGCHLD, reap);

    for (;;) {
        socklen_t length = sizeof peer;
        int connection = accept(passive, (struct sockaddr *)&peer, &length);

        if (connection < 0)
            die("accept");
        printf("connection from %s port %d\n", inet_ntoa(peer.sin_addr), ntohs(peer.sin_port));
        switch (fork()) {
        case 0:
            close(passive);
            echo(connection);
        case -1:
            die("fork");
        }
        close(connection);
    }
}
