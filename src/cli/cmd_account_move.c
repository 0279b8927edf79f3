/*
 * cmd_account_move: the maildrop of an account becomes one of another kind or in another place
 * (store/convert.h says how).
 *
 * Runs as owner of the mail; the row is written by an attendant who is owner of the accounts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd_account.h"
#include "cli/progress.h"
#include "server/place.h"
#include "store/convert.h"

struct moving {
	struct store_root root;
	struct home_attendant *attendant;
	struct account *row; /* the attendant's */
	struct progress progress;
};

static enum store_result write_row(void *context, struct error *error)
{
	struct moving *moving = context;
	enum error_code code = home_attendant_run(moving->attendant, error);

	if (code == ERROR_NONE)
		return STORE_OK;
	return code == ERROR_INTERNAL ? STORE_UNKNOWN : STORE_IO;
}

static void show(void *context, uint64_t done, uint64_t total)
{
	struct moving *moving = context;

	moving->progress.total = total;
	progress_show(&moving->progress, done);
}

/* ---- is there room for it? ---- */

static bool is_empty_maildrop(struct moving *moving, const struct place *place)
{
	struct error error = {.code = ERROR_NONE};
	struct maildrop *maildrop;
	bool empty;

	if (maildrop_open(&moving->root, place, STORE_PEEK, &maildrop, &error) != STORE_OK)
		return false;
	empty = maildrop_summary(maildrop).messages == 0;
	maildrop_close(maildrop);
	return empty;
}

/* Nothing at all, an empty file, or for a Maildir a folder without messages. */
static bool is_free(struct moving *moving, const struct place *place)
{
	struct file_status status = {.size_octets = 0};
	struct file *file;
	int result = file_open(moving->root.mail[place->mail_root], place->path, FILE_READ, &file);

	if (result == -EINVAL && place->kind == STORE_MAILDIR)
		return is_empty_maildrop(moving, place);
	if (result < 0)
		return result == -ENOENT;
	result = file_status(file, &status);
	file_close(file);
	return result >= 0 && status.size_octets == 0 && place->kind != STORE_MAILDIR;
}

/* A place within the old maildrop would be a message of it. */
static bool lies_within(const struct account *inner, const struct account *outer)
{
	size_t length = strlen(outer->path);

	return inner->mail_root == outer->mail_root &&
	       strncmp(inner->path, outer->path, length) == 0 && inner->path[length] == '/';
}

static bool same_spot(const struct account *a, const struct account *b)
{
	return a->mail_root == b->mail_root && strcmp(a->path, b->path) == 0;
}

static enum error_code try_path(struct moving *moving, const struct account_move *move,
				const struct place *from, struct error *error)
{
	struct place to = *from;

	to.kind = move->kind;
	to.mail_root = move->after.mail_root;
	(void)bytes_to_string(bytes_of(move->after.path), to.path, sizeof(to.path));
	if (same_spot(&move->account, &move->after) || lies_within(&move->after, &move->account) ||
	    lies_within(&move->account, &move->after) || !is_free(moving, &to))
		return error_set(error, ERROR_DATA,
				 "there is something at %.200s already; move it away, or name "
				 "another place with --path",
				 move->after.path);
	*moving->row = move->account;
	(void)bytes_to_string(bytes_of(move->after.store), moving->row->store,
			      sizeof(moving->row->store));
	moving->row->mail_root = move->after.mail_root;
	(void)bytes_to_string(bytes_of(move->after.path), moving->row->path,
			      sizeof(moving->row->path));
	return ERROR_NONE;
}

/* Fills in the row that is to be. */
static enum error_code choose(struct moving *moving, struct account_move *move,
			      const struct place *from, struct error *error)
{
	enum error_code code = ERROR_DATA;

	if (!move->usual)
		return try_path(moving, move, from, error);
	for (unsigned attempt = 0; code != ERROR_NONE; attempt++) {
		move->after.mail_root = move->account.mail_root;
		if (!account_path_usual(move->home, &move->after, move->kind, attempt))
			return error_set(error, ERROR_DATA,
					 "no usual place is free; name one with --path");
		code = try_path(moving, move, from, error);
	}
	error->code = ERROR_NONE;
	return ERROR_NONE;
}

