//go:build ignore

// The floor: what the kernel alone asks of a WebSocket server on one CPU.
//
//	floor PORT TASKPORT
//
// serves WebSocket on the loopback address's PORT and, on TASKPORT, reads
// Broadcast packets, each of which it writes to every client with one write.
// It echoes what clients send. Nothing else that a server does is here: no
// registry, no limits, no queues, and no message above 125 bytes. What a socket
// does not take at once is gone; how often is said when the program ends.

#define _GNU_SOURCE // for accept4
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	MAX_FD = 1 << 16,
	SHORT = 125,      // the longest payload with a header of two bytes
	PACKET_HEAD = 8,  // length of what follows it and command, 4 bytes each
	FIELD_HEAD = 2,   // tag and length of the only field, the data
	READ_SIZE = 4096,
};

static int clients[MAX_FD], count; // descriptors, in no order
static int place[MAX_FD];          // of a descriptor in clients
static int task = -1;              // the task connection: one at a time
static uint8_t pending[1 << 20];   // bytes of it, up to a whole packet
static size_t pending_size;
static long cut_writes, cut_frames, refused;
static volatile sig_atomic_t ended;

static void end(int signal) {
	(void)signal;
	ended = 1;
}

static void die(const char *what) {
	perror(what);
	exit(1);
}

static int listen_on(const char *port) {
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(atoi(port)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) < 0 || listen(fd, 4096) < 0)
		die(port);
	return fd;
}

static void watch(int poll, int fd) {
	struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
	if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) < 0)
		die("epoll_ctl");
}

static int take(int listener, int poll) {
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
	if (fd < 0 || fd >= MAX_FD) {
		refused++;
		if (fd >= 0)
			close(fd);
		return -1;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	watch(poll, fd);
	return fd;
}

static void join(int fd) {
	if (fd < 0)
		return;
	place[fd] = count;
	clients[count++] = fd;
}

static void leave(int fd) {
	int last = clients[--count];
	clients[place[fd]] = last;
	place[last] = place[fd];
	close(fd);
}

static void take_task(int listener, int poll) {
	int fd = take(listener, poll);
	if (task < 0) {
		task = fd;
		pending_size = 0;
	} else if (fd >= 0) {
		refused++;
		close(fd);
	}
}

static void send_to(int fd, const void *data, size_t size) {
	if (write(fd, data, size) != (ssize_t)size)
		cut_writes++;
}

// broadcast sends the data of one packet's body.
static void broadcast(const uint8_t *body, size_t size) {
	uint8_t frame[2 + SHORT] = {0x80 | 1}; // the last of its message, text
	if (size < FIELD_HEAD || size - FIELD_HEAD > SHORT) {
		fputs("floor: a broadcast must have 1 to 125 bytes\n", stderr);
		return;
	}
	size -= FIELD_HEAD;
	frame[1] = size;
	memcpy(frame + 2, body + FIELD_HEAD, size);
	for (int i = 0; i < count; i++)
		send_to(clients[i], frame, 2 + size);
}

static void read_task(void) {
	ssize_t n = read(task, pending + pending_size, sizeof pending - pending_size);
	if (n <= 0) {
		close(task);
		task = -1;
		return;
	}
	pending_size += n;
	size_t at = 0;
	while (pending_size - at >= PACKET_HEAD) {
		uint32_t size;
		memcpy(&size, pending + at, sizeof size);
		size_t whole = sizeof size + (size_t)ntohl(size);
		if (whole < PACKET_HEAD || whole > sizeof pending) {
			fputs("floor: a packet of a size that cannot be\n", stderr);
			exit(1);
		}
		if (pending_size - at < whole)
			break;
		broadcast(pending + at + PACKET_HEAD, whole - PACKET_HEAD);
		at += whole;
	}
	pending_size -= at;
	memmove(pending, pending + at, pending_size);
}

// echo unmasks the short frames of in and returns them in one write.
static void echo(int fd, const uint8_t *in, size_t size) {
	uint8_t out[READ_SIZE];
	size_t n = 0, at = 0;
	while (size - at >= 6) {
		size_t length = in[at + 1] & 0x7f;
		if (length > SHORT || size - at < 6 + length)
			break;
		const uint8_t *mask = in + at + 2, *payload = mask + 4;
		out[n++] = in[at];
		out[n++] = length;
		for (size_t i = 0; i < length; i++)
			out[n++] = payload[i] ^ mask[i % 4];
		at += 6 + length;
	}
	if (at < size)
		cut_frames++;
	if (n > 0)
		send_to(fd, out, n);
}

// The answer is to the key of RFC 6455's example, dGhlIHNhbXBsZSBub25jZQ==.
static const char answer[] =
	"HTTP/1.1 101 Switching Protocols\r\n"
	"Upgrade: websocket\r\n"
	"Connection: Upgrade\r\n"
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

static void read_client(int fd) {
	uint8_t in[READ_SIZE];
	ssize_t n = read(fd, in, sizeof in);
	if (n <= 0)
		leave(fd);
	else if (in[0] == 'G') // of GET: no frame of a client begins so
		send_to(fd, answer, sizeof answer - 1);
	else
		echo(fd, in, n);
}

int main(int argc, char **argv) {
	if (argc != 3) {
		fputs("usage: floor PORT TASKPORT\n", stderr);
		return 2;
	}
	struct sigaction on_term = {.sa_handler = end};
	sigaction(SIGTERM, &on_term, NULL);
	sigaction(SIGINT, &on_term, NULL);
	signal(SIGPIPE, SIG_IGN);
	int tasks = listen_on(argv[2]), door = listen_on(argv[1]), poll = epoll_create1(0);
	watch(poll, tasks);
	watch(poll, door);
	while (!ended) {
		struct epoll_event events[256];
		int n = epoll_wait(poll, events, 256, -1);
		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;
			if (fd == door) {
				join(take(door, poll));
			} else if (fd == tasks) {
				take_task(tasks, poll);
			} else if (fd == task) {
				read_task();
			} else {
				read_client(fd);
			}
		}
	}
	if (cut_writes || cut_frames || refused)
		fprintf(stderr, "floor: %ld writes not taken whole, %ld reads that ended inside a frame, %ld connections refused\n",
			cut_writes, cut_frames, refused);
	return 0;
}
