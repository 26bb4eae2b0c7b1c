/* pid1 FOLDER: makes the host's PID 1 chroot(2) into FOLDER, where it may trace it. */
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

int main(int argc, char *argv[])
{
    struct user_regs_struct before, call;
    char path[256] = {0};
    long word;

    if (ptrace(PTRACE_ATTACH, 1, 0, 0) < 0 || waitpid(1, NULL, __WALL) < 0) {
        perror("cannot trace PID 1");
        return 1;
    }
    ptrace(PTRACE_GETREGS, 1, 0, &before);
    strncpy(path, argv[1], sizeof path - 1);
    call = before;
    call.rdi = (before.rsp - 1024) & ~15UL;
    for (size_t i = 0; i < sizeof path; i += sizeof word) {
        memcpy(&word, path + i, sizeof word);
        ptrace(PTRACE_POKEDATA, 1, call.rdi + i, word);
    }
    /* It waits in a system call: the instruction is two bytes long. */
    call.rip -= 2;
    call.rax = SYS_chroot;
    call.orig_rax = -1;
    ptrace(PTRACE_SETREGS, 1, 0, &call);
    ptrace(PTRACE_SINGLESTEP, 1, 0, 0);
    waitpid(1, NULL, __WALL);
    ptrace(PTRACE_GETREGS, 1, 0, &call);
    /* As if nothing had been: it calls again what was interrupted. */
    if ((long)before.orig_rax >= 0 && (long)before.rax <= -512 && (long)before.rax >= -516) {
        before.rax = before.orig_rax;
        before.rip -= 2;
    }
    ptrace(PTRACE_SETREGS, 1, 0, &before);
    ptrace(PTRACE_DETACH, 1, 0, 0);
    printf("chroot: %ld\n", (long)call.rax);
    return call.rax != 0;
}
