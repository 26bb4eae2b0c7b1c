/* Leaves a zombie. */
#include <unistd.h>

int main(void)
{
    if (fork() == 0)
        _exit(0);
    pause();
}
