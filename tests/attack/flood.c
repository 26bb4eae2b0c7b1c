/* Sends raw frames as fast as it can, for half a minute. */
#define _GNU_SOURCE
#include <net/if.h>
#include <string.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <unistd.h>

#define MANY 256

int main(void)
{
    static unsigned char frame[1514];
    static struct mmsghdr messages[MANY];
    struct iovec whole = {frame, sizeof frame};
    struct sockaddr_ll link = {.sll_family = AF_PACKET, .sll_ifindex = if_nametoindex("eth0")};
    int fd = socket(AF_PACKET, SOCK_RAW, 0);

    if (bind(fd, (struct sockaddr *)&link, sizeof link) < 0)
        return 1;
    alarm(30);
    memset(frame, 0xff, 6);
    frame[6] = 2;
    frame[12] = 0x88;
    frame[13] = 0xb5;
    for (int i = 0; i < MANY; i++)
        messages[i].msg_hdr = (struct msghdr){.msg_iov = &whole, .msg_iovlen = 1};
    for (;;)
        sendmmsg(fd, messages, MANY, 0);
}
