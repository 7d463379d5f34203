/* A service and a client of libtirpc, as C programs have them: every call of the binding interface, one line each.
   "tirpc_peer" runs all steps; "tirpc_peer set NETID PROGRAM VERSION ADDRESS" registers one row and ends,
   "tirpc_peer unset NETID PROGRAM VERSION" unregisters one; "tirpc_peer stay PATH" registers all that the service has,
   with its local socket at that path, and serves until it is killed.
   What it prints does not depend on ports, times or the machine. */
#include <rpc/rpc.h>
#include <rpc/pmap_clnt.h>
#include <rpc/pmap_prot.h>
#include <rpc/pmap_rmt.h>
#include <rpc/rpcb_clnt.h>
#include <rpc/rpcb_prot.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROGRAM 600000001
#define OTHER 600000002
#define OLD 600000003

static const char *socket_path = "/run/tirpc_peer.sock";
static const char *NETIDS[] = {"udp", "tcp", "udp6", "tcp6", "local", NULL};
static struct timeval wait_for = {5, 0};
/* Filters are called with more arguments than xdr_void takes, by design of the library. */
static const xdrproc_t nothing = (xdrproc_t)(void *)xdr_void;

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
	if (request->rq_proc == NULLPROC)
		svc_sendreply(transport, nothing, NULL);
	else
		svcerr_noproc(transport);
}

static const char *host_of(const char *netid)
{
	return strchr(netid, '6') ? "::1" : "localhost";
}

/* The registered rows of one program, without addresses. */
static void rows(const char *when, unsigned long program)
{
	struct netconfig *local = getnetconfigent("local");
	rpcblist *row;
	printf("rpcb_getmaps %s:", when);
	for (row = rpcb_getmaps(local, "localhost"); row != NULL; row = row->rpcb_next)
		if (row->rpcb_map.r_prog == program)
			printf(" %lu/%s/%s", (unsigned long)row->rpcb_map.r_vers, row->rpcb_map.r_netid, row->rpcb_map.r_owner);
	printf("\n");
	freenetconfigent(local);
}

static void serve(void)
{
	struct netconfig *nconf;
	void *handle = setnetconfig();
	SVCXPRT *local;
	struct sockaddr_un path = {.sun_family = AF_UNIX};
	struct t_bind where = {.addr = {sizeof path, sizeof path, &path}, .qlen = 16};

	printf("svc_create visible: %d\n", svc_create(dispatch, PROGRAM, 1, "visible"));
	snprintf(path.sun_path, sizeof path.sun_path, "%s", socket_path);
	unlink(socket_path);
	nconf = getnetconfigent("local");
	local = svc_tli_create(RPC_ANYFD, nconf, &where, 0, 0);
	printf("svc_tli_create local: %d\n", local != NULL);
	if (local != NULL)
		printf("svc_reg local: %d\n", svc_reg(local, PROGRAM, 1, dispatch, nconf));
	freenetconfigent(nconf);
	/* A second version on transports of its own. */
	while ((nconf = getnetconfig(handle)) != NULL) {
		SVCXPRT *transport;
		if (!(nconf->nc_flag & NC_VISIBLE))
			continue;
		transport = svc_tp_create(dispatch, PROGRAM, 2, nconf);
		printf("svc_tp_create %s: %d\n", nconf->nc_netid, transport != NULL);
		if (transport != NULL) {
			int same = rpcb_set(PROGRAM, 2, nconf, &transport->xp_ltaddr);
			int fresh = rpcb_set(OTHER, 1, nconf, &transport->xp_ltaddr);
			printf("rpcb_set %s: same %d other %d\n", nconf->nc_netid, same, fresh);
		}
	}
	endnetconfig(handle);
}

static void reach(const char *netid)
{
	char address[128];
	struct sockaddr_storage found;
	struct netbuf where = {sizeof found, 0, &found};
	struct netconfig *nconf = getnetconfigent(netid);
	CLIENT *client;
	unsigned long version;

	for (version = 1; version <= 3; version++) {
		client = clnt_tp_create(host_of(netid), PROGRAM, version, nconf);
		if (client == NULL) {
			printf("clnt_tp_create %s %lu: %s\n", netid, version, clnt_sperrno(rpc_createerr.cf_stat));
			continue;
		}
		printf("clnt_tp_create %s %lu: NULL: %s\n", netid, version,
		    clnt_sperrno(clnt_call(client, NULLPROC, nothing, NULL, nothing, NULL, wait_for)));
		clnt_destroy(client);
	}
	if (rpcb_getaddr(PROGRAM, 1, nconf, &where, host_of(netid))) {
		char *text = taddr2uaddr(nconf, &where);
		snprintf(address, sizeof address, "%s", text ? text : "none");
		if (address[0] != '/') { /* the two numbers of the port are the kernel's choice */
			*strrchr(address, '.') = 0;
			*strrchr(address, '.') = 0;
		}
		printf("rpcb_getaddr %s: %s\n", netid, address);
		free(text);
	} else {
		printf("rpcb_getaddr %s: %s\n", netid, clnt_sperrno(rpc_createerr.cf_stat));
	}
	where.len = 0;
	printf("rpcb_getaddr %s absent: %d\n", netid, rpcb_getaddr(PROGRAM + 9, 1, nconf, &where, host_of(netid)));
	freenetconfigent(nconf);
}

