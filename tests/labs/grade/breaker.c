/* Takes its host's process 1 with it when it ends. */
#define _GNU_SOURCE
#include <sys/ptrace.h>

int main(void)
{
    return ptrace(PTRACE_SEIZE, 1, 0, PTRACE_O_EXITKILL) ? 1 : 0;
}
