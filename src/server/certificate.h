/*
 * certificate: the pair the server shows, as PEM, in the supervisor's memory.
 */
#ifndef SERVER_CERTIFICATE_H
#define SERVER_CERTIFICATE_H

#include "server/config.h"
#include "server/instance.h"

/* By which a change on disk is noticed, whoever makes it: written anew, renamed over, a symbolic
 * link turned. Of a file that is not there it is zero. */
struct certificate_mark {
	struct {
		uint64_t device, inode, octets, seconds, nanoseconds;
	} files[2]; /* certificate, key */
};

struct certificate {
	struct buffer certificate_pem, key_pem;
	struct certificate_mark mark;
	int64_t expires; /* Unix seconds */
};

/* Reads the pair that the config names, or that of ROOT/tls, where a self-signed one is made when
 * there is none; and sees whether TLS can use it. A pair that has expired is used, and logged. With
 * an error *certificate_out is empty. */
enum error_code certificate_load(const struct config *config, const struct instance *instance,
				 struct certificate *certificate_out, struct error *error);

/* The same in place of one that serves: nothing is made, and it must be valid now. */
enum error_code certificate_reload(const struct config *config, const struct instance *instance,
				   struct certificate *certificate_out, struct error *error);
void certificate_free(struct certificate *certificate);

/* How the files are now. */
void certificate_look(const struct config *config, const struct instance *instance,
		      struct certificate_mark *mark_out);
bool certificate_same_mark(const struct certificate_mark *a, const struct certificate_mark *b);

#endif
