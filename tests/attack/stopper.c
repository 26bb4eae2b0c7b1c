// stopper: stops every new process of the host, for twenty seconds.
#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

int main(void) {
  setvbuf(stdout, 0, _IOLBF, 0);
  puts("watching");
  time_t end = time(0) + 20;
  while (time(0) < end)
    for (int k = 0; k < 5000; k++)
      for (int pid = getpid() + 1; pid < getpid() + 64; pid++) kill(pid, SIGSTOP);
}
