/*
 * spool_take_in: the index of a spool, against the file.
 *
 *   unchanged  the same file, as long as then, with the same times, and it was not changed within
 * the grain of its clock when the index was written: nothing is read; grown      the same file,
 * longer: the last known message is read, and must be what it was; what follows it is read; else
 * everything is read. The old index still says which copy has which unique-id.
 *
 * What the index then says was made stable before it says so: else it could agree with a file that
 * a power cut has left with its length and times, but not with its octets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checksum.h"
#include "store/names.h"
#include "store/spool_ids.h"
#include "store/spool_private.h"

/* Most file systems keep times by the tick of the kernel's clock (10 ms at most); one that shows
 * whole seconds may have a grain of two. */
#define GRAIN_FINE_NS   (20 * 1000000ULL)
#define GRAIN_COARSE_NS (3 * 1000000000ULL)

static bool quiet_since(uint64_t time_ns, uint64_t now_ns)
{
	uint64_t grain = time_ns % 1000000000 != 0 ? GRAIN_FINE_NS : GRAIN_COARSE_NS;
	return time_ns + grain < now_ns;
}

static bool of_this_file(const struct index_source *source, const struct file_status *status)
{
	return source->device == status->device && source->inode == status->inode;
}

static bool says_unchanged(const struct index *index, const struct file_status *status)
{
	struct index_source source = index_source(index);
	return source.sure && of_this_file(&source, status) && source.count <= index_count(index) &&
	       source.size_octets == status->size_octets &&
	       source.modified_ns == status->modified_ns && source.changed_ns == status->changed_ns;
}

bool spool_unchanged(struct spool_file *spool, const struct file_status *status)
{
	struct index *index;
	enum index_state state = index_open(spool->root, spool->account, &index);
	if (state != INDEX_CURRENT || !says_unchanged(index, status)) {
		index_close(index);
		return false;
	}
	index_cut(index, index_source(index).count);
	spool->index = index;
	spool->size = status->size_octets;
	return true;
}

int spool_look(const struct spool_file *spool, struct spool_state *state_out)
{
	/* The clock first: what comes after it cannot have an earlier time. */
	state_out->now_ns = disk_now_ns(spool->root->disk);
	return file_status(spool->file, &state_out->status);
}

struct index_source spool_source(const struct spool_state *state, uint32_t count)
{
	const struct file_status *status = &state->status;
	return (struct index_source){
		.device = status->device,
		.inode = status->inode,
		.size_octets = status->size_octets,
		.modified_ns = status->modified_ns,
		.changed_ns = status->changed_ns,
		.count = count,
		.sure = quiet_since(status->modified_ns, state->now_ns) &&
			quiet_since(status->changed_ns, state->now_ns),
	};
}

int spool_entry_proved(struct file *file, const struct index_entry *entry)
{
	uint64_t at = entry->offset, end = at + entry->line_octets + entry->length;
	char *octets = malloc(STORE_READ_OCTETS);
	uint32_t checksum = 0;
	ssize_t length = octets != NULL ? 1 : -ENOMEM;
	while (at < end && length > 0) {
		size_t part = end - at < STORE_READ_OCTETS ? (size_t)(end - at) : STORE_READ_OCTETS;
		length = file_read(file, octets, part, at, false);
		if (length > 0)
			checksum = crc32c(checksum, (struct bytes){octets, (size_t)length});
		at += length > 0 ? (uint64_t)length : 0;
	}
	free(octets);
	if (length < 0)
		return (int)length;
	return at == end && checksum == entry->checksum;
}

struct index_entry spool_entry(const struct spool_message *message, struct bytes uid)
{
	struct index_entry entry = {
		.offset = message->offset,
		.length = message->length,
		.octets = message->octets,
		.checksum = message->checksum,
		.line_octets = message->line_octets,
		.uid_length = (uint8_t)uid.length,
		.quoted = message->quoted,
	};
	memcpy(entry.uid, uid.data, uid.length);
	return entry;
}

/* ---- reading ---- */

struct taking {
	struct spool_file *spool;
	struct spool_state state;
	struct index *known; /* may be NULL */
	struct index_source source;
	struct index_entry last; /* of those that the index vouches for */
	uint32_t prefix;         /* how many it vouches for */
	struct index_builder builder;
	struct spool_ids ids;
};

