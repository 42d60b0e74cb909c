/* The library of the GSS-API, opened at run time: shoal is built and runs without it. */
#include "gss.h"
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

struct oid {
	uint32_t length;
	void *elements;
};
struct oid_set {
	size_t count;
	struct oid *elements;
};

enum { usage_accept = 2, name_user = 1, name_service = 4, code_mechanism = 2, code_gss = 1 };
enum { goes_on = 1, mutual = 2, replay = 4, sequence = 8, anonymous = 64 };
static const uint32_t errors = 0xffff0000u;

/* 1.2.840.113554.1.2.2, and names below 1.2.840.113554.1.2.1 */
static char kerberos_bytes[] = "\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
static char user_bytes[] = "\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x01";
static char service_bytes[] = "\x2a\x86\x48\x86\xf7\x12\x01\x02\x01\x04";
static struct oid kerberos = {9, kerberos_bytes};
static struct oid user = {10, user_bytes};
static struct oid service = {10, service_bytes};

static struct {
	uint32_t (*import_name)(uint32_t *, struct bytes *, struct oid *, void **);
	uint32_t (*display_name)(uint32_t *, void *, struct bytes *, struct oid **);
	uint32_t (*acquire_cred)(uint32_t *, void *, uint32_t, struct oid_set *, int, void **, struct oid_set **, uint32_t *);
	uint32_t (*inquire_cred)(uint32_t *, void *, void **, uint32_t *, int *, struct oid_set **);
	uint32_t (*accept_sec_context)(uint32_t *, void **, void *, const struct bytes *, void *, void **, struct oid **,
				       struct bytes *, uint32_t *, uint32_t *, void **);
	uint32_t (*init_sec_context)(uint32_t *, void *, void **, void *, struct oid *, uint32_t, uint32_t, void *,
				     const struct bytes *, struct oid **, struct bytes *, uint32_t *, uint32_t *);
	uint32_t (*display_status)(uint32_t *, uint32_t, int, struct oid *, uint32_t *, struct bytes *);
} gss;
static void *library;
static void *credentials;
char gss_own_name[1024];

int gss_load(char *why, size_t size)
{
	/* MIT's, and Heimdal's */
	library = dlopen("libgssapi_krb5.so.2", RTLD_NOW);
	if (!library)
		library = dlopen("libgssapi.so.3", RTLD_NOW);
	if (!library) {
		snprintf(why, size, "no library of the GSS-API is installed: install libgssapi-krb5-2 (Debian), krb5-libs (Alpine, Fedora)");
		return -1;
	}
	const struct {
		const char *name;
		void *place;
	} wanted[] = {
		{"gss_import_name", &gss.import_name},
		{"gss_display_name", &gss.display_name},
		{"gss_acquire_cred", &gss.acquire_cred},
		{"gss_inquire_cred", &gss.inquire_cred},
		{"gss_accept_sec_context", &gss.accept_sec_context},
		{"gss_init_sec_context", &gss.init_sec_context},
		{"gss_display_status", &gss.display_status},
	};
	for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
		void *found = dlsym(library, wanted[i].name);
		if (!found) {
			snprintf(why, size, "the library of the GSS-API has no %s", wanted[i].name);
			return -1;
		}
		memcpy(wanted[i].place, &found, sizeof found);
	}
	return 0;
}

/* In the library's words: the mechanism's, which say more, where it has some. */
static int tell(const char *step, uint32_t major, uint32_t minor, char *why, size_t size)
{
	uint32_t ignored, more = 0;
	struct bytes text = {0, NULL};
	int code = minor != 0 ? code_mechanism : code_gss;
	uint32_t failed = gss.display_status(&ignored, minor != 0 ? minor : major, code, &kerberos, &more, &text);
	if (failed & errors)
		text.length = 0;
	snprintf(why, size, "%s: %.*s", step, (int)text.length, text.length ? (char *)text.value : "");
	return -1;
}

