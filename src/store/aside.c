/*
 * aside: see aside.h. Must not know: what is in the files.
 */
#include "store/aside.h"

#include <inttypes.h>
#include <stdio.h>

#define NAME_OCTETS 160

struct walk {
	struct file *folder;
	struct findings *findings; /* NULL: erase */
	char aside[48], kept[48];
	int result;
};

static bool keep_one(void *context, const char *name)
{
	struct walk *walk = context;
	char kept[NAME_OCTETS];
	if (!bytes_start_with(bytes_of(name), bytes_of(walk->aside)))
		return true;
	snprintf(kept, sizeof kept, "kept%.*s", (int)sizeof kept - 8, name + sizeof "aside" - 1);
	walk->result = file_rename(walk->folder, name, walk->folder, kept);
	if (walk->result >= 0)
		findings_add(walk->findings, "journal", 0,
			     "what was taken out of the maildrop is kept as %.100s", kept);
	return walk->result >= 0;
}

static bool erase_one(void *context, const char *name)
{
	struct walk *walk = context;
	if (bytes_start_with(bytes_of(name), bytes_of(walk->aside)) ||
	    bytes_start_with(bytes_of(name), bytes_of(walk->kept)))
		walk->result = file_unlink(walk->folder, name);
	return walk->result >= 0;
}

static int each(const struct store_root *root, uint64_t account, struct findings *findings,
		file_name_callback *callback)
{
	struct walk walk = {.folder = root->journal, .findings = findings};
	snprintf(walk.aside, sizeof walk.aside, "aside.%" PRIu64 ".", account);
	snprintf(walk.kept, sizeof walk.kept, "kept.%" PRIu64 ".", account);
	if (root->journal == NULL)
		return 0; /* a kind without files */
	int result = file_list(root->journal, callback, &walk);
	if (result >= 0)
		result = walk.result;
	return result < 0 ? result : file_sync(root->journal);
}

int aside_keep(const struct store_root *root, uint64_t account, struct findings *findings)
{
	return each(root, account, findings, keep_one);
}

int aside_erase(const struct store_root *root, uint64_t account)
{
	return each(root, account, NULL, erase_one);
}
