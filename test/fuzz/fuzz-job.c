/* libFuzzer: what the sandbox's init makes of a job. Whatever comes, a path that it takes stays below the root. */
#include "../../launcher/init_frames.c"
#include <assert.h>

static void check_paths(const struct text_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		if (list->items[i][0] == '/' || strstr(list->items[i], "/../") || strcmp(list->items[i], "..") == 0)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	unsigned char *copy = malloc(size ? size : 1);
	memcpy(copy, bytes, size);
	struct job job = {0};
	if (parse_job(copy, size, &job)) {
		const struct text_list *lists[] = {&job.lower, &job.host, &job.directories, &job.deletions, &job.outputs};
		for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
			check_paths(lists[i]);
		size_t sum = 0;
		for (size_t i = 0; i < job.addition_count; i++) {
			sum += strlen(job.additions[i].path) + job.additions[i].size;
			for (size_t at = 0; at < job.additions[i].size; at++)
				sum += job.additions[i].content[at];
		}
		for (size_t i = 0; i < job.link_count; i++)
			sum += strlen(job.links[i].path) + strlen(job.links[i].target);
		for (char **word = job.argv.items; *word; word++)
			sum += strlen(*word);
		for (char **word = job.env.items; *word; word++)
			sum += strlen(*word);
		assert(sum < (size_t)1 << 40);
	}
	void *lists[] = {job.lower.items, job.host.items, job.argv.items, job.env.items, job.directories.items,
	                 job.deletions.items, job.outputs.items, job.additions, job.links, job.binds, copy};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		free(lists[i]);
	return 0;
}
