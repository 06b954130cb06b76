/* A small program that really crashes: it reads through a null pointer, and its signal handler writes what an
 * incident report holds (signal, address, backtrace, memory map) to the file named on the command line before it
 * dies of the same signal. tools/run compiles, runs and uploads it. */

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int report_fd;

static void copy_map(void)
{
        char buffer[4096];
        ssize_t n;
        int fd = open("/proc/self/maps", O_RDONLY);
        if (fd < 0)
                return;
        while ((n = read(fd, buffer, sizeof(buffer))) > 0 && write(report_fd, buffer, (size_t)n) == n)
                ;
        close(fd);
}

static void on_crash(int signal, siginfo_t *info, void *context)
{
        void *frames[32];
        (void)context;
        dprintf(report_fd, "signal %d (%s) at address %p\n\nbacktrace:\n", signal, strsignal(signal), info->si_addr);
        backtrace_symbols_fd(frames, backtrace(frames, 32), report_fd);
        dprintf(report_fd, "\nmemory map:\n");
        copy_map();
        close(report_fd);
        raise(signal); /* the handler is reset: now it kills */
}

struct order {
        int items;
        struct order *next;
};

__attribute__((noinline)) static int count_items(const struct order *o)
{
        int n = 0;
        for (int i = 0; i < 3; i++, o = o->next) /* there are only two */
                n += *(volatile const int *)&o->items;
        return n;
}

int main(int argc, char **argv)
{
        struct sigaction action = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER };
        struct order second = { 2, NULL }, first = { 1, &second };
        void *warm_up[1];

        report_fd = argc == 2 ? open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
        if (report_fd < 0) {
                fprintf(stderr, "usage: crash_demo REPORT\n");
                return 2;
        }
        backtrace(warm_up, 1); /* loads libgcc now, not in the handler */
        sigaction(SIGSEGV, &action, NULL);
        printf("%d items\n", count_items(&first));
        return 0;
}
