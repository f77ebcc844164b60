// SPDX-License-Identifier: Apache-2.0
//
// attack_walls: verbs against files, processes, privileges and the kernel's interfaces.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"

// call NUMBER WORD...: a system call. Words: a number, "s" and a text, or "b" for a pointer to zeroed bytes.
static void call(struct attack *attack) {
    static char zeroes[6][4096];
    long value[6] = {0};
    for (int i = 0; i < 6; i++) {
        char *word = attack->word[i + 2];
        memset(zeroes[i], 0, sizeof zeroes[i]);
        if (word[0] == 's') {
            value[i] = (long)(intptr_t)(word + 1);
        } else if (word[0] == 'b') {
            value[i] = (long)(intptr_t)zeroes[i];
        } else {
            value[i] = (long)strtoull(word, NULL, 0);
        }
    }
    attack_judge(attack,
                 syscall(strtol(attack->word[1], NULL, 0), value[0], value[1], value[2], value[3], value[4], value[5]));
}

// open PATH r|w|rw [offset]: opens, and reads a little when that was asked for.
static void open_file(struct attack *attack) {
    char bytes[64];
    const char *mode = attack->word[2];
    int flags = strcmp(mode, "r") == 0 ? O_RDONLY : strcmp(mode, "w") == 0 ? O_WRONLY : O_RDWR;
    int fd = open(attack->word[1], flags | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) {
        attack_judge(attack, -1);
        return;
    }
    ssize_t got = flags == O_WRONLY ? 0 : pread(fd, bytes, sizeof bytes, attack_number(attack, 3));
    if (got < 0 && errno == ESPIPE) got = read(fd, bytes, sizeof bytes);
    if (got < 0)
        attack_judge(attack, -1);
    else if (flags == O_WRONLY)
        attack_say(attack, "ok");
    else
        attack_say(attack, "%s", got > 0 ? "ok" : "empty");
    close(fd);
}

static void write_file(struct attack *attack) {
    int fd = open(attack->word[1], O_WRONLY | O_CLOEXEC);
    attack_judge(attack, fd < 0 ? -1 : write(fd, attack->word[2], strlen(attack->word[2])));
    if (fd >= 0) close(fd);
}

static void make_file(struct attack *attack) {
    int fd = open(attack->word[1], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    attack_judge(attack, fd);
    if (fd < 0) return;
    close(fd);
    unlink(attack->word[1]);
}

static void list(struct attack *attack) {
    DIR *dir = opendir(attack->word[1]);
    if (dir == NULL) {
        attack_judge(attack, -1);
        return;
    }
    int count = 0;
    while (readdir(dir) != NULL) count++;
    attack_say(attack, count > 2 ? "ok" : "empty");
    closedir(dir);
}

static void read_link(struct attack *attack) {
    char target[1024];
    ssize_t length = readlink(attack->word[1], target, sizeof target - 1);
    if (length < 0)
        attack_judge(attack, -1);
    else
        attack_say(attack, "%.*s", (int)length, target);
}

// device PATH b|c MAJOR MINOR: makes a node and opens it.
static void device(struct attack *attack) {
    mode_t kind = attack->word[2][0] == 'b' ? S_IFBLK : S_IFCHR;
    dev_t number = makedev((unsigned)attack_number(attack, 3), (unsigned)attack_number(attack, 4));
    if (mknod(attack->word[1], kind | 0600, number) != 0) {
        attack_judge(attack, -1);
        return;
    }
    int fd = open(attack->word[1], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    attack_say(attack, "made:%s", fd >= 0 ? "ok" : attack_error());
    if (fd >= 0) close(fd);
    unlink(attack->word[1]);
}

// fds: descriptors above standard error that this program did not open. Called by main's first thread only.
static void descriptors(struct attack *attack) {
    size_t used = 0;
    struct stat log = {0};
    struct stat other;
    attack->result[0] = '\0';
    (void)fstat(1, &log);
    for (int fd = 0; fd < 4096; fd++) {
        char path[64];
        char target[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length < 0) continue;
        target[length] = '\0';
        // The library watches the log that is the program's own; another pipe would be somebody else's.
        if (fd > 2 && fstat(fd, &other) == 0 && other.st_ino == log.st_ino && other.st_dev == log.st_dev)
            snprintf(target, sizeof target, "log");
        if (strcmp(target, "anon_inode:[eventpoll]") != 0) target[strcspn(target, ":")] = '\0';
        if (used < sizeof attack->result - 300) {
            used += (size_t)snprintf(attack->result + used, sizeof attack->result - used, "%d=%s ", fd, target);
        }
    }
}

// processes: how many can be seen besides ourselves and pid 1.
static void processes(struct attack *attack) {
    int count = 0;
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        long pid = strtol(entry->d_name, NULL, 10);
        if (pid > 1 && pid != getpid()) count++;
    }
    if (dir != NULL) closedir(dir);
    attack_say(attack, "%d", count);
}

// environs SECRET: whether any environment that can be read holds it, our own too.
static void environs(struct attack *attack) {
    static char text[1 << 17];
    attack_say(attack, "none");
    DIR *dir = opendir("/proc");
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        char path[300];
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
        snprintf(path, sizeof path, "/proc/%s/environ", entry->d_name);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text);
        if (got > 0 && memmem(text, (size_t)got, attack->word[1], strlen(attack->word[1])) != NULL) {
            attack_say(attack, "ok:%s", entry->d_name);
        }
        if (fd >= 0) close(fd);
    }
    if (dir != NULL) closedir(dir);
}

