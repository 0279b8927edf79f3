/*
 * mbox_repair: an own mbox in which some octets are not what they should be becomes one in which
 * all are, and no message is lost:
 *   - a record whose content fails its checksum becomes a message again, with the octets that are
 *     there, a right checksum and another unique-id, because it is another content;
 *   - octets between records, and what was set aside before, become messages when they look like an
 *     mbox of another program (a From line first, one behind each blank line);
 *   - all other octets are taken out.
 *
 * Whatever is taken out of the file was copied to ROOT/journal/kept.* before, durably; then the new
 * messages are delivered behind the others, and then the file is written anew without the old
 * octets. A new message's unique-id is made from its octets and where they were found: cut
 * anywhere, the same call goes on, and finds what it has delivered.
 *
 * Must not know: sessions.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "store/journal.h"
#include "store/lock.h"
#include "store/mbox_private.h"
#include "store/mbox_quote.h"
#include "store/mbox_scan.h"

#define UID_OCTETS 16 /* of a digest; twice as many digits */

struct region {
	uint64_t start, end;
	bool record; /* one of ours that is damaged; else octets that are not ours */
};

struct repair {
	const struct store_root *root; /* with ID.file held */
	const struct place *place;
	struct findings *findings;
	struct mbox_file mbox;
	struct region *regions;
	size_t count, room;
	char *octets; /* STORE_READ_OCTETS */
};

/* ---- what is wrong ---- */

static int add_region(struct repair *repair, struct region region)
{
	if (repair->count == repair->room) {
		size_t room = repair->room * 2 + 16;
		struct region *list = realloc(repair->regions, room * sizeof *list);
		if (list == NULL)
			return -ENOMEM;
		repair->regions = list;
		repair->room = room;
	}
	repair->regions[repair->count++] = region;
	return 0;
}

static int look(struct repair *repair)
{
	struct mbox_scan scan;
	struct index_entry entry;
	uint64_t strange;
	int result = 1;
	if (!mbox_scan_begin(&scan, repair->mbox.file, repair->mbox.size, 0))
		return -ENOMEM;
	while (result > 0) {
		uint64_t start = scan.position;
		switch (mbox_scan_next(&scan, &entry, &strange)) {
		case MBOX_SCAN_RECORD:
			repair->findings->messages++;
			if (entry.damaged &&
			    add_region(repair, (struct region){start, scan.position, true}) < 0)
				result = -ENOMEM;
			break;
		case MBOX_SCAN_STRANGE:
			if (add_region(repair, (struct region){strange, scan.position, false}) < 0)
				result = -ENOMEM;
			break;
		case MBOX_SCAN_FAILED:
			result = scan.problem;
			break;
		case MBOX_SCAN_TORN: /* the opening has cut it, unless there is no room */
			result = -ENOSPC;
			break;
		case MBOX_SCAN_END:
			result = 0;
		}
	}
	mbox_scan_end(&scan);
	return result;
}

/* ---- octets to a message ---- */

/* Octets of a file, unquoted on the way; the digest names where they come from, too. */
static int fill(struct repair *repair, struct file *file, struct region content, bool quoted,
		struct draft *draft, struct error *error)
{
	struct mbox_quote quote;
	char *plain = quoted ? malloc(mbox_quote_max(STORE_READ_OCTETS)) : NULL;
	int result = quoted && plain == NULL ? -ENOMEM : 0;
	mbox_quote_init(&quote);
	for (uint64_t at = content.start; at < content.end && result >= 0;) {
		uint64_t left = content.end - at;
		size_t size = left < STORE_READ_OCTETS ? (size_t)left : STORE_READ_OCTETS;
		ssize_t length = file_read(file, repair->octets, size, at, false);
		struct bytes piece = {repair->octets, length > 0 ? (size_t)length : 0};
		at += piece.length;
		if (length <= 0)
			result = length < 0 ? (int)length : -EIO;
		if (length > 0 && quoted) {
			piece.length = mbox_quote_remove(&quote, piece, plain);
			piece.data = plain;
		}
		if (result >= 0 && draft_write(draft, piece, error) != ERROR_NONE)
			result = error->code == ERROR_FULL ? -ENOSPC : -EIO;
	}
	if (quoted && result >= 0) {
		struct bytes rest = {plain, mbox_quote_end(&quote, plain)};
		if (draft_write(draft, rest, error) != ERROR_NONE)
			result = -EIO;
	}
	free(plain);
	return result >= 0 && draft_seal(draft, error) != ERROR_NONE ? -EIO : result;
}

