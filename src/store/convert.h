/*
 * convert: a maildrop becomes one of another kind, or moves to another place; nobody loses a
 * message and no unique-id changes.
 *
 * Both locks are held all the while: who is logged in refuses it, what is delivered meanwhile
 * waits. The new maildrop is written whole, synced and compared with the old one; then the caller
 * commits (writes the account's row); then the generation is raised, so that whoever still knows
 * the old place looks the account up anew; then the old mail goes. ROOT/journal/ID.move, durable
 * before the first message is copied, says from where to where. So a cut anywhere leaves exactly
 * one maildrop in use, the one that the row names, and whoever comes next ends the work: before the
 * commit by removing the copy, behind it by removing what was copied. A message that was delivered
 * to the old one by somebody who knew the old place, after the commit and before the generation was
 * raised, is then brought along.
 *
 * Messages that another program has put into the old maildrop while it was copied stay there.
 *
 * Must not know: accounts.
 */
#ifndef STORE_CONVERT_H
#define STORE_CONVERT_H

#include "store/store.h"

struct conversion {
	struct place from; /* where it is by the account's row */
	struct place to;   /* account, generation and quotas are filled in */

	/* Makes `to` what the account's row says, on stable storage. STORE_OK; UNKNOWN when it may
	 * or may not have happened; anything else when it has not. */
	enum store_result (*commit)(void *context, struct error *error);
	void (*progress)(void *context, uint64_t done, uint64_t total); /* messages; or NULL */
	void *context;

	/* What was done. */
	uint64_t messages, octets;
	uint32_t stayed;          /* in the old maildrop, put there by another program */
	bool committed, old_left; /* it could not be removed: convert_resume() tries again */
};

/* Results: OK; AGAIN; LOCKED: somebody is logged in; CHANGED: look the account up anew; EXISTS:
 * there is mail in the new place already; FULL, IO; UNKNOWN: convert_resume() once it is known what
 * the row says. On all but OK and UNKNOWN the old maildrop is in use and as it was, unless
 * `committed`. */
enum store_result store_convert(const struct store_root *root, struct conversion *conversion,
				struct error *error);

/* Ends a conversion that was interrupted, if there is one. `place` is what the account's row says.
 * Results: OK, AGAIN, LOCKED, CHANGED, FULL, IO. */
enum store_result store_convert_resume(const struct store_root *root, const struct place *place,
				       bool *resumed_out, struct error *error);

#endif
