/*
 * A cable that is slow: delay-link MICROSECONDS NETNS NAME NETNS NAME
 *
 * Makes a tap device in each of two network namespaces and carries frames between them, each as long after it came, in
 * order and without loss. Large frames are carried as the kernel gives them (with their virtio header), so that bandwidth
 * is not what it costs. For kernels without the netem queue.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { largest_frame = 70000 };

struct frame {
	struct frame *next;
	long due_us;
	size_t size;
	char bytes[];
};

struct direction {
	int from, to;
	struct frame *first, **last;
};

static void fail(const char *what)
{
	fprintf(stderr, "delay-link: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int open_tap(const char *namespace, const char *name)
{
	char path[256];
	snprintf(path, sizeof path, "/run/netns/%s", namespace);
	int there = open(path, O_RDONLY | O_CLOEXEC);
	if (there < 0 || setns(there, CLONE_NEWNET) != 0)
		fail(path);
	close(there);
	int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	struct ifreq wanted = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	strncpy(wanted.ifr_name, name, IFNAMSIZ - 1);
	if (tap < 0 || ioctl(tap, TUNSETIFF, &wanted) != 0)
		fail("/dev/net/tun");
	if (ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) != 0)
		fail("TUNSETOFFLOAD");
	return tap;
}

static void take(struct direction *way, long delay_us)
{
	static char bytes[largest_frame];
	for (;;) {
		ssize_t size = read(way->from, bytes, sizeof bytes);
		if (size <= 0)
			return;
		struct frame *frame = malloc(sizeof *frame + size);
		if (!frame)
			fail("memory");
		*frame = (struct frame){NULL, now_us() + delay_us, size};
		memcpy(frame->bytes, bytes, size);
		*way->last = frame;
		way->last = &frame->next;
	}
}

static void give(struct direction *way)
{
	long now = now_us();
	while (way->first && way->first->due_us <= now) {
		struct frame *frame = way->first;
		/* An interface that is not up yet loses what comes, as a cable without a box would. */
		if (write(way->to, frame->bytes, frame->size) < 0 && errno == EAGAIN)
			return;
		way->first = frame->next;
		if (!way->first)
			way->last = &way->first;
		free(frame);
	}
}

int main(int argc, char **argv)
{
	if (argc != 6)
		fail("usage: delay-link MICROSECONDS NETNS NAME NETNS NAME");
	long delay_us = atol(argv[1]);
	int near = open_tap(argv[2], argv[3]), far = open_tap(argv[4], argv[5]);
	struct direction ways[2] = {{near, far, NULL, NULL}, {far, near, NULL, NULL}};
	struct pollfd ends[2] = {{near, POLLIN, 0}, {far, POLLIN, 0}};
	for (int at = 0; at < 2; at++)
		ways[at].last = &ways[at].first;
	for (;;) {
		long next_us = -1;
		for (int at = 0; at < 2; at++)
			if (ways[at].first && (next_us < 0 || ways[at].first->due_us < next_us))
				next_us = ways[at].first->due_us;
		long left_us = next_us < 0 ? 0 : next_us - now_us();
		if (left_us < 0)
			left_us = 0;
		struct timespec wait = {left_us / 1000000, left_us % 1000000 * 1000};
		if (ppoll(ends, 2, next_us < 0 ? NULL : &wait, NULL) < 0 && errno != EINTR)
			fail("ppoll");
		for (int at = 0; at < 2; at++) {
			take(&ways[at], delay_us);
			give(&ways[at]);
		}
	}
}