/* All entries of the old index: those of the prefix stay, all say which copies were known. */
static int take_known(struct taking *taking)
{
	struct index_entry entry;
	struct index_walk walk = index_walk(taking->known);
	while (index_next(&walk, &entry)) {
		bool stays = walk.number <= taking->prefix;
		if (!spool_ids_know(&taking->ids, &entry, stays) ||
		    (stays && !index_builder_add(&taking->builder, &entry)))
			return -ENOMEM;
		if (walk.number == taking->prefix)
			taking->last = entry;
	}
	return walk.result == STORE_OK || taking->prefix == 0 ? 0 : -EBADMSG;
}

static int add_message(struct taking *taking, const struct spool_message *message)
{
	char key[SPOOL_KEY_OCTETS];
	if (!spool_ids_give(&taking->ids, message, key))
		return -ENOMEM;
	struct index_entry entry = spool_entry(message, spool_ids_of(&taking->ids, key));
	return index_builder_add(&taking->builder, &entry) ? 0 : -ENOMEM;
}

static bool is_last(const struct taking *taking, const struct spool_message *message)
{
	const struct index_entry *last = &taking->last;
	return message->offset == last->offset && message->length == last->length &&
	       message->line_octets == last->line_octets && message->checksum == last->checksum;
}

/* Reads from the last known message on, or everything. -EBADMSG: that message is another. */
static int read_messages(struct taking *taking)
{
	struct spool_scan scan;
	struct spool_message message;
	enum spool_scan_result next;
	bool known = taking->prefix > 0;
	int result = 0;
	if (!spool_scan_begin(&scan, taking->spool->file, taking->state.status.size_octets,
			      known ? taking->last.offset : 0))
		return -ENOMEM;
	while (result >= 0 && (next = spool_scan_next(&scan, &message)) == SPOOL_SCAN_MESSAGE) {
		if (!known)
			result = add_message(taking, &message);
		else if (!is_last(taking, &message))
			result = -EBADMSG;
		known = false;
	}
	if (result >= 0 && next == SPOOL_SCAN_FAILED)
		result = scan.problem;
	spool_scan_end(&scan);
	return result >= 0 && known ? -EBADMSG : result;
}

static int try_to_take_in(struct taking *taking)
{
	struct spool_file *spool = taking->spool;
	index_builder_init(&taking->builder);
	int result = spool_ids_begin(&taking->ids, spool->root, spool->owner);
	if (result >= 0 && taking->known != NULL)
		result = take_known(taking);
	if (result >= 0)
		result = read_messages(taking);
	spool_ids_end(&taking->ids);
	if (result < 0)
		index_builder_free(&taking->builder);
	return result;
}

/* Only a file that is as it was or longer can begin with the messages that the index knows. An
 * index of an earlier boot may agree although octets were lost that nobody had synced: its last
 * message is read as well. */
static uint32_t vouched(const struct taking *taking, enum index_state state)
{
	const struct index_source *source = &taking->source;
	if (state == INDEX_NONE || !of_this_file(source, &taking->state.status) ||
	    source->count > index_count(taking->known))
		return 0;
	if (taking->state.status.size_octets > source->size_octets)
		return source->count;
	return says_unchanged(taking->known, &taking->state.status) ? source->count : 0;
}

static int write_index(struct taking *taking, const struct place *place)
{
	struct spool_file *spool = taking->spool;
	int result = file_sync(spool->file);
	if (result >= 0 && taking->prefix == 0)
		result = names_sync(spool->root->mail[place->mail_root], place->path);
	if (result < 0) {
		index_builder_free(&taking->builder);
		return result;
	}
	taking->builder.source = spool_source(&taking->state, taking->builder.count);
	spool->size = taking->state.status.size_octets;
	spool->index = index_builder_finish(&taking->builder, spool->root, spool->account);
	return spool->index != NULL ? 0 : -ENOMEM;
}

int spool_take_in(struct spool_file *spool, const struct place *place)
{
	struct taking taking = {.spool = spool};
	int result = spool_look(spool, &taking.state);
	if (result < 0)
		return result;
	if (spool_unchanged(spool, &taking.state.status))
		return 0;
	enum index_state state = index_open(spool->root, spool->account, &taking.known);
	if (taking.known != NULL)
		taking.source = index_source(taking.known);
	taking.prefix = vouched(&taking, state);
	result = try_to_take_in(&taking);
	if (result == -EBADMSG) { /* not what the index knows, or the index has holes */
		taking.prefix = 0;
		result = try_to_take_in(&taking);
	}
	index_close(taking.known);
	return result < 0 ? result : write_index(&taking, place);
}
