/* Opens one connection after another, without end. */
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    struct addrinfo *client;

    if (getaddrinfo("client1", "9", &(struct addrinfo){.ai_socktype = SOCK_STREAM}, &client) != 0)
        return 1;
    for (;;) {
        int fd = socket(client->ai_family, SOCK_STREAM, 0);

        connect(fd, client->ai_addr, client->ai_addrlen);
        close(fd);
    }
}
