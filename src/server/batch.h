/*
 * batch: one message to several maildrops.
 *
 * All maildrops are prepared, in ascending order of account numbers and each once, before the first
 * is committed. What stands in the way of one recipient fails that recipient alone, or, with
 * `all_or_nothing` (SMTP has one answer for all), everybody: for a reason that may pass if there is
 * one, else for one that will not. When a commit fails behind others that did not, their copies
 * stay and the sender's next try brings a second one; never is one torn.
 *
 * Guarantees: an outcome of ERROR_NONE means that the message is on stable storage, with
 * `all_or_nothing` for all recipients; with AGAIN and
 * CHANGED nothing was delivered yet, and the call is to be repeated.
 * Must not know: connections, protocols.
 */
#ifndef SERVER_BATCH_H
#define SERVER_BATCH_H

#include "base/limits.h"
#include "server/trace.h"
#include "store/store.h"

struct batch_recipient {
	char account[ACCOUNT_NAME_MAX + 2];
	char address[SMTP_PATH_MAX]; /* as the sender has it */
	struct place place;
	bool done;    /* outcome is final; a caller may set both for one it need not try */
	bool changed; /* the place is out of date: look it up, clear this, try again */
	enum error_code outcome;
	struct error error; /* why, for the log */
	char uid[UID_MAX + 1];
	struct delivery *delivery; /* private: between prepare and finish */
	bool copy;                 /* private: another recipient of the same maildrop */
};

struct batch {
	const struct store_root *root;
	struct draft *draft; /* sealed by the first call */
	bool sealed;
	bool all_or_nothing;
	bool last_try; /* a maildrop that is still held fails its recipient: no AGAIN, no CHANGED */
	struct trace trace; /* its recipient is filled in here */
	int64_t received_unix_seconds;
	struct batch_recipient *recipients;
	size_t count; /* at most SMTP_RECIPIENTS_MAX */
	const struct batch_recipient *held; /* private: whose maildrop was held at the last try */
};

enum batch_result {
	BATCH_DONE,   /* every recipient has its outcome */
	BATCH_AGAIN,  /* a maildrop is held by another */
	BATCH_CHANGED /* those marked `changed` are to be looked up again */
};

/* Blocks: the disk, and syncs. */
enum batch_result batch_deliver(struct batch *batch);

#endif
