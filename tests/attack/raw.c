/* Ethernet frames, sent and heard as they are.
 *
 * raw send FRAME...   sends each, given as hexadecimal digits, on eth0
 * raw hear END        prints what comes in on eth0, a frame a line: the sender, then what is printable of
 *                     it. Ends with a frame that has END in it, or when nothing has come for ten seconds. */
#include <arpa/inet.h>
#include <ctype.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ETH_P_ALL 3

static int on_eth0(void)
{
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    int s = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    link.sll_ifindex = if_nametoindex("eth0");
    if (s == -1 || bind(s, (struct sockaddr *)&link, sizeof link) == -1) {
        perror("raw");
        return -1;
    }
    return s;
}

static int send_frame(int s, const char *hex)
{
    unsigned char frame[1500];
    size_t n = 0;
    while (n < sizeof frame && sscanf(hex + 2 * n, "%2hhx", &frame[n]) == 1)
        n++;
    return send(s, frame, n, 0) == (ssize_t)n ? 0 : -1;
}

static int hear(int s, const char *end)
{
    struct timeval patience = {.tv_sec = 10};
    unsigned char frame[1500];
    char text[sizeof frame + 1];
    ssize_t n;
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    puts("listening");
    fflush(stdout);
    while ((n = recv(s, frame, sizeof frame, 0)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            text[i] = isprint(frame[i]) ? frame[i] : '.';
        text[n] = 0;
        for (int i = 6; i < 12 && n >= 12; i++)
            printf("%02x%s", frame[i], i < 11 ? ":" : " ");
        puts(text);
        fflush(stdout);
        if (strstr(text, end))
            return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    int s = on_eth0();
    if (s == -1 || argc < 3)
        return 2;
    if (!strcmp(argv[1], "hear"))
        return hear(s, argv[2]);
    for (int i = 2; i < argc; i++)
        if (send_frame(s, argv[i]))
            return 1;
    return 0;
}
