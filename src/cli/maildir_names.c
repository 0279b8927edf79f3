/*
 * maildir_names: lists cur/ and new/ of a Maildir.
 *
 * Must not know: what a message is, where it goes.
 */
#include "cli/maildir_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/input.h"

#define NAMES_MAX (16 * 1000 * 1000) /* bounds memory; no file system likes so many */

static const char *const folder_names[2] = {"cur", "new"};

struct listing {
	struct maildir *maildir;
	int folder;
};

static int compare_names(const void *a, const void *b)
{
	const struct maildir_name *first = a, *second = b;

	return strcmp(first->text, second->text);
}

static bool add_name(void *context, const char *text)
{
	struct listing *listing = context;
	struct maildir *maildir = listing->maildir;
	char *copy;

	if (maildir->count == NAMES_MAX)
		return false;
	if (maildir->count == maildir->capacity) {
		size_t capacity = maildir->capacity ? maildir->capacity * 2 : 256;
		struct maildir_name *grown =
			reallocarray(maildir->names, capacity, sizeof(*maildir->names));

		if (!grown)
			return false;
		maildir->names = grown;
		maildir->capacity = capacity;
	}
	copy = strdup(text);
	if (!copy)
		return false;
	maildir->names[maildir->count++] = (struct maildir_name){copy, listing->folder};
	return true;
}

enum error_code maildir_open(int folder, struct maildir *maildir_out, struct error *error)
{
	enum error_code code = ERROR_NONE;

	*maildir_out = (struct maildir){.folders = {-1, -1}};
	for (int i = 0; i < 2 && code == ERROR_NONE; i++) {
		struct listing listing = {maildir_out, i};

		maildir_out->folders[i] = input_open_folder(folder, folder_names[i]);
		if (maildir_out->folders[i] < 0)
			return error_set(error, ERROR_NO_INPUT,
					 "the folder is no Maildir that uid %u can read: %s/: %s",
					 (unsigned)geteuid(), folder_names[i], strerror(errno));
		code = input_each_name(maildir_out->folders[i], add_name, &listing, error);
	}
	if (code == ERROR_NONE && maildir_out->count > 0)
		qsort(maildir_out->names, maildir_out->count, sizeof(*maildir_out->names),
		      compare_names);
	return code;
}

void maildir_close(struct maildir *maildir)
{
	for (size_t i = 0; i < maildir->count; i++)
		free(maildir->names[i].text);
	free(maildir->names);
	for (int i = 0; i < 2; i++) {
		if (maildir->folders[i] >= 0)
			close(maildir->folders[i]);
	}
}
