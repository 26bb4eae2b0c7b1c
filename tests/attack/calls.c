// calls: tries system calls that no program of a host may use. Prints one line for each: its name, and "had"
// or the error.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#define ASK(name, call) do { errno = 0; long r = (long)(call); printf("%s: %s\n", name, r >= 0 ? "had" : strerror(errno)); } while (0)

int main(void) {
  ASK("add_key", syscall(SYS_add_key, "user", "netlab-attack", "x", 1, -4));
  ASK("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  ASK("request_key", syscall(SYS_request_key, "user", "netlab-attack", 0, 0));
  ASK("userfaultfd", syscall(SYS_userfaultfd, O_CLOEXEC));
  ASK("unshare user", unshare(CLONE_NEWUSER));
  ASK("unshare mount", unshare(CLONE_NEWNS));
  ASK("mount", mount("x", "/mnt", "tmpfs", 0, 0));
  ASK("umount", umount2("/usr", MNT_DETACH));
  ASK("remount", mount(0, "/usr", 0, MS_REMOUNT | MS_BIND, 0));
  ASK("bpf", syscall(SYS_bpf, 0, 0, 0));
  struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE, .size = sizeof a, .exclude_kernel = 1};
  ASK("perf", syscall(SYS_perf_event_open, &a, 0, -1, -1, 0));
  struct { unsigned n; int t; char h[128]; } h = {128};
  int id;
  ASK("name_to_handle_at", syscall(SYS_name_to_handle_at, AT_FDCWD, "/usr", &h, &id, 0));
  ASK("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, &h, O_RDONLY));
  ASK("fanotify", syscall(SYS_fanotify_init, 0, 0));
  ASK("quotactl", syscall(SYS_quotactl, 0x80000100, 0, 0, 0));
  ASK("kexec", syscall(SYS_kexec_load, 0, 0, 0, 0));
  ASK("swapoff", syscall(SYS_swapoff, "/nowhere"));
  ASK("memory of the machine", open("/dev/mem", O_RDONLY));
  ASK("core_pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
  ASK("sysrq", open("/proc/sysrq-trigger", O_WRONLY));
  ASK("kcore", open("/proc/kcore", O_RDONLY));
}
