/* `shoal run` of words that are not UTF-8, in arguments or environment: Node cannot hand them on as they are. They come
 * through a descriptor instead, each with a NUL after it: the number of arguments, the arguments, the environment. */
#include "shoal.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { words_fd = 3 };

static bool read_words(struct buffer *text)
{
	char bytes[4096];
	for (;;) {
		ssize_t got = read(words_fd, bytes, sizeof bytes);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got == 0 && text->used > 0 && text->bytes[text->used - 1] == '\0';
		if (!append(text, bytes, got))
			return false;
	}
}

/* Becomes that command, found on its own PATH. */
void exec_untouched(void)
{
	struct buffer text = {0};
	size_t count = 0, used = 0;
	if (!read_words(&text))
		return;
	close(words_fd);
	char *at = (char *)text.bytes, *end = at + text.used;
	size_t arguments = strtoul(at, NULL, 10);
	for (char *word = at; word < end; word += strlen(word) + 1)
		count++;
	char **words = calloc(count + 2, sizeof *words); /* and a NULL after each of the two lists */
	if (!words || arguments == 0 || arguments >= count)
		return;
	for (at += strlen(at) + 1; at < end; at += strlen(at) + 1) {
		used += used == arguments;
		words[used++] = at;
	}
	environ = words + arguments + 1;
	execvp(words[0], words);
	int status = errno == ENOENT ? 127 : 126;
	fprintf(stderr, "shoal: %s: %s\n", words[0], status == 127 ? "no such command on PATH" : strerror(errno));
	_exit(status);
}