/* ---- */

static void report(const struct home *home, const struct conversion *conversion,
		   const struct account *before, const struct account *after)
{
	char path[HOME_MAILDROP_PATH_OCTETS];

	home_maildrop_path(home, after, path);
	printf("%s is in %s now, as %s: %llu message%s, %llu octets\n", after->name, path,
	       after->store, (unsigned long long)conversion->messages,
	       conversion->messages == 1 ? "" : "s", (unsigned long long)conversion->octets);
	home_maildrop_path(home, before, path);
	if (conversion->stayed > 0)
		printf("%u message%s that another program has delivered meanwhile stay%s in %s: "
		       "bring them in with \"postern mailbox import\"\n",
		       (unsigned)conversion->stayed, conversion->stayed == 1 ? "" : "s",
		       conversion->stayed == 1 ? "s" : "", path);
	if (conversion->old_left)
		printf("what was in %s could not be removed; the same command again does it\n",
		       path);
}

static enum error_code convert(struct moving *moving, struct account_move *move,
			       struct conversion *conversion, struct error *error)
{
	struct home_patience patience = {0};
	enum store_result result;
	enum error_code code = place_of_account(moving->row, &conversion->to, error);

	if (code != ERROR_NONE)
		return code;
	progress_begin(&moving->progress, "messages copied", 0);
	do
		result = store_convert(&moving->root, conversion, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	progress_end(&moving->progress);
	if (result == STORE_UNKNOWN)
		return error_set(error, ERROR_TEMPORARY,
				 "it is not known whether %.150s was converted; the same command "
				 "again finds out and ends it",
				 move->account.name);
	return result == STORE_OK ? ERROR_NONE : home_store_failed(result, error);
}

/* An interrupted conversion is ended even when there is nothing else to be done. */
static enum error_code resume(struct moving *moving, const struct place *place, bool *resumed_out,
			      struct error *error)
{
	struct home_patience patience = {0};
	enum store_result result;

	do
		result = store_convert_resume(&moving->root, place, resumed_out, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	return result == STORE_OK ? ERROR_NONE : home_store_failed(result, error);
}

static bool is_there_already(const struct account_move *move)
{
	return strcmp(move->account.store, move->after.store) == 0 &&
	       (move->usual || same_spot(&move->account, &move->after));
}

static enum error_code move_in_root(struct home *home, struct moving *moving,
				    struct account_move *move, struct error *error)
{
	struct conversion conversion = {.commit = write_row, .progress = show, .context = moving};
	bool resumed;
	enum error_code code = place_of_account(&move->account, &conversion.from, error);

	if (code == ERROR_NONE)
		code = resume(moving, &conversion.from, &resumed, error);
	if (code != ERROR_NONE)
		return code;
	if (resumed)
		printf("ended the conversion of %s that was interrupted\n", move->account.name);
	if (is_there_already(move)) {
		if (!resumed)
			printf("%s is there already\n", move->account.name);
		return ERROR_NONE;
	}
	code = choose(moving, move, &conversion.from, error);
	if (code == ERROR_NONE)
		code = convert(moving, move, &conversion, error);
	if (code == ERROR_NONE)
		report(home, &conversion, &move->account, moving->row);
	return code;
}

enum error_code account_move(struct home *home, struct account_move *move,
			     struct home_attendant *attendant, struct error *error)
{
	struct moving moving = {.attendant = attendant, .row = home_attendant_data(attendant)};
	enum error_code code = home_become(home, HOME_MAIL, error);

	if (code == ERROR_NONE)
		code = home_store(home, &moving.root, error);
	if (code != ERROR_NONE)
		return code;
	code = move_in_root(home, &moving, move, error);
	home_store_close(&moving.root);
	return code;
}
