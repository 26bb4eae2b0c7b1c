/* A server that leaves its connections to a process that was there before: `serve` is that process, and hears of
 * each connection through a socket that both know. */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = "/tmp/place"};

static void give(int to, int fd)
{
    char byte = 0, control[CMSG_SPACE(sizeof fd)];
    struct iovec data = {&byte, 1};
    struct msghdr message = {&place, sizeof place, &data, 1, control, sizeof control, 0};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(header), &fd, sizeof fd);
    sendmsg(to, &message, 0);
}

static int take(int from)
{
    char byte, control[CMSG_SPACE(sizeof(int))];
    struct iovec data = {&byte, 1};
    struct msghdr message = {NULL, 0, &data, 1, control, sizeof control, 0};
    int fd = -1;

    if (recvmsg(from, &message, 0) == 1)
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

static void serve(int fd)
{
    char buffer[4096];
    ssize_t length;

    while ((length = read(fd, buffer, sizeof buffer)) > 0)
        if (write(fd, buffer, (size_t)length) != length)
            break;
    exit(0);
}

int main(int argc, char *argv[])
{
    int between = socket(AF_UNIX, SOCK_DGRAM, 0);

    signal(SIGCHLD, SIG_IGN);
    if (strcmp(argv[argc - 1], "serve") == 0) {
        if (bind(between, (struct sockaddr *)&place, sizeof place) < 0)
            return 1;
        for (;;) {
            int fd = take(between);

            if (fork() == 0)
                serve(fd);
            close(fd);
        }
    }
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[argc - 1]))};
    int passive = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(passive, (struct sockaddr *)&address, sizeof address) < 0 || listen(passive, 5) < 0)
        return 1;
    for (;;) {
        int fd = accept(passive, NULL, NULL);

        give(between, fd);
        close(fd);
    }
}
