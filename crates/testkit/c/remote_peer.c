/* Remote calls by libtirpc, as C programs make them. "remote_peer serve" is a service on every transport;
   "remote_peer call HOST HOST6 HOSTS" calls it through the port mapper of a host, over IPv4 and IPv6, and by broadcast
   until it has heard of so many hosts. One line a step, which does not depend on ports or times. */
#include <rpc/rpc.h>
#include <rpc/pmap_clnt.h>
#include <rpc/pmap_rmt.h>
#include <rpc/rpcb_clnt.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROGRAM 600000021
#define ECHO 1
#define FAIL 2
#define LENGTH 300

static const xdrproc_t nothing = (xdrproc_t)(void *)xdr_void;
static const xdrproc_t string = (xdrproc_t)(void *)xdr_wrapstring;
static char said[LENGTH + 1];
static struct in_addr hosts[16];
static int wanted, found;

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
	char *text = NULL;
	switch (request->rq_proc) {
	case NULLPROC:
		svc_sendreply(transport, nothing, NULL);
		break;
	case ECHO:
		if (svc_getargs(transport, string, (char *)&text))
			svc_sendreply(transport, string, (char *)&text);
		else
			svcerr_decode(transport);
		svc_freeargs(transport, string, (char *)&text);
		break;
	case FAIL:
		svcerr_systemerr(transport);
		break;
	default:
		svcerr_noproc(transport);
	}
}

static int serve(void)
{
	if (svc_create(dispatch, PROGRAM, 1, "visible") < 4)
		return 1;
	svc_run();
	return 1;
}

static void tell(const char *step, enum clnt_stat status, char *answer)
{
	printf("%s: %s%s\n", step, clnt_sperrno(status),
	    status != RPC_SUCCESS ? "" : answer && strcmp(answer, said) == 0 ? ", echoed" : ", NOT echoed");
}

static void ask(const char *netid, char *host)
{
	struct netconfig *nconf = getnetconfigent(netid);
	struct sockaddr_storage service;
	struct netbuf where = {sizeof service, 0, &service};
	struct timeval patience = {20, 0}, moment = {1, 0};
	char *text = said, *answer = NULL;
	char step[64];

	enum clnt_stat status = rpcb_rmtcall(nconf, host, PROGRAM, 1, ECHO, string, (char *)&text, string,
	    (char *)&answer, patience, &where);
	snprintf(step, sizeof step, "rpcb_rmtcall %s", netid);
	tell(step, status, answer);
	if (status == RPC_SUCCESS) {
		char *full = taddr2uaddr(nconf, &where);
		*strrchr(full, '.') = 0; /* the two numbers of the port are the kernel's choice */
		*strrchr(full, '.') = 0;
		printf("%s: at %s\n", step, strcmp(full, host) == 0 ? "the host that was asked" : full);
	}
	/* One version after the other is tried for as long as that. */
	status = rpcb_rmtcall(nconf, host, PROGRAM, 1, FAIL, nothing, NULL, nothing, NULL, moment, &where);
	printf("%s of what fails: %s\n", step, clnt_sperrno(status));
	freenetconfigent(nconf);
}

static void ask_old(const char *host)
{
	struct sockaddr_in there = {.sin_family = AF_INET};
	struct timeval patience = {20, 0}, moment = {1, 0};
	char *text = said, *answer = NULL;
	u_long port = 0;
	enum clnt_stat status;

	inet_pton(AF_INET, host, &there.sin_addr);
	status = pmap_rmtcall(&there, PROGRAM, 1, ECHO, string, (char *)&text, string, (char *)&answer, patience, &port);
	tell("pmap_rmtcall", status, answer);
	printf("pmap_rmtcall: %s port\n", port >= 512 && port <= 65535 ? "a" : "no");
	there.sin_port = 0;
	status = pmap_rmtcall(&there, PROGRAM + 9, 1, NULLPROC, nothing, NULL, nothing, NULL, moment, &port);
	printf("pmap_rmtcall of nobody: %s\n", clnt_sperrno(status));
}

/* Whether all have been heard of. */
static bool_t heard(char *answer, struct sockaddr_in *from)
{
	int i;
	if (strcmp(*(char **)answer, said) != 0)
		printf("NOT echoed\n");
	if (from->sin_addr.s_addr == htonl(INADDR_ANY)) /* the library does not always say whose answer it is */
		return FALSE;
	for (i = 0; i < found; i++)
		if (hosts[i].s_addr == from->sin_addr.s_addr)
			return FALSE;
	hosts[found++] = from->sin_addr;
	return found == wanted;
}

static bool_t heard_too(char *answer, struct netbuf *from, struct netconfig *nconf)
{
	(void)nconf;
	return heard(answer, from->buf);
}

static int by_number(const void *one, const void *other)
{
	return memcmp(one, other, sizeof(struct in_addr));
}

static void tell_hosts(const char *step, enum clnt_stat status)
{
	int i;
	qsort(hosts, found, sizeof *hosts, by_number);
	printf("%s: %s:", step, clnt_sperrno(status));
	for (i = 0; i < found; i++)
		printf(" %s", inet_ntoa(hosts[i]));
	printf("\n");
	found = 0;
}

int main(int count, char **word)
{
	char *text = said, *answer = NULL;

	memset(said, 'x', LENGTH);
	if (count == 2 && strcmp(word[1], "serve") == 0)
		return serve();
	if (count != 5)
		return 2;
	wanted = atoi(word[4]);
	setlinebuf(stdout);
	ask("udp", word[2]);
	ask("udp6", word[3]);
	ask_old(word[2]);
	tell_hosts("clnt_broadcast", clnt_broadcast(PROGRAM, 1, ECHO, string, (char *)&text, string, (char *)&answer,
	    (resultproc_t)(void *)heard));
	answer = NULL;
	tell_hosts("rpc_broadcast", rpc_broadcast(PROGRAM, 1, ECHO, string, (char *)&text, string, (char *)&answer,
	    (resultproc_t)(void *)heard_too, "udp"));
	return 0;
}