// find MARKER: a path whose last part holds it, anywhere but in the machine's own programs.
static const char *find_marker;
static struct attack *find_attack;

static int find_visit(const char *path, const struct stat *info, int kind, struct FTW *at) {
    (void)info, (void)kind;
    if (strcmp(path, "/proc") == 0 || strcmp(path, "/usr") == 0) return FTW_SKIP_SUBTREE;
    if (strstr(path + at->base, find_marker) == NULL) return FTW_CONTINUE;
    attack_say(find_attack, "ok:%s", path);
    return FTW_STOP;
}

static void find(struct attack *attack) {
    find_marker = attack->word[1];
    find_attack = attack;
    attack_say(attack, "none");
    (void)nftw("/", find_visit, 32, FTW_PHYS | FTW_ACTIONRETVAL);
}

// suid PATH WORD: runs a set-user-id program and looks at the user id that it has.
static void set_user_id(struct attack *attack) {
    int ends[2];
    if (pipe(ends) != 0) {
        attack_judge(attack, -1);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[0], 0);
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        dup2(null, 2);
        close(ends[1]);
        execl(attack->word[1], attack->word[1], (char *)NULL);
        _exit(126);
    }
    close(ends[0]);
    attack_say(attack, "gone");
    // Until it is the program; it then waits for its standard input.
    for (int tries = 0; tries < 2000; tries++) {
        char path[64];
        char text[2048];
        char own[64];
        char name[64];
        snprintf(path, sizeof path, "/proc/%d/status", (int)child);
        FILE *file = fopen(path, "re");
        size_t got = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
        if (file != NULL) fclose(file);
        text[got] = '\0';
        if (got == 0) break;
        snprintf(own, sizeof own, "Name:\t%.15s\n", program_invocation_short_name);
        snprintf(name, sizeof name, "Name:\t%.15s\n", strrchr(attack->word[1], '/') + 1);
        unsigned effective;
        char *line = strstr(text, "\nUid:");
        if (strncmp(text, name, strlen(name)) == 0 && line != NULL && sscanf(line, "\nUid: %*u %u", &effective) == 1) {
            attack_say(attack, effective == geteuid() ? "powerless" : "ok:%u", effective);
            break;
        }
        usleep(1000);
    }
    close(ends[1]);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

// How a child that does it ends.
static void judge_child(struct attack *attack, pid_t child) {
    int status = 0;
    if (child < 0 || waitpid(child, &status, __WALL) < 0)
        attack_judge(attack, -1);
    else if (WIFSIGNALED(status))
        attack_say(attack, "SIG%s", sigabbrev_np(WTERMSIG(status)));
    else
        attack_say(attack, WEXITSTATUS(status) == 0 ? "ok" : "%s", strerrorname_np(WEXITSTATUS(status)));
}

// foreign i386|x32: a system call by another table.
static void foreign(struct attack *attack) {
    pid_t child = fork();
    if (child == 0) {
        long rc = -ENOSYS;
#ifdef __x86_64__
        if (strcmp(attack->word[1], "i386") == 0)
            __asm__ volatile("int $0x80" : "=a"(rc) : "0"(20L) : "memory"); // getpid
        else
            rc = syscall(0x40000000L | SYS_getpid) < 0 ? -errno : 0;
#endif
        _exit(rc < 0 ? (int)-rc : 0);
    }
    judge_child(attack, child);
}

