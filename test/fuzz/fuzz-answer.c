/* libFuzzer: what the launcher makes of a daemon's answer. Outputs go nowhere, and no compiler is run to preprocess; the
 * rest is the launcher's own. */
#include "../../launcher/answer.c"
#include <stdlib.h>
#include <unistd.h>

void begin_output(struct output *output)
{
	output->nameless = -1;
}

void add_to_output(struct output *output, const void *bytes, size_t size)
{
	output->lost = !append(&output->bytes, bytes, size);
}

bool preprocess(int connection, struct command *command)
{
	return connection >= 0 && command->argv == NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	int ends[2];
	if (size > 60000 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
		return 0;
	if (!write_all(ends[1], bytes, size))
		abort();
	close(ends[1]);
	input.begin = input.end = 0;
	struct command command = {0};
	struct answer answer = {0};
	enum verdict verdict = receive_answer(ends[0], &command, &answer);
	close(ends[0]);
	for (size_t i = 0; i < answer.count; i++) {
		if (verdict == VERDICT_DONE && answer.outputs[i].missing > 0)
			abort(); /* a file that is not whole would be put in place */
		if (verdict == VERDICT_DONE && answer.outputs[i].path[0] == '\0')
			abort();
		free(answer.outputs[i].path);
		free(answer.outputs[i].bytes.bytes);
	}
	free(answer.outputs);
	free(answer.text[0].bytes);
	free(answer.text[1].bytes);
	return 0;
}
