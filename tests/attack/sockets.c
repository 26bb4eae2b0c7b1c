/* sockets FIRST COUNT: listens on COUNT ports from FIRST on, says so and stays. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char *argv[])
{
    int first = atoi(argv[1]), count = atoi(argv[2]), listening = 0;
    struct rlimit limit;

    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    for (int i = 0; i < count; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(first + i)};
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        listening += bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0;
    }
    printf("%d\n", listening);
    fflush(stdout);
    pause();
}
