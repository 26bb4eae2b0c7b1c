// trace: tries every way in which a tracer can access the host's process 1. Prints one line for each: "had"
// or the error.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define ASK(name, call) do { errno = 0; long r = (long)(call); printf("%s: %s\n", name, r >= 0 ? "had" : strerror(errno)); } while (0)

int main(void) {
  char b[8], link[512];
  struct iovec here = {b, 8}, there = {(void *)0x400000, 8};
  ASK("attach", ptrace(PTRACE_ATTACH, 1, 0, 0));
  ASK("seize", ptrace(PTRACE_SEIZE, 1, 0, 0));
  ASK("mem", open("/proc/1/mem", O_RDWR));
  ASK("environ", open("/proc/1/environ", O_RDONLY));
  ASK("exe", readlink("/proc/1/exe", link, sizeof link));
  ASK("root", open("/proc/1/root/", O_RDONLY));
  ASK("fd", open("/proc/1/fd/1", O_WRONLY));
  ASK("vm", process_vm_readv(1, &here, 1, &there, 1, 0));
  int p = syscall(SYS_pidfd_open, 1, 0);
  ASK("getfd", syscall(SYS_pidfd_getfd, p, 1, 0));
  ASK("signal", kill(1, SIGKILL));
}
