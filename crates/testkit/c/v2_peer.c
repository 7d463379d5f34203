/* A program that speaks version 2 over loopback datagrams only, as the C library's own RPC did: packets made by hand,
   from a reserved port where it may have one. One line a step; nothing it prints depends on ports or the machine.
   "v2_peer" runs all steps; "v2_peer set" and "v2_peer unset" only that, to see who may touch whose rows;
   "v2_peer find" only asks for what "set" has registered. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define PROGRAM 600000011
#define UDP 17
#define TCP 6

static int fd;
static uint32_t xid = 0x76320000;
static uint32_t answer[2048];

static int reserved_port(void)
{
	struct sockaddr_in here = {.sin_family = AF_INET};
	int port;
	for (port = 1023; port >= 600; port--) {
		here.sin_port = htons(port);
		if (bind(fd, (struct sockaddr *)&here, sizeof here) == 0)
			return 1;
		if (errno != EADDRINUSE)
			return 0;
	}
	return 0;
}

/* One call; answers how many words of result came back, or -1. */
static int call(uint32_t procedure, int words, const uint32_t *arguments)
{
	uint32_t message[14] = {htonl(++xid), 0, htonl(2), htonl(100000), htonl(2), htonl(procedure)};
	int i;
	ssize_t got;
	for (i = 0; i < words; i++)
		message[10 + i] = htonl(arguments[i]);
	if (send(fd, message, 40 + 4 * words, 0) < 0)
		return -1;
	do {
		got = recv(fd, answer, sizeof answer, 0);
		if (got < 0)
			return -1;
	} while (got < 4 || answer[0] != htonl(xid));
	if (got < 24 || answer[1] != htonl(1) || answer[2] != 0 || answer[5] != 0)
		return -1;
	return (got - 24) / 4;
}

static long one(uint32_t procedure, uint32_t program, uint32_t version, uint32_t protocol, uint32_t port)
{
	uint32_t mapping[4] = {program, version, protocol, port};
	return call(procedure, 4, mapping) == 1 ? (long)ntohl(answer[6]) : -1;
}

static void dump(void)
{
	int words = call(4, 0, NULL), at = 6;
	printf("DUMP:");
	while (at - 6 + 5 <= words && answer[at] == htonl(1)) {
		if (ntohl(answer[at + 1]) == PROGRAM)
			printf(" %u/%u/%u", ntohl(answer[at + 2]), ntohl(answer[at + 3]), ntohl(answer[at + 4]));
		at += 5;
	}
	printf("%s\n", words > 0 && answer[at] == 0 ? "" : " cut off");
}

/* The service itself: something has to be bound where it is registered, or it is dead and may be registered elsewhere. */
static int serve(int port)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
	return bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&here, sizeof here);
}

int main(int count, char **word)
{
	struct sockaddr_in there = {.sin_family = AF_INET, .sin_port = htons(111), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval wait = {5, 0};

	fd = socket(AF_INET, SOCK_DGRAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
	printf("source port: %s\n", reserved_port() ? "reserved" : "ordinary");
	if (connect(fd, (struct sockaddr *)&there, sizeof there) < 0)
		return 1;
	if (count > 1 && strcmp(word[1], "find") == 0) {
		printf("GETPORT udp: %ld\n", one(3, PROGRAM, 1, UDP, 0));
		printf("GETPORT another version: %ld\n", one(3, PROGRAM, 9, UDP, 0));
		return 0;
	}
	if (count > 1) {
		int set = strcmp(word[1], "set") == 0;
		printf("%s: %ld\n", word[1], one(set ? 1 : 2, PROGRAM, 1, set ? UDP : 0, set ? 50003 : 0));
		return 0;
	}
	if (serve(50003) < 0)
		return 1;
	printf("NULL: %d\n", call(0, 0, NULL));
	printf("UNSET absent: %ld\n", one(2, PROGRAM, 1, 0, 0));
	printf("SET udp: %ld\n", one(1, PROGRAM, 1, UDP, 50003));
	printf("SET tcp: %ld\n", one(1, PROGRAM, 1, TCP, 50004));
	printf("SET udp again: %ld\n", one(1, PROGRAM, 1, UDP, 50003));
	printf("SET udp elsewhere: %ld\n", one(1, PROGRAM, 1, UDP, 50005));
	printf("SET of no protocol: %ld\n", one(1, PROGRAM, 1, 99, 50003));
	printf("GETPORT udp: %ld\n", one(3, PROGRAM, 1, UDP, 0));
	printf("GETPORT tcp: %ld\n", one(3, PROGRAM, 1, TCP, 0));
	printf("GETPORT another version: %ld\n", one(3, PROGRAM, 9, UDP, 0));
	printf("GETPORT absent: %ld\n", one(3, PROGRAM + 1, 1, UDP, 0));
	dump();
	printf("UNSET: %ld\n", one(2, PROGRAM, 1, 0, 0));
	printf("GETPORT after: %ld\n", one(3, PROGRAM, 1, UDP, 0));
	dump();
	return 0;
}
