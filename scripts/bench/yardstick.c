/* yardstick DIR: the least work that running every executable in DIR can be.
 *
 * For each entry fork, setsid, exec; then wait. SIGTERM: TERM to all, reap all, exit.
 * Nothing is written, watched or restarted. It is what other figures are compared
 * with, as pmtr and a shell's `cmd &` do no less. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t *pids;
static size_t count;

static void run(const char *path, const sigset_t *unblocked)
{
    pid_t pid = fork();
    if (pid < 0) {
        perror("yardstick: cannot fork");
        exit(1);
    }
    if (pid == 0) {
        setsid();
        sigprocmask(SIG_SETMASK, unblocked, NULL);
        execl(path, path, (char *)NULL);
        _exit(127);
    }
    pids = realloc(pids, (count + 1) * sizeof *pids);
    pids[count++] = pid;
}

int main(int argc, char **argv)
{
    sigset_t wanted, unblocked;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGTERM);
    sigprocmask(SIG_BLOCK, &wanted, &unblocked);

    DIR *dir = argc == 2 ? opendir(argv[1]) : NULL;
    if (!dir || chdir(argv[1]) != 0) {
        fprintf(stderr, "usage: yardstick DIR\n");
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] != '.')
            run(entry->d_name, &unblocked);
    closedir(dir);

    int signal;
    sigwait(&wanted, &signal);
    for (size_t i = 0; i < count; i++)
        kill(pids[i], SIGTERM);
    while (wait(NULL) > 0)
        ;
    return 0;
}