/* Of this content at this place, and nothing else. */
static bool make_uid(const struct draft *draft, struct bytes source, char uid[UID_MAX + 1])
{
	char octets[4096];
	uint8_t result[DIGEST_OCTETS];
	struct digest *digest = digest_new();
	ssize_t length = 0;
	if (digest == NULL)
		return false;
	digest_begin(digest);
	digest_add(digest, source);
	for (uint64_t at = 0; (length = draft_read(draft, octets, sizeof octets, at)) > 0;) {
		digest_add(digest, (struct bytes){octets, (size_t)length});
		at += (uint64_t)length;
	}
	digest_end(digest, result);
	digest_free(digest);
	digest_hex(result, UID_OCTETS, uid);
	return length == 0;
}

static enum store_result deliver(struct repair *repair, const struct draft *draft,
				 struct bytes source, struct bytes sender, int64_t received,
				 struct error *error)
{
	char uid[UID_MAX + 1];
	struct delivery *delivery;
	struct place unlimited = *repair->place;
	struct delivery_request request = {
		.draft = draft, .sender = sender, .received_unix_seconds = received};
	unlimited.octets_max = 0;
	unlimited.messages_max = 0;
	if (!make_uid(draft, source, uid))
		return store_failure(error, -ENOMEM, "while naming a message");
	request.uid = bytes_of(uid);
	enum store_result result =
		mbox_prepare(repair->root, &unlimited, &request, 1, &delivery, error);
	if (result == STORE_EXISTS)
		return STORE_OK; /* by a call that was cut */
	if (result == STORE_OK)
		result = mbox_finish(delivery, true, error);
	if (result == STORE_OK)
		findings_add(repair->findings, repair->place->path, 0,
			     "octets are a message again, with the unique-id %s", uid);
	return result;
}

/* A message from `content`; `line` is the From line before it. */
static enum store_result recover(struct repair *repair, struct file *file, const char *source,
				 struct bytes line, struct region content, bool quoted,
				 struct error *error)
{
	struct mbox_line known;
	int64_t received = clock_unix_seconds();
	char sender[FROM_LINE_MAX + 1], name[128];
	struct draft *draft = draft_new(repair->root->mail[0], INT64_MAX);
	if (draft == NULL)
		return store_failure(error, -ENOMEM, "while repairing");
	if (mbox_line_parse(line, &known) == MBOX_LINE_OK)
		received = known.received_unix_seconds;
	(void)bytes_to_string(mbox_line_sender(line), sender, sizeof sender);
	snprintf(name, sizeof name, "%.80s %" PRIu64 "\n", source, content.start);
	int filled = fill(repair, file, content, quoted, draft, error);
	enum store_result result =
		filled < 0
			? store_failure(error, filled, "while reading what is to be repaired")
			: deliver(repair, draft, bytes_of(name), bytes_of(sender), received, error);
	draft_free(draft);
	return result;
}

/* ---- octets that are not ours ---- */

/* Where the next From line behind a blank one begins, from `at` on; `end` when there is none. */
static int find_from(struct repair *repair, struct file *file, uint64_t at, uint64_t end,
		     uint64_t *found_out)
{
	static const char mark[] = "\n\nFrom ";
	*found_out = end;
	while (at < end) {
		uint64_t left = end - at;
		size_t size = left < STORE_READ_OCTETS ? (size_t)left : STORE_READ_OCTETS;
		ssize_t length = file_read(file, repair->octets, size, at, false);
		if (length <= 0)
			return length < 0 ? (int)length : -EIO;
		const char *found = memmem(repair->octets, (size_t)length, mark, sizeof mark - 1);
		if (found != NULL) {
			*found_out = at + (uint64_t)(found - repair->octets) + 2;
			return 0;
		}
		if ((size_t)length < sizeof mark)
			return 0;
		at += (uint64_t)length - sizeof mark + 2;
	}
	return 0;
}

