/*
 * spool_others: see spool_others.h. Each is done at once and synced: the explorer does not see it.
 */
#include "spool_others.h"

#include <stdlib.h>
#include <string.h>

#define FROM         "From other@example.com Sun Nov 22 02:01:00 2026\n"
#define SPOOL_MAX    65536
#define FOREIGN      11 /* the number of the message that another program delivers whole */
#define FOREIGN_TORN 2  /* of one whose last line lacks its end */

static struct file *open_top(struct world *world, const char *path, unsigned flags)
{
	struct file *file = NULL;

	if (file_open(sim_disk_top(world->disk), path, flags, &file) != 0)
		return NULL;
	return file;
}

static uint64_t size_of(struct file *file)
{
	struct file_status status;

	if (file_status(file, &status) != 0)
		abort();
	return status.size_octets;
}

static bool has_message(const struct world *world, size_t message)
{
	const struct model_drop *drop = &world->model.drops[0];

	for (size_t i = 0; i < drop->count; i++)
		if (drop->entries[i].message == message)
			return true;
	return false;
}

static void sync_names(struct world *world)
{
	struct file *folder = open_top(world, "mail/example.org", FILE_DIRECTORY);

	if (folder == NULL || file_sync(folder) != 0 || file_sync(world->root.mail[0]) != 0)
		abort();
	file_close(folder);
}

/* A message with its From line behind the end, synced. */
static void append_record(struct world *world, size_t message, size_t cut_off, const char *behind)
{
	struct bytes content = model_message(message)->stored;
	struct bytes pieces[] = {BYTES(FROM), bytes_first(content, content.length - cut_off),
				 bytes_of(behind)};

	if (has_message(world, message))
		return; /* of this very program, before an earlier recovery */
	explorer_pause(world->explorer);
	struct file *file = open_top(world, SPOOL, FILE_WRITE | FILE_CREATE);

	if (file != NULL) { /* not even the folder is there yet */
		if (file_write(file, pieces, 3, size_of(file)) != 0 || file_sync(file) != 0)
			abort();
		sync_names(world);
		struct model_entry *entry = model_add(&world->model, 0, message);

		entry->now = entry->after_cut = PRESENT;
	}
	file_close(file);
	explorer_resume(world->explorer);
}

void others_append(struct world *world)
{
	append_record(world, FOREIGN, 0, "\n");
}

void others_append_torn(struct world *world)
{
	append_record(world, FOREIGN_TORN, 1, "");
	world->disorder = true;
}

/* Whole, but without the blank line that should be behind it; another follows. */
void others_append_unseparated(struct world *world)
{
	append_record(world, FOREIGN_TORN, 0, "");
	append_record(world, FOREIGN, 0, "\n");
	world->disorder = true;
}

static size_t read_spool(struct world *world, char octets[SPOOL_MAX])
{
	struct file *file = open_top(world, SPOOL, FILE_READ);
	ssize_t length = file != NULL ? file_read(file, octets, SPOOL_MAX, 0, false) : -1;

	if (length < 0)
		abort();
	file_close(file);
	return (size_t)length;
}

void others_write(struct world *world, const char *path, struct bytes octets)
{
	struct file *file = open_top(world, path, FILE_WRITE | FILE_CREATE);

	if (file == NULL || file_set_size(file, 0) != 0 || file_write(file, &octets, 1, 0) != 0 ||
	    file_sync(file) != 0)
		abort();
	file_close(file);
	sync_names(world);
}

/* A mail reader marks the first message as read, in place; all others move. */
void others_flag(struct world *world)
{
	static const char status[] = "Status: RO\nContent-Length: 12\n";
	static char octets[SPOOL_MAX + sizeof(status)];

	explorer_pause(world->explorer);
	size_t length = read_spool(world, octets);
	char *blank = memmem(octets, length, "\n\n", 2);

	if (blank == NULL)
		abort();
	size_t at = (size_t)(blank - octets) + 1;

	memmove(octets + at + sizeof(status) - 1, octets + at, length - at);
	memcpy(octets + at, status, sizeof(status) - 1);
	others_write(world, SPOOL, (struct bytes){octets, length + sizeof(status) - 1});
	explorer_resume(world->explorer);
}

/* One that edits: an octet of the first message's text is another, all else as it was, even the
 * file's times. */
void others_alter(struct world *world)
{
	static char octets[SPOOL_MAX];
	struct bytes other = BYTES("J");

	explorer_pause(world->explorer);
	size_t length = read_spool(world, octets);
	char *hello = memmem(octets, length, "Hello", 5);
	struct file *file = open_top(world, SPOOL, FILE_WRITE);

	if (hello == NULL || file == NULL ||
	    file_write(file, &other, 1, (uint64_t)(hello - octets)) != 0 || file_sync(file) != 0)
		abort();
	file_close(file);
	explorer_resume(world->explorer);
}

/* The same octets in another file of the same name. */
void others_replace(struct world *world)
{
	static char octets[SPOOL_MAX];
	struct file *top = sim_disk_top(world->disk);

	explorer_pause(world->explorer);
	size_t length = read_spool(world, octets);

	others_write(world, "mail/example.org/other", (struct bytes){octets, length});
	if (file_rename(top, "mail/example.org/other", top, SPOOL) != 0)
		abort();
	sync_names(world);
	explorer_resume(world->explorer);
}

/* The same, but the old file goes on under another name. */
void others_move_away(struct world *world)
{
	static char octets[SPOOL_MAX];
	struct file *top = sim_disk_top(world->disk);

	explorer_pause(world->explorer);
	size_t length = read_spool(world, octets);

	if (file_rename(top, SPOOL, top, SPOOL ".old") != 0)
		abort();
	others_write(world, SPOOL, (struct bytes){octets, length});
	explorer_resume(world->explorer);
}
