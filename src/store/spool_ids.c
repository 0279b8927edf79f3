/*
 * spool_ids: see spool_ids.h. A table by digest; copies stand in one chain.
 */
#include "store/spool_ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* ---- brought along ---- */

static struct bytes uid_at(const struct uids *brought, size_t at)
{
	return (struct bytes){brought->text.data + brought->list[at].uid,
			      brought->list[at].uid_length};
}

static int compare(struct bytes a, struct bytes b)
{
	size_t shorter = a.length < b.length ? a.length : b.length;
	int order = memcmp(a.data, b.data, shorter);
	return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

static int compare_uids(const void *a, const void *b, void *context)
{
	return compare(uid_at(context, *(const size_t *)a), uid_at(context, *(const size_t *)b));
}

/* The key that a unique-id was brought along for; empty when it was not. */
static struct bytes key_of_uid(const struct spool_ids *ids, struct bytes uid)
{
	size_t low = 0, high = ids->brought.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2, at = ids->by_uid[middle];
		int order = compare(uid, uid_at(&ids->brought, at));
		if (order == 0)
			return (struct bytes){ids->brought.text.data + ids->brought.list[at].key,
					      ids->brought.list[at].key_length};
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return (struct bytes){0};
}

int spool_ids_begin(struct spool_ids *ids, const struct store_root *root,
		    struct uids_owner owner)
{
	*ids = (struct spool_ids){0};
	int result = uids_load(root, owner, &ids->brought);
	if (result < 0)
		return result;
	size_t count = ids->brought.count;
	ids->by_uid = malloc((count + 1) * sizeof *ids->by_uid);
	if (ids->by_uid == NULL) {
		spool_ids_end(ids);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		ids->by_uid[i] = i;
	if (count > 0)
		qsort_r(ids->by_uid, count, sizeof *ids->by_uid, compare_uids, &ids->brought);
	return 0;
}

void spool_ids_end(struct spool_ids *ids)
{
	uids_free(&ids->brought);
	free(ids->by_uid);
	free(ids->list);
	*ids = (struct spool_ids){0};
}

struct bytes spool_ids_of(const struct spool_ids *ids, const char *key)
{
	struct bytes uid = uids_find(&ids->brought, bytes_of(key));
	return uid.length > 0 ? uid : bytes_of(key);
}

/* ---- keys ---- */

static void print_key(const uint8_t digest[SPOOL_DIGEST_OCTETS], uint32_t number,
		      char out[SPOOL_KEY_OCTETS])
{
	uint8_t whole[DIGEST_OCTETS] = {0};
	memcpy(whole, digest, SPOOL_DIGEST_OCTETS);
	digest_hex(whole, SPOOL_DIGEST_OCTETS, out);
	if (number > 1)
		snprintf(out + 2 * SPOOL_DIGEST_OCTETS, SPOOL_KEY_OCTETS - 2 * SPOOL_DIGEST_OCTETS,
			 ".%" PRIu32, number);
}

static bool parse_key(struct bytes key, struct spool_id *id_out)
{
	uint64_t number = 1;
	for (size_t i = 0; i < SPOOL_DIGEST_OCTETS; i += 4) {
		uint32_t word;
		if (!number_parse_hex32(bytes_first(bytes_skip(key, 2 * i), 8), &word))
			return false;
		for (size_t j = 0; j < 4; j++)
			id_out->digest[i + j] = (uint8_t)(word >> (24 - 8 * j));
	}
	key = bytes_skip(key, 2 * SPOOL_DIGEST_OCTETS);
	if (key.length > 0 &&
	    (key.data[0] != '.' || !number_parse(bytes_skip(key, 1), UINT32_MAX - 1, &number)))
		return false;
	id_out->number = (uint32_t)number;
	return number > 0;
}

/* ---- the table ---- */

static size_t place_of(const struct spool_ids *ids, const uint8_t digest[SPOOL_DIGEST_OCTETS])
{
	uint64_t start;
	memcpy(&start, digest, sizeof start);
	return (size_t)start & (ids->room - 1);
}

static void insert(struct spool_ids *ids, const struct spool_id *id)
{
	size_t at = place_of(ids, id->digest);
	while (ids->list[at].number != 0)
		at = (at + 1) & (ids->room - 1);
	ids->list[at] = *id;
	ids->count++;
}

static bool add(struct spool_ids *ids, const struct spool_id *id)
{
	if (ids->count * 2 >= ids->room) {
		struct spool_ids larger = *ids;
		larger.room = ids->room > 0 ? ids->room * 2 : 64;
		larger.count = 0;
		larger.list = calloc(larger.room, sizeof *larger.list);
		if (larger.list == NULL)
			return false;
		for (size_t i = 0; i < ids->room; i++)
			if (ids->list[i].number != 0)
				insert(&larger, &ids->list[i]);
		free(ids->list);
		*ids = larger;
	}
	insert(ids, id);
	return true;
}

bool spool_ids_know(struct spool_ids *ids, const struct index_entry *entry, bool taken)
{
	struct spool_id id = {.checksum = entry->checksum, .taken = taken};
	struct bytes uid = {entry->uid, entry->uid_length}, key = key_of_uid(ids, uid);
	if (!parse_key(key.length > 0 ? key : uid, &id))
		return true;
	return add(ids, &id);
}

/* Of the copies that nobody has taken the one that stands as it stood, else the first; or NULL, and
 * the highest number of any copy. */
static struct spool_id *find_copy(struct spool_ids *ids, const struct spool_message *message,
				  uint32_t *highest_out)
{
	struct spool_id *best = NULL;
	*highest_out = 0;
	if (ids->room == 0)
		return NULL;
	for (size_t at = place_of(ids, message->digest); ids->list[at].number != 0;
	     at = (at + 1) & (ids->room - 1)) {
		struct spool_id *id = &ids->list[at];
		if (memcmp(id->digest, message->digest, sizeof id->digest) != 0)
			continue;
		if (id->number > *highest_out)
			*highest_out = id->number;
		if (id->taken)
			continue;
		bool same = id->checksum == message->checksum;
		bool best_same = best != NULL && best->checksum == message->checksum;
		if (best == NULL || same > best_same ||
		    (same == best_same && id->number < best->number))
			best = id;
	}
	return best;
}

bool spool_ids_give(struct spool_ids *ids, const struct spool_message *message,
		    char key_out[SPOOL_KEY_OCTETS])
{
	uint32_t highest;
	struct spool_id *copy = find_copy(ids, message, &highest);
	if (copy != NULL) {
		copy->taken = true;
		print_key(copy->digest, copy->number, key_out);
		return true;
	}
	struct spool_id id = {.number = highest + 1, .checksum = message->checksum, .taken = true};
	memcpy(id.digest, message->digest, sizeof id.digest);
	/* A unique-id that was brought along may look like the one this copy would get. */
	for (;; id.number++) {
		print_key(id.digest, id.number, key_out);
		struct bytes other = key_of_uid(ids, bytes_of(key_out));
		if (other.length == 0 || bytes_equal(other, bytes_of(key_out)) ||
		    uids_find(&ids->brought, bytes_of(key_out)).length > 0)
			break;
	}
	return add(ids, &id);
}