/* Reads the line at `at`: 1; 0 when it is no From line that ends in time; or a negative errno. */
static int read_from(struct file *file, uint64_t at, uint64_t end, char room[FROM_LINE_MAX],
		     struct bytes *line_out)
{
	uint64_t left = end - at;
	ssize_t length = file_read(file, room, left < FROM_LINE_MAX ? (size_t)left : FROM_LINE_MAX,
				   at, false);
	if (length < 0)
		return (int)length;
	struct bytes text = {room, (size_t)length};
	const char *feed = text.length > 0 ? memchr(room, '\n', text.length) : NULL;
	if (feed == NULL || !bytes_start_with(text, BYTES("From ")))
		return 0;
	*line_out = bytes_first(text, (size_t)(feed - room) + 1);
	return 1;
}

/* Without its blank line at the end, which belongs to the mbox. */
static int without_blank(struct file *file, struct region *content)
{
	char last[2];
	if (content->end - content->start < 2)
		return 0;
	ssize_t length = file_read(file, last, sizeof last, content->end - 2, false);
	if (length == 2 && last[0] == '\n' && last[1] == '\n')
		content->end--;
	return length < 0 ? (int)length : 0;
}

static enum store_result recover_foreign(struct repair *repair, struct file *file,
					 const char *source, struct region region,
					 struct error *error)
{
	char room[FROM_LINE_MAX];
	struct bytes line;
	enum store_result result = STORE_OK;
	for (uint64_t at = region.start, next; at < region.end && result == STORE_OK; at = next) {
		int found = find_from(repair, file, at, region.end, &next);
		if (found < 0)
			return store_failure(error, found, "while reading what is to be repaired");
		found = read_from(file, at, region.end, room, &line);
		if (found < 0)
			return store_failure(error, found, "while reading what is to be repaired");
		if (found == 0)
			continue;
		struct region content = {at + line.length, next, false};
		found = without_blank(file, &content);
		if (found < 0)
			return store_failure(error, found, "while reading what is to be repaired");
		result = recover(repair, file, source, line, content, true, error);
	}
	return result;
}

static enum store_result recover_region(struct repair *repair, const struct region *region,
					struct error *error)
{
	char room[FROM_LINE_MAX];
	struct bytes line;
	struct mbox_line known;
	struct file *file = repair->mbox.file;
	if (!region->record)
		return recover_foreign(repair, file, repair->place->path, *region, error);
	if (read_from(file, region->start, region->end, room, &line) <= 0 ||
	    mbox_line_parse(line, &known) != MBOX_LINE_OK)
		return store_failure(error, -EIO, "while reading what is to be repaired");
	struct region content = {region->start + known.octets,
				 region->start + known.octets + known.length, true};
	/* With the unique-id in its source: the same damage twice is two messages. */
	return recover(repair, file, known.uid, line, content, known.quoted > 0, error);
}

/* ---- what was set aside before ---- */

struct asides {
	char prefix[48];
	char names[FINDINGS_MAX][64];
	size_t count;
};

/* Octets of the mbox only: aside.ID.CHECKSUM.LENGTH. */
static bool list_aside(void *context, const char *name)
{
	struct asides *asides = context;
	struct bytes rest = bytes_skip(bytes_of(name), strlen(asides->prefix));
	if (asides->count < FINDINGS_MAX &&
	    bytes_start_with(bytes_of(name), bytes_of(asides->prefix)) && rest.length > 9 &&
	    rest.data[8] == '.' && strspn(rest.data, "0123456789abcdef.") == rest.length)
		snprintf(asides->names[asides->count++], 64, "%.63s", name);
	return true;
}

static enum store_result recover_aside(struct repair *repair, const char *name, struct error *error)
{
	struct file *file;
	struct file_status status;
	enum store_result result;
	int opened = file_open(repair->root->journal, name, FILE_READ, &file);
	if (opened < 0)
		return store_failure(error, opened, "while reading what was set aside");
	opened = file_status(file, &status);
	if (opened < 0)
		result = store_failure(error, opened, "while reading what was set aside");
	else
		result = recover_foreign(repair, file, name,
					 (struct region){0, status.size_octets, false}, error);
	file_close(file);
	return result;
}

