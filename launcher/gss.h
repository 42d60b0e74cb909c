/* What of the GSS-API (RFC 2744, and its C bindings' ABI) is used, found in a library at run time. */
#ifndef SHOAL_GSS_H
#define SHOAL_GSS_H
#include <stddef.h>
#include <stdint.h>

struct bytes {
	size_t length;
	void *value;
};

enum step_end { step_failed, step_goes_on, step_done };

/* One exchange of tokens; `name` is the peer's once it is done. */
struct exchange {
	void *context;
	void *target;
	struct bytes token; /* to be sent, if it is not empty */
	char name[1024];
	char why[512];
};

/* Of the acceptor, with its realm. */
extern char gss_own_name[1024];

/* Each is 0, or -1 with the reason in `why`. */
int gss_load(char *why, size_t size);
int gss_be(const char *principal, char *why, size_t size);
int gss_aim(struct exchange *exchange, const char *service_at_host);
/* Where the key is. -1 if that is no file, or cannot be known. */
int gss_keytab(char *into, size_t size);
enum step_end gss_accept(struct exchange *exchange, const struct bytes *token);
enum step_end gss_initiate(struct exchange *exchange, const struct bytes *token);

/* -1 with the reason in errno. The first is for the whole helper, the second for the process of one exchange. */
int gss_prepare_confinement(void);
int gss_enter_confinement(void);

#endif
