// SPDX-License-Identifier: Apache-2.0
//
// usernet: see usernet.h. Both programs open sockets in the host's namespace on behalf of the router, so the host's
// loopback must be closed in the program (slirp4netns: --disable-host-loopback; pasta: no gateway mapping, no forwarded
// ports) and the host's other addresses in the router's rules.
#include "jail/usernet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "jail/file.h"
#include "jail/jail.h"
#include "jail/netns.h"

enum { READY_MS = 2000, STEP_MS = 5 };

#define NETWORK  "198.18.0.0/24"
#define RESOLVER "198.18.0.3" // slirp4netns answers DNS at the third address of its network

static const char *find(const char *const paths[]) {
    for (; *paths != NULL; paths++) {
        if (access(*paths, X_OK) == 0) return *paths;
    }
    return NULL;
}

// Child: waits in the router until it has a default route, which is the last thing that both programs make.
static _Noreturn void wait_main(int ns) {
    char text[4096];
    if (setns(ns, CLONE_NEWNET) != 0) _exit(1);
    for (int waited = 0; waited < READY_MS; waited += STEP_MS) {
        if (sl_jail__read(AT_FDCWD, "/proc/self/net/route", text, sizeof text) > 0 &&
            strstr(text, "\nup\t00000000") != NULL)
            _exit(0);
        (void)poll(NULL, 0, STEP_MS);
    }
    _exit(1);
}

static _Noreturn void helper_main(const struct sl_jail__router *router, pid_t spawner, const char *slirp,
                                  const char *pasta) {
    char path[32];
    int ns = fcntl(router->ns, F_DUPFD, 3); // without close-on-exec: the path must mean the same in the program
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    for (int number = 1; number < NSIG; number++) (void)signal(number, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != spawner) _exit(1); // it died before it could take us along
    if (ns < 0 || null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0) _exit(1);
    snprintf(path, sizeof path, "/proc/self/fd/%d", ns);
    if (slirp != NULL) {
        execl(slirp, "slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback", "--cidr=" NETWORK,
              "--netns-type=path", path, "up", (char *)NULL);
    } else {
        execl(pasta, "pasta", "--foreground", "--quiet", "--config-net", "--ns-ifname", "up", "--no-map-gw", "-t",
              "none", "-u", "none", "-T", "none", "-U", "none", "--netns-only", "--netns", path, (char *)NULL);
    }
    _exit(1);
}

int sl_jail__usernet_start(struct sl_jail__router *router, const struct sl_jail_config *config, struct sl_error *err) {
    static const char *const slirps[] = {"/usr/bin/slirp4netns", "/usr/local/bin/slirp4netns", NULL};
    static const char *const pastas[] = {"/usr/bin/pasta", "/usr/local/bin/pasta", NULL};
    const char *slirp = find(slirps);
    const char *pasta = find(pastas);
    if (slirp == NULL && pasta == NULL) return sl_fail(err, SL_E_UNAVAILABLE, "install slirp4netns or passt");
    if (access("/dev/net/tun", R_OK | W_OK) != 0) return sl_fail_errno(err, "open /dev/net/tun");
    pid_t spawner = getpid();
    router->helper = fork();
    if (router->helper == 0) helper_main(router, spawner, slirp, pasta);
    if (router->helper < 0) return sl_fail_errno(err, "start %s", slirp != NULL ? slirp : pasta);
    pid_t waiter = fork();
    if (waiter == 0) wait_main(router->ns);
    int status = 1;
    if (waiter > 0) (void)waitpid(waiter, &status, 0);
    if (waiter > 0 && status == 0) {
        if (slirp != NULL && config->dns_count == 0) {
            router->dns_count = inet_pton(AF_INET, RESOLVER, &router->dns[0]) == 1 ? 1 : 0;
        }
        return SL_OK;
    }
    sl_jail__usernet_stop(router);
    return sl_fail(err, SL_E_UNAVAILABLE, "%s made no network within %d ms", slirp != NULL ? slirp : pasta, READY_MS);
}

void sl_jail__usernet_stop(struct sl_jail__router *router) {
    if (router->helper <= 0) return;
    (void)kill(router->helper, SIGKILL);
    (void)waitpid(router->helper, NULL, 0);
    router->helper = 0;
}