/* clnt_create takes a class of transports and picks one. */
static void reach_by_class(void)
{
	static const char *CLASSES[] = {"netpath", "visible", "circuit_v", "datagram_v", "udp", "tcp", NULL};
	const char **class;
	for (class = CLASSES; *class != NULL; class++) {
		CLIENT *client = clnt_create("localhost", PROGRAM, 1, *class);
		if (client == NULL) {
			printf("clnt_create %s: %s\n", *class, clnt_sperrno(rpc_createerr.cf_stat));
			continue;
		}
		printf("clnt_create %s: over %s: NULL: %s\n", *class, client->cl_netid,
		    clnt_sperrno(clnt_call(client, NULLPROC, nothing, NULL, nothing, NULL, wait_for)));
		clnt_destroy(client);
	}
}

static void convert(void)
{
	/* The library asks over the local transport, whose addresses the daemon then expects, whatever is given here. */
	struct netconfig *local = getnetconfigent("local");
	struct netbuf *raw = rpcb_uaddr2taddr(local, "/run/some.sock");
	char *text = raw ? rpcb_taddr2uaddr(local, raw) : NULL;
	time_t told = 0, now = time(NULL);
	int done;
	printf("rpcb_uaddr2taddr, rpcb_taddr2uaddr: %s\n", text ? text : "none");
	done = rpcb_gettime("localhost", &told);
	printf("rpcb_gettime: %d near %d\n", done, told >= now - 5 && told <= now + 5);
	freenetconfigent(local);
}

static void old_interface(void)
{
	struct sockaddr_in home = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(111)};
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(50001)};
	struct pmaplist *row;
	/* Something has to be bound where a service is registered, or it is dead and may be registered elsewhere. */
	if (bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&here, sizeof here) < 0)
		perror("bind");
	printf("pmap_set: %d\n", pmap_set(OLD, 1, IPPROTO_UDP, 50001));
	printf("pmap_set again: %d\n", pmap_set(OLD, 1, IPPROTO_UDP, 50001));
	printf("pmap_set elsewhere: %d\n", pmap_set(OLD, 1, IPPROTO_UDP, 50002));
	printf("pmap_getport: %d\n", pmap_getport(&home, OLD, 1, IPPROTO_UDP));
	home.sin_port = htons(111);
	printf("pmap_getport other protocol: %d\n", pmap_getport(&home, OLD, 1, IPPROTO_TCP));
	home.sin_port = htons(111);
	printf("pmap_getmaps:");
	for (row = pmap_getmaps(&home); row != NULL; row = row->pml_next)
		if (row->pml_map.pm_prog == OLD)
			printf(" %lu/%ld/%lu", row->pml_map.pm_vers, (long)row->pml_map.pm_prot, row->pml_map.pm_port);
	printf("\npmap_unset: %d\n", pmap_unset(OLD, 1));
	home.sin_port = htons(111);
	printf("pmap_getport after: %d\n", pmap_getport(&home, OLD, 1, IPPROTO_UDP));
}

static void remote(void)
{
	struct sockaddr_in home = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(111)};
	struct timeval short_wait = {1, 0};
	struct netconfig *udp = getnetconfigent("udp");
	struct sockaddr_storage found;
	struct netbuf where = {sizeof found, 0, &found};
	u_long port = 0;
	enum clnt_stat status;
	status = rpcb_rmtcall(udp, "localhost", PROGRAM, 1, NULLPROC, nothing, NULL, nothing, NULL,
	    short_wait, &where);
	printf("rpcb_rmtcall: %s\n", clnt_sperrno(status));
	status = pmap_rmtcall(&home, PROGRAM, 1, NULLPROC, nothing, NULL, nothing, NULL, short_wait,
	    &port);
	printf("pmap_rmtcall: %s\n", clnt_sperrno(status));
	freenetconfigent(udp);
}

static void leave(void)
{
	struct netconfig *udp = getnetconfigent("udp");
	printf("rpcb_unset udp: %d\n", rpcb_unset(PROGRAM, 2, udp));
	rows("after one", PROGRAM);
	printf("rpcb_unset all: %d %d %d\n", rpcb_unset(PROGRAM, 1, NULL), rpcb_unset(PROGRAM, 2, NULL),
	    rpcb_unset(OTHER, 1, NULL));
	rows("after all", PROGRAM);
	rows("after all, other", OTHER);
	printf("rpcb_unset absent: %d\n", rpcb_unset(PROGRAM, 1, NULL));
	freenetconfigent(udp);
}

static int set_one(char **word)
{
	struct netconfig *nconf = getnetconfigent(word[0]);
	struct netbuf *where = nconf ? uaddr2taddr(nconf, word[3]) : NULL;
	int done = where && rpcb_set(strtoul(word[1], NULL, 10), strtoul(word[2], NULL, 10), nconf, where);
	return done ? 0 : 1;
}

static int unset_one(char **word)
{
	struct netconfig *nconf = getnetconfigent(word[0]);
	int done = nconf && rpcb_unset(strtoul(word[1], NULL, 10), strtoul(word[2], NULL, 10), nconf);
	return done ? 0 : 1;
}

int main(int count, char **word)
{
	const char **netid;
	pid_t server;

	if (count == 6 && strcmp(word[1], "set") == 0)
		return set_one(word + 2);
	if (count == 5 && strcmp(word[1], "unset") == 0)
		return unset_one(word + 2);
	setlinebuf(stdout);
	if (count == 3 && strcmp(word[1], "stay") == 0) {
		socket_path = word[2];
		serve();
		svc_run();
		return 1;
	}
	serve();
	rows("service", PROGRAM);
	rows("other", OTHER);
	fflush(stdout);
	server = fork();
	if (server == 0) {
		svc_run();
		_exit(1);
	}
	for (netid = NETIDS; *netid != NULL; netid++)
		reach(*netid);
	reach_by_class();
	convert();
	old_interface();
	remote();
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	leave();
	return 0;
}
