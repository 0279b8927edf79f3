/*
 * spool_ids: unique-ids of a spool's messages. A message's id is its digest (spool_scan.h) in 32
 * hexadecimal digits; of identical copies the second is "DIGEST.2" and so on: a number once given
 * stays with its copy as long as the index knows it, even when an earlier copy goes. One that was
 * brought along stands in ROOT/uids under the id the message would have otherwise, its key.
 */
#ifndef STORE_SPOOL_IDS_H
#define STORE_SPOOL_IDS_H

#include "store/index.h"
#include "store/spool_scan.h"
#include "store/uids.h"

#define SPOOL_KEY_OCTETS (2 * SPOOL_DIGEST_OCTETS + 12) /* with '.', number and NUL */

struct spool_id {
	uint8_t digest[SPOOL_DIGEST_OCTETS];
	uint32_t number;   /* among identical copies, from 1; 0: an empty place */
	uint32_t checksum; /* of the copy as it stood */
	bool taken;        /* by a message that is there */
};

struct spool_ids {
	struct uids brought;
	size_t *by_uid; /* of brought.list, ordered by unique-id */
	struct spool_id *list;
	size_t count, room; /* a power of two */
};

/* Loads those that were brought along. 0 or a negative errno. */
int spool_ids_begin(struct spool_ids *ids, const struct store_root *root,
		    struct uids_owner owner);
void spool_ids_end(struct spool_ids *ids);

/* An entry of the index: of a message that is there (`taken`), or may be there or not. One whose id
 * is no spool's is passed over. False when memory has run out. */
bool spool_ids_know(struct spool_ids *ids, const struct index_entry *entry, bool taken);

/* Gives a message its key: that of a copy which nobody has taken, or a new one. */
bool spool_ids_give(struct spool_ids *ids, const struct spool_message *message,
		    char key_out[SPOOL_KEY_OCTETS]);

/* The unique-id of a key: what was brought along, or the key. */
struct bytes spool_ids_of(const struct spool_ids *ids, const char *key);

#endif