static enum store_result recover_asides(struct repair *repair, struct error *error)
{
	enum store_result result = STORE_OK;
	struct asides *asides = calloc(1, sizeof *asides);
	if (asides == NULL)
		return store_failure(error, -ENOMEM, "while repairing");
	snprintf(asides->prefix, sizeof asides->prefix, "aside.%" PRIu64 ".",
		 repair->place->account);
	int listed = file_list(repair->root->journal, list_aside, asides);
	if (listed < 0)
		result = store_failure(error, listed, "while listing what was set aside");
	for (size_t i = 0; i < asides->count && result == STORE_OK; i++)
		result = recover_aside(repair, asides->names[i], error);
	free(asides);
	return result;
}

/* ---- the file without them ---- */

static int keep_copies(struct repair *repair)
{
	int result = 0;
	for (size_t i = 0; i < repair->count && result >= 0; i++)
		result = mbox_copy_octets(&repair->mbox, "kept", repair->regions[i].start,
					  repair->regions[i].end);
	return result;
}

/* The rest of the file as it is now: messages were delivered behind the last region. */
static int write_rest(struct repair *repair)
{
	struct file_status status;
	size_t count = 0;
	uint64_t position = 0;
	bool renamed;
	int result = file_status(repair->mbox.file, &status);
	struct range *keep = calloc(repair->count + 1, sizeof *keep);
	if (keep == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < repair->count; i++) {
		if (repair->regions[i].start > position)
			keep[count++] = (struct range){position, repair->regions[i].start};
		position = repair->regions[i].end;
	}
	if (result >= 0 && status.size_octets > position)
		keep[count++] = (struct range){position, status.size_octets};
	if (result >= 0)
		result = mbox_rewrite(repair->root, repair->place, repair->mbox.file, keep, count,
				      &renamed);
	free(keep);
	return result;
}

static enum store_result mend(struct repair *repair, struct error *error)
{
	char temporary[MAILDROP_PATH_MAX + 64];
	enum store_result result = STORE_OK;
	int done = repair->mbox.file != NULL ? look(repair) : 0;
	if (done >= 0)
		done = keep_copies(repair);
	if (done < 0)
		return store_failure(error, done, "while repairing the mailbox file");
	for (size_t i = 0; i < repair->count && result == STORE_OK; i++) {
		findings_add(repair->findings, repair->place->path, repair->regions[i].start,
			     "%" PRIu64 " octets %s: taken out",
			     repair->regions[i].end - repair->regions[i].start,
			     repair->regions[i].record ? "of a message that fails its checksum"
						       : "that are no message");
		result = recover_region(repair, &repair->regions[i], error);
	}
	if (result == STORE_OK && repair->count > 0) {
		done = write_rest(repair);
		if (done < 0)
			result = store_failure(error, done, "while writing the mailbox file anew");
	}
	mbox_temporary_name(repair->place, temporary);
	file_unlink(repair->root->mail[repair->place->mail_root], temporary);
	index_remove(repair->root, repair->place->account);
	return result;
}

static enum store_result repair_held(struct repair *repair, struct error *error)
{
	/* Opening may set a damaged tail aside, which is then recovered from there. */
	enum store_result result =
		mbox_file_open(repair->root, repair->place, &repair->mbox, error);
	if (result == STORE_OK && repair->mbox.size > repair->mbox.end)
		result = store_failure(error, -ENOSPC, "while setting octets aside");
	if (result == STORE_OK)
		result = recover_asides(repair, error);
	if (result == STORE_OK) {
		struct file_status status;
		if (repair->mbox.file != NULL && file_status(repair->mbox.file, &status) >= 0)
			repair->mbox.size = status.size_octets;
		result = mend(repair, error);
	}
	mbox_file_close(&repair->mbox);
	return result;
}

enum store_result mbox_repair(const struct store_root *root, const struct place *place,
			      struct findings *findings_out, struct error *error)
{
	struct store_hold hold;
	struct store_root held = *root;
	struct repair repair = {.root = &held, .place = place, .findings = findings_out};
	enum store_result result = store_hold(root, place, &hold, error);
	if (result != STORE_OK)
		return result;
	held.held = &hold;
	repair.octets = malloc(STORE_READ_OCTETS);
	result = repair.octets != NULL ? repair_held(&repair, error)
				       : store_failure(error, -ENOMEM, "while repairing");
	free(repair.octets);
	free(repair.regions);
	store_unhold(&hold);
	return result;
}
