/*
 * An echo server that is right in every section, and, with one of the macros below, wrong in one way.
 * matrix.yaml says which checks notice.
 *
 * Also right, but different: SPANISH, DUAL_STACK, SMALL_BUFFER, POOL.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef SMALL_BUFFER
#define BUFFER_SIZE 512
#else
#define BUFFER_SIZE 8192
#endif

#ifdef SPANISH
#define RECEIVED "recibidos %zd octetos\n"
#define BROKEN "tuberia rota\n"
#else
#define RECEIVED "received %zd bytes\n"
#define BROKEN "got SIGPIPE\n"
#endif

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int passive_socket(int port)
{
#ifdef DUAL_STACK
    struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    int msock = socket(AF_INET6, SOCK_STREAM, 0);
#else
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int msock = socket(AF_INET, SOCK_STREAM, 0);
#endif
#ifdef LOOPBACK_ONLY
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
#endif
    if (msock < 0 || bind(msock, (struct sockaddr *)&address, sizeof address) < 0)
        fail("bind");
    if (listen(msock, 5) < 0)
        fail("listen");
    return msock;
}

static void reaper(int signal)
{
    int saved = errno, status;

    (void)signal;
#if defined(ONE_WAIT)
    waitpid(-1, &status, WNOHANG);
#elif defined(HANDOUT_REAPER)
    while (wait3(&status, WNOHANG, NULL) >= 0)
        ;
#else
    while (waitpid(-1, &status, WNOHANG) > 0)
        ;
#endif
    errno = saved;
}

static void broken(int signal)
{
    ssize_t written = write(STDOUT_FILENO, BROKEN, sizeof BROKEN - 1);

    (void)signal, (void)written;
}

/* What to do on an error of a connection: of no concern to any other. */
static void give_up(const char *what)
{
    perror(what);
#ifdef DIES_ON_RESET
    kill(getppid(), SIGTERM);
#endif
#if defined(THREADS)
    pthread_exit(NULL);
#elif !defined(POOL) && !defined(SEQUENTIAL)
    exit(1);
#endif
}

static ssize_t receive(int ssock, char *buffer)
{
    ssize_t length;

#ifdef LOSES_PARTIAL_WRITE
    struct pollfd readable = {.fd = ssock, .events = POLLIN};
    int little = 16384;

    fcntl(ssock, F_SETFL, O_NONBLOCK);
    setsockopt(ssock, SOL_SOCKET, SO_SNDBUF, &little, sizeof little);
    while (poll(&readable, 1, -1) < 0)
        ;
#endif
    do
        length = read(ssock, buffer, BUFFER_SIZE);
    while (length < 0 && errno == EINTR);
    return length;
}

static int send_back(int ssock, const char *bytes, ssize_t length)
{
#ifdef LOSES_PARTIAL_WRITE
    if (write(ssock, bytes, length) < 0 && errno != EAGAIN)
        return -1;
    return 0;
#endif
    while (length > 0) {
        ssize_t written = write(ssock, bytes, length);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -1;
        bytes += written;
        length -= written;
    }
    return 0;
}

static void echo(int ssock)
{
    char buffer[BUFFER_SIZE];
    int pieces = 0;

    for (;;) {
        ssize_t length = receive(ssock, buffer);

        if (length < 0) {
            give_up("read");
            return;
        }
        if (length == 0)
            break;
        printf(RECEIVED, length);
        pieces++;
#ifdef FIRST_LINE_ONLY
        if (pieces > 1)
            continue;
#endif
#ifdef DROPS_PAST_1024
        if (length > 1024)
            length = 1024;
#endif
#ifdef CAPITALS
        for (ssize_t i = 0; i < length; i++)
            buffer[i] = toupper((unsigned char)buffer[i]);
#endif
#ifdef LATE
        if (pieces == 1)
            usleep(2600 * 1000);
#endif
        if (send_back(ssock, buffer, length) < 0) {
            give_up("write");
            return;
        }
    }
#ifdef SWALLOWS_EOF
    for (;;)
        pause();
#endif
}

#ifdef THREADS
static void *thread(void *argument)
{
    int ssock = (int)(long)argument;

    echo(ssock);
    close(ssock);
    return NULL;
}
#endif

/* Serves one client, somehow beside the others. */
static void serve(int msock, int ssock)
{
#if defined(THREADS)
    pthread_t id;

    (void)msock;
    if (pthread_create(&id, NULL, thread, (void *)(long)ssock) != 0)
        fail("thread");
    pthread_detach(id);
#elif defined(SEQUENTIAL)
    (void)msock;
    echo(ssock);
    close(ssock);
#else
    pid_t child = fork();

    if (child < 0)
        fail("fork");
    if (child == 0) {
        close(msock);
#ifdef DOUBLE_FORK
        if (fork() != 0)
            _exit(0);
#endif
        echo(ssock);
        exit(0);
    }
#ifndef PARENT_KEEPS_SOCKET
    close(ssock);
#endif
#endif
}

#ifdef POOL
static void pool(int msock)
{
    for (int n = 0; n < 4; n++) {
        if (fork() != 0)
            continue;
        for (;;) {
            int ssock = accept(msock, NULL, NULL);

            if (ssock < 0)
                continue;
            echo(ssock);
            close(ssock);
        }
    }
    for (;;)
        pause();
}
#endif

int main(int argc, char *argv[])
{
    int port = argc > 1 ? atoi(argv[1]) : 7;
    int msock, clients = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
#ifdef IGNORES_PORT
    port = 7000;
#endif
    msock = passive_socket(port);
#ifndef NO_REAPER
    signal(SIGCHLD, reaper);
#endif
#if defined(SIGPIPE_IGNORED)
    signal(SIGPIPE, SIG_IGN);
#elif !defined(NO_SIGPIPE_HANDLER)
    signal(SIGPIPE, broken);
#endif
#ifdef POOL
    pool(msock);
#endif
    for (;;) {
        int ssock;

#ifdef ONE_CLIENT
        if (clients == 1)
            pause();
        else
#endif
        if ((ssock = accept(msock, NULL, NULL)) >= 0) {
            serve(msock, ssock);
            clients++;
#ifdef LEAKS_DESCRIPTOR
            if (open("/dev/null", O_WRONLY) < 0)
                fail("open");
#endif
        }
#ifdef EXITS_AFTER_TEN
        if (clients == 10)
            exit(0);
#endif
    }
}