// clone FLAGS: a child with these flags, by the old call.
static void clone_child(struct attack *attack) {
    pid_t child = (pid_t)syscall(SYS_clone, attack_number(attack, 1) | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    judge_child(attack, child);
}

static void send_signal(struct attack *attack) {
    attack_judge(attack, kill((pid_t)attack_number(attack, 1), (int)attack_number(attack, 2)));
}

// terminal: puts a key into every terminal that can be had.
static void terminal(struct attack *attack) {
    char key = '\n';
    int tty = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (tty >= 0 && ioctl(tty, TIOCSTI, &key) == 0) {
        attack_say(attack, "ok:/dev/tty");
        return;
    }
    for (int fd = 0; fd < 3; fd++) {
        if (ioctl(fd, TIOCSTI, &key) != 0) continue;
        attack_say(attack, "ok:%d", fd);
        return;
    }
    attack_judge(attack, -1);
}

// ipc make|look KEY: shared memory, semaphores, message queues of System V and of POSIX, under names that others know.
static void ipc(struct attack *attack) {
    int create = strcmp(attack->word[1], "make") == 0 ? IPC_CREAT | 0666 : 0;
    key_t key = (key_t)attack_number(attack, 2);
    char name[64];
    char found[128] = "";
    snprintf(name, sizeof name, "/sluice-%ld", (long)key);
    if (shmget(key, 4096, create) >= 0) strcat(found, "shm ");
    if (semget(key, 1, create) >= 0) strcat(found, "sem ");
    if (msgget(key, create) >= 0) strcat(found, "msg ");
    if (shm_open(name, O_RDWR | (create ? O_CREAT : 0), 0666) >= 0) strcat(found, "posix-shm ");
    if (mq_open(name, O_RDWR | (create ? O_CREAT : 0), 0666, NULL) != (mqd_t)-1) strcat(found, "posix-mq ");
    attack_say(attack, "%s", found[0] ? found : "none");
}

// plant TARGET: a symlink and a hard link with names that others use in /tmp; look says what is there.
static void plant(struct attack *attack) {
    const char *name = attack->word[2];
    (void)unlink(name);
    attack_judge(attack, symlink(attack->word[1], name));
}

// daemon: leaves a process behind that has left the session, the group and the terminal, and ignores every signal.
static void leave_daemon(struct attack *attack) {
    pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() != 0) _exit(0);
        for (int number = 1; number < 65; number++) (void)signal(number, SIG_IGN);
        (void)chdir("/");
        for (;;) pause();
    }
    waitpid(child, NULL, 0);
    attack_judge(attack, child);
}

// exe TEXT: overwrites the program that runs (ours: the code; pid 1's: the server's).
static void overwrite_exe(struct attack *attack) {
    int fd = open(attack->word[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        attack_judge(attack, -1);
        return;
    }
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int again = open(path, O_WRONLY | O_CLOEXEC); // the way of CVE-2019-5736
    attack_judge(attack, again);
    if (again >= 0) close(again);
    close(fd);
}

// end exit|signal|sleep|connections: of this process, one way or another.
static void end(struct attack *attack) {
    const char *way = attack->word[1];
    if (strcmp(way, "exit") == 0) _exit(3);
    if (strcmp(way, "signal") == 0) raise(SIGSEGV);
    if (strcmp(way, "connections") == 0) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9001)};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (int i = 0; i < 50; i++) {
            int fd = socket(AF_INET, SOCK_STREAM, 0);
            if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) (void)!write(fd, "GET / HT", 8);
        }
        _exit(5);
    }
    for (;;) pause();
}

static void ids(struct attack *attack) { attack_say(attack, "%d %d %d", (int)getuid(), (int)getgid(), (int)getpid()); }

const struct attack_verb attack_wall_verbs[] = {
    {"call", call},
    {"open", open_file},
    {"write", write_file},
    {"make", make_file},
    {"list", list},
    {"readlink", read_link},
    {"device", device},
    {"fds", descriptors},
    {"processes", processes},
    {"environs", environs},
    {"find", find},
    {"suid", set_user_id},
    {"foreign", foreign},
    {"clone", clone_child},
    {"kill", send_signal},
    {"terminal", terminal},
    {"ipc", ipc},
    {"plant", plant},
    {"daemon", leave_daemon},
    {"exe", overwrite_exe},
    {"ids", ids},
    {"end", end},
    {NULL, NULL},
};
