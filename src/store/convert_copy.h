/*
 * convert_copy: messages from one open maildrop to another place, with their unique-ids, senders
 * and dates, in bounded memory but for one unique-id a message where those that are there are to be
 * left out.
 */
#ifndef STORE_CONVERT_COPY_H
#define STORE_CONVERT_COPY_H

#include "store/store.h"
#include "store/uid_set.h"

struct copying {
	const struct store_root *root;
	struct maildrop *from;
	const struct place *to;
	bool skip_known;            /* messages whose unique-id is there already */
	const struct uid_set *skip; /* and these; NULL: none */
	void (*progress)(void *context, uint64_t done, uint64_t total); /* or NULL */
	void *context;
	uint64_t messages; /* copied, and on stable storage */
};

/* Results: OK, AGAIN, CHANGED, FULL, EXISTS, IO (ERROR_DATA: a message fails its checksum). */
enum store_result convert_copy(struct copying *copying, struct error *error);

/* Does `to` have all these messages in their order: octets and unique-ids? Others may stand between
 * them, of programs that deliver there as well. OK, or IO with the first that is missing. */
enum store_result convert_compare(struct maildrop *from, struct maildrop *to, struct error *error);

#endif
