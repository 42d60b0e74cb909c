/* liblzo2 over pipes, for tests: frames of `c` or `d`, u32 size, u32 bound (little-endian), bytes; answers of i32 status,
 * u32 size, bytes. */
#include <lzo/lzo1x.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	static unsigned char work[LZO1X_1_MEM_COMPRESS];
	struct {
		char what;
		uint32_t size, bound;
	} asked;
	if (lzo_init() != LZO_E_OK)
		return 1;
	while (fread(&asked.what, 1, 1, stdin) == 1 && fread(&asked.size, 8, 1, stdin) == 1) {
		unsigned char *in = malloc(asked.size + 1), *out = malloc(asked.bound + 1);
		if (fread(in, 1, asked.size, stdin) != asked.size)
			return 1;
		lzo_uint made = asked.bound;
		int32_t status = asked.what == 'c' ? lzo1x_1_compress(in, asked.size, out, &made, work)
		                                   : lzo1x_decompress_safe(in, asked.size, out, &made, NULL);
		uint32_t size = status == LZO_E_OK ? made : 0;
		fwrite(&status, 4, 1, stdout);
		fwrite(&size, 4, 1, stdout);
		fwrite(out, 1, size, stdout);
		fflush(stdout);
		free(in);
		free(out);
	}
	return 0;
}