static int import(const char *name, struct oid *type, void **result, char *why, size_t size)
{
	uint32_t minor;
	struct bytes text = {strlen(name), (void *)name};
	uint32_t major = gss.import_name(&minor, &text, type, result);
	return major & errors ? tell("the name is none", major, minor, why, size) : 0;
}

static int display(void *name, char *into, size_t room, char *why, size_t size)
{
	uint32_t minor;
	struct bytes text = {0, NULL};
	uint32_t major = gss.display_name(&minor, name, &text, NULL);
	if (major & errors)
		return tell("a name cannot be shown", major, minor, why, size);
	if (text.length == 0 || text.length >= room || memchr(text.value, 0, text.length)) {
		snprintf(why, size, "a name that is none");
		return -1;
	}
	memcpy(into, text.value, text.length);
	into[text.length] = 0;
	return 0;
}

int gss_be(const char *principal, char *why, size_t size)
{
	void *name = NULL;
	uint32_t minor;
	struct oid_set only = {1, &kerberos};
	if (import(principal, &user, &name, why, size) != 0)
		return -1;
	uint32_t major = gss.acquire_cred(&minor, name, UINT32_MAX, &only, usage_accept, &credentials, NULL, NULL);
	if (major & errors)
		return tell("no key for that principal", major, minor, why, size);
	major = gss.inquire_cred(&minor, credentials, &name, NULL, NULL, NULL);
	if (major & errors)
		return tell("that principal has no name", major, minor, why, size);
	return display(name, gss_own_name, sizeof gss_own_name, why, size);
}

/* By Kerberos' own library, on which that of the GSS-API depends: the environment and the configuration may say. */
int gss_keytab(char *into, size_t size)
{
	int32_t (*begin)(void **);
	int32_t (*default_name)(void *, char *, size_t);
	void *first = dlsym(library, "krb5_init_context"), *second = dlsym(library, "krb5_kt_default_name");
	void *context = NULL;
	if (!first || !second)
		return -1;
	memcpy(&begin, &first, sizeof begin);
	memcpy(&default_name, &second, sizeof default_name);
	if (begin(&context) != 0 || default_name(context, into, size) != 0)
		return -1;
	char *path = strchr(into, '/');
	if (!path)
		return -1;
	memmove(into, path, strlen(path) + 1);
	return 0;
}

int gss_aim(struct exchange *exchange, const char *service_at_host)
{
	return import(service_at_host, &service, &exchange->target, exchange->why, sizeof exchange->why);
}

static enum step_end named(struct exchange *exchange, void *name, uint32_t flags)
{
	if (!(flags & mutual) || (flags & anonymous)) {
		snprintf(exchange->why, sizeof exchange->why, "the peer does not let both sides prove who they are");
		return step_failed;
	}
	if (name && display(name, exchange->name, sizeof exchange->name, exchange->why, sizeof exchange->why) != 0)
		return step_failed;
	return step_done;
}

enum step_end gss_accept(struct exchange *exchange, const struct bytes *token)
{
	uint32_t minor, flags = 0;
	void *peer = NULL;
	exchange->token = (struct bytes){0, NULL};
	uint32_t major = gss.accept_sec_context(&minor, &exchange->context, credentials, token, NULL, &peer, NULL,
						&exchange->token, &flags, NULL, NULL);
	if (major & errors) {
		tell("the client's token is not accepted", major, minor, exchange->why, sizeof exchange->why);
		return step_failed;
	}
	return major & goes_on ? step_goes_on : named(exchange, peer, flags);
}

enum step_end gss_initiate(struct exchange *exchange, const struct bytes *token)
{
	uint32_t minor, flags = 0;
	exchange->token = (struct bytes){0, NULL};
	uint32_t major = gss.init_sec_context(&minor, NULL, &exchange->context, exchange->target, &kerberos,
					      mutual | replay | sequence, 0, NULL, token, NULL, &exchange->token, &flags, NULL);
	if (major & errors) {
		tell("no proof of who this is", major, minor, exchange->why, sizeof exchange->why);
		return step_failed;
	}
	return major & goes_on ? step_goes_on : named(exchange, NULL, flags);
}
