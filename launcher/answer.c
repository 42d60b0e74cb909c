/* The answer: frames of u8 tag, u32 n, n bytes, described where they are made, in src/client/launcher-wire.ts. Nothing
 * of a compile is touched before the last frame is here, so an answer cut short leaves everything as it was. The bytes
 * of big frames pass through; no frame has to fit into memory. */
#include "shoal.h"
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { frame_head = 5, output_head = 13 };

static struct {
	int socket;
	size_t begin, end;
	bool silent; /* nothing came for as long as connect_daemon() allows */
	unsigned char bytes[1 << 16];
} input;

/* The next bytes, at least one of them; false at the end, or after the silence that connect_daemon() allows. */
static bool fill(void)
{
	if (input.begin == input.end)
		input.begin = input.end = 0;
	for (;;) {
		ssize_t got = recv(input.socket, input.bytes + input.end, sizeof input.bytes - input.end, 0);
		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0)
			input.end += got;
		else
			input.silent = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
		return got > 0;
	}
}

/* The next `size` bytes, in one piece that lasts until the next call; NULL if they do not come. */
static const unsigned char *take(size_t size)
{
	if (size > sizeof input.bytes)
		return NULL;
	if (input.begin + size > sizeof input.bytes) {
		memmove(input.bytes, input.bytes + input.begin, input.end - input.begin);
		input.end -= input.begin;
		input.begin = 0;
	}
	while (input.end - input.begin < size)
		if (!fill())
			return NULL;
	input.begin += size;
	return input.bytes + input.begin - size;
}

/* As many as there are of the next bytes, up to `most`; 0 if none come. */
static size_t take_some(size_t most, const unsigned char **bytes)
{
	if (input.begin == input.end && !fill())
		return 0;
	size_t size = input.end - input.begin < most ? input.end - input.begin : most;
	*bytes = input.bytes + input.begin;
	input.begin += size;
	return size;
}

static bool take_output(struct answer *answer, uint32_t size)
{
	const unsigned char *frame = size > output_head && size < output_head + PATH_MAX ? take(size) : NULL;
	if (!frame || frame[0] > 2 || frame[output_head] != '/')
		return false;
	struct output *outputs = realloc(answer->outputs, (answer->count + 1) * sizeof *outputs);
	if (!outputs)
		return false;
	answer->outputs = outputs;
	struct output *output = &outputs[answer->count++];
	*output = (struct output){.in_place = frame[0] == 1, .removed = frame[0] == 2, .mode = get32(frame + 1) & 0777};
	output->missing = get64(frame + 5);
	output->path = strndup((const char *)frame + output_head, size - output_head);
	if (!output->path || strlen(output->path) != size - output_head)
		return false;
	begin_output(output);
	return true;
}

static bool take_data(struct answer *answer, uint32_t size)
{
	struct output *output = answer->count > 0 ? &answer->outputs[answer->count - 1] : NULL;
	if (!output || size > output->missing)
		return false;
	output->missing -= size;
	for (size_t got; size > 0; size -= got) {
		const unsigned char *bytes;
		got = take_some(size, &bytes);
		if (got == 0)
			return false;
		add_to_output(output, bytes, got);
	}
	return true;
}

static bool take_text(struct buffer *text, uint32_t size)
{
	for (size_t got; size > 0; size -= got) {
		const unsigned char *bytes;
		got = take_some(size, &bytes);
		if (got == 0 || !append(text, bytes, got))
			return false;
	}
	return true;
}

static bool take_end(struct answer *answer, uint32_t size)
{
	const unsigned char *status = size == 4 ? take(4) : NULL;
	if (!status)
		return false;
	answer->wait_status = get32(status);
	for (size_t i = 0; i < answer->count; i++)
		if (answer->outputs[i].missing > 0)
			return false;
	return WIFEXITED(answer->wait_status) || WIFSIGNALED(answer->wait_status);
}

static bool take_reason(struct answer *answer, uint32_t size)
{
	static const char not_a_compiler[] = "not-a-compiler";
	const unsigned char *reason = take(size);
	if (!reason)
		return false;
	answer->not_a_compiler =
		size == sizeof not_a_compiler - 1 && memcmp(reason, not_a_compiler, size) == 0;
	return true;
}

static bool take_slot_and_reason(struct answer *answer, uint32_t size)
{
	const unsigned char *need = size >= 4 ? take(4) : NULL;
	if (!need)
		return false;
	answer->need_kb = get32(need);
	answer->takes_slot = true;
	return take_reason(answer, size - 4);
}

enum verdict receive_answer(int socket, struct command *command, struct answer *answer)
{
	input.socket = socket;
	const unsigned char *head;
	for (bool whole = true; whole && (head = take(frame_head)) != NULL;) {
		uint32_t size = get32(head + 1);
		switch (head[0]) {
		case 'H': /* the daemon is alive */
			whole = size == 0;
			break;
		case 'E': /* a host needs preprocessed source */
			whole = size == 0 && preprocess(socket, command);
			break;
		case 'O':
			whole = take_output(answer, size);
			break;
		case 'D':
			whole = take_data(answer, size);
			break;
		case '1':
		case '2':
			whole = take_text(&answer->text[head[0] - '1'], size);
			break;
		case 'X':
			return take_end(answer, size) ? VERDICT_DONE : VERDICT_BROKEN;
		case 'R':
			return take_reason(answer, size) ? VERDICT_RUN_HERE : VERDICT_BROKEN;
		case 'W':
			return take_slot_and_reason(answer, size) ? VERDICT_RUN_HERE : VERDICT_BROKEN;
		default:
			whole = false;
		}
	}
	return input.silent ? VERDICT_SILENT : VERDICT_BROKEN;
}
