/*
 * cmd_account_import: `postern account import`: many accounts from lines `user@domain:SECRET`.
 *
 * Guarantees: every line is checked before the first password is hashed, every bad one is named,
 * and all accounts are added in one transaction or none is. Names end at the first colon, which no
 * name can hold.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "accounts/secret.h"
#include "cli/cmd_account.h"
#include "cli/home.h"
#include "cli/input.h"
#include "cli/option.h"
#include "cli/progress.h"

#define FILE_OCTETS_MAX (64 * 1024 * 1024) /* half a million accounts */

struct line {
	uint64_t number; /* from 1 */
	char name[ACCOUNT_NAME_MAX + 1];
	struct bytes password; /* in the file's text, to be hashed; or nothing */
	char verifier[VERIFIER_MAX + 1];
};

struct batch {
	struct buffer text;
	struct line *lines;
	size_t count, capacity;
	uint64_t bad;
};

/* ---- reading ---- */

static void complain(struct batch *batch, uint64_t number, const struct error *error)
{
	fprintf(stderr, "line %llu: %s\n", (unsigned long long)number, error->text);
	batch->bad++;
}

static enum error_code parse_secret(struct bytes secret, struct line *line, struct error *error)
{
	static const struct bytes plain = {"{PLAIN}", 7};
	bool kept;

	if (bytes_start_with(secret, plain)) {
		line->password = bytes_skip(secret, plain.length);
		return secret_check_password(line->password, error);
	}
	if (!bytes_start_with(secret, BYTES("$argon2id$")))
		return error_set(error, ERROR_DATA,
				 "the secret is neither an argon2id string ($argon2id$...) nor "
				 "{PLAIN} and a password");
	if (secret_check_verifier(secret, error) != ERROR_NONE)
		return ERROR_DATA;
	kept = bytes_to_string(secret, line->verifier, sizeof(line->verifier));
	assert(kept);
	return ERROR_NONE;
}

static enum error_code parse_line(struct bytes text, const char *default_domain, struct line *line,
				  struct error *error)
{
	const char *colon = memchr(text.data, ':', text.length);
	struct bytes name;
	enum error_code code;

	if (!colon)
		return error_set(error, ERROR_DATA, "there is no colon between name and secret");
	name = bytes_first(text, (size_t)(colon - text.data));
	code = account_name_normalise(name, default_domain, line->name, error);
	if (code != ERROR_NONE)
		return code;
	return parse_secret(bytes_skip(text, name.length + 1), line, error);
}

static enum error_code keep_line(struct batch *batch, const struct line *line, struct error *error)
{
	if (batch->count == batch->capacity) {
		size_t capacity = batch->capacity ? batch->capacity * 2 : 64;
		struct line *grown = reallocarray(batch->lines, capacity, sizeof(*grown));

		if (!grown)
			return error_set(error, ERROR_TEMPORARY, "no memory for so many accounts");
		batch->lines = grown;
		batch->capacity = capacity;
	}
	batch->lines[batch->count++] = *line;
	return ERROR_NONE;
}

static struct bytes next_line(struct bytes *rest)
{
	const char *end = memchr(rest->data, '\n', rest->length);
	size_t length = end ? (size_t)(end - rest->data) : rest->length;
	struct bytes line = bytes_first(*rest, length);

	*rest = bytes_skip(*rest, length + 1);
	if (line.length > 0 && line.data[line.length - 1] == '\r')
		line.length--;
	return line;
}

static enum error_code parse_all(struct batch *batch, const char *default_domain,
				 struct error *error)
{
	struct bytes rest = buffer_bytes(&batch->text);
	uint64_t number = 0;

	while (rest.length > 0) {
		struct line line = {.number = ++number};
		struct bytes text = next_line(&rest);
		struct error fault = {.code = ERROR_NONE};

		if (text.length == 0)
			continue;
		if (parse_line(text, default_domain, &line, &fault) != ERROR_NONE)
			complain(batch, number, &fault);
		else if (keep_line(batch, &line, error) != ERROR_NONE)
			return error->code;
	}
	return ERROR_NONE;
}

/* ---- checking lines against one another and against what is there ---- */

static int compare_names(const void *a, const void *b)
{
	const struct line *const *first = a, *const *second = b;
	int order = strcmp((*first)->name, (*second)->name);

	if (order != 0)
		return order;
	return (*first)->number < (*second)->number ? -1 : 1;
}

static enum error_code check_repeated(struct batch *batch, struct error *error)
{
	const struct line **sorted = calloc(batch->count + 1, sizeof(*sorted));

	if (!sorted)
		return error_set(error, ERROR_TEMPORARY, "no memory for so many accounts");
	for (size_t i = 0; i < batch->count; i++)
		sorted[i] = &batch->lines[i];
	qsort(sorted, batch->count, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < batch->count; i++) {
		struct error fault = {.code = ERROR_NONE};

		if (strcmp(sorted[i]->name, sorted[i - 1]->name) != 0)
			continue;
		error_set(&fault, ERROR_DATA, "%s stands on line %llu already", sorted[i]->name,
			  (unsigned long long)sorted[i - 1]->number);
		complain(batch, sorted[i]->number, &fault);
	}
	free(sorted);
	return ERROR_NONE;
}

/* Tries every row in a transaction that is taken back: whatever the database would refuse is found
 * here, before the long work. */
static enum error_code check_rows(struct directory *directory, struct batch *batch,
				  struct error *error)
{
	enum error_code code = directory_begin(directory, error), ended;

	for (size_t i = 0; i < batch->count && code == ERROR_NONE; i++) {
		struct error fault = {.code = ERROR_NONE};
		struct account account = {.mail_root = 0};
		enum error_code tried = account_add_row(directory, batch->lines[i].name, "mbox",
							NULL, &account, &fault);

		if (tried == ERROR_DATA)
			complain(batch, batch->lines[i].number, &fault);
		else if (tried != ERROR_NONE)
			*error = fault;
		code = tried == ERROR_DATA ? ERROR_NONE : tried;
	}
	ended = directory_commit(directory, false, NULL);
	return code != ERROR_NONE ? code : ended;
}

static enum error_code check_all(struct directory *directory, struct batch *batch,
				 struct error *error)
{
	char domain[DOMAIN_MAX + 1];
	enum error_code code = directory_default_domain(directory, domain, error);

	if (code == ERROR_NONE)
		code = parse_all(batch, domain, error);
	if (code == ERROR_NONE && batch->bad == 0)
		code = check_repeated(batch, error);
	if (code == ERROR_NONE && batch->bad == 0)
		code = check_rows(directory, batch, error);
	if (code == ERROR_NONE && batch->bad > 0)
		code = error_set(error, ERROR_DATA, "nothing was imported: %llu bad line%s",
				 (unsigned long long)batch->bad, batch->bad == 1 ? "" : "s");
	return code;
}

/* ---- adding ---- */

static enum error_code hash_all(struct batch *batch, struct error *error)
{
	struct progress progress;
	enum error_code code = ERROR_NONE;

	progress_begin(&progress, "accounts made ready", batch->count);
	for (size_t i = 0; i < batch->count && code == ERROR_NONE; i++) {
		struct line *line = &batch->lines[i];

		if (line->password.length > 0)
			code = secret_hash(line->password, line->verifier, error);
		progress_show(&progress, i + 1);
	}
	progress_end(&progress);
	return code;
}

static enum error_code add_all(struct directory *directory, struct batch *batch,
			       struct error *error)
{
	enum error_code code = directory_begin(directory, error), ended;

	if (code != ERROR_NONE)
		return code;
	for (size_t i = 0; i < batch->count && code == ERROR_NONE; i++) {
		struct account account = {.mail_root = 0};

		code = account_add_row(directory, batch->lines[i].name, "mbox",
				       batch->lines[i].verifier, &account, error);
		if (code != ERROR_NONE)
			error_prefix(error, "nothing was imported: line %llu: ",
				     (unsigned long long)batch->lines[i].number);
	}
	ended = directory_commit(directory, code == ERROR_NONE, error);
	return code != ERROR_NONE ? code : ended;
}

static enum error_code import_to(const struct home *home, struct batch *batch, struct error *error)
{
	struct directory *directory;
	enum error_code code = home_directory(home, true, &directory, error);

	if (code != ERROR_NONE)
		return code;
	code = check_all(directory, batch, error);
	if (code == ERROR_NONE)
		code = hash_all(batch, error);
	if (code == ERROR_NONE)
		code = add_all(directory, batch, error);
	directory_close(directory);
	if (code == ERROR_NONE)
		printf("imported %zu account%s\n", batch->count, batch->count == 1 ? "" : "s");
	return code;
}

static enum error_code import_file(const struct context *context, const char *file,
				   struct batch *batch, struct error *error)
{
	struct home home;
	enum error_code code = input_read(file, &batch->text, error);

	if (code == ERROR_NONE)
		code = home_open(context, true, &home, error);
	if (code != ERROR_NONE)
		return code;
	code = home_become(&home, HOME_ACCOUNTS, error);
	if (code == ERROR_NONE)
		code = import_to(&home, batch, error);
	home_close(&home);
	return code;
}

int account_import(struct context *context, int argc, char **argv)
{
	const struct option_page page = {
		.operands = "FILE",
		.operands_min = 1,
		.operands_max = 1,
		.about =
			"Adds the accounts of a file (- is standard input), one a line: "
			"USER@DOMAIN:SECRET.\nSECRET is an argon2id string, as the passwd files of "
			"many servers have it, or {PLAIN}\nand the password, which is hashed. All "
			"lines are checked first; if any is bad, each\nbad one is named and "
			"nothing "
			"is imported. Empty lines are passed over.",
		.examples =
			"  postern account import accounts.txt\n"
			"  printf 'alice@example.org:{PLAIN}correct horse\\n' | postern account "
			"import -\n"
			"  sed -n 's/^\\([^:]*\\):{ARGON2ID}\\([^:]*\\).*/\\1:\\2/p' "
			"dovecot.passwd |\n"
			"    postern account import -",
	};
	struct batch batch = {.bad = 0};
	struct error error = {.code = ERROR_NONE};
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	secret_init();
	buffer_init(&batch.text, FILE_OCTETS_MAX);
	code = import_file(context, operands[0], &batch, &error);
	buffer_wipe(&batch.text);
	buffer_free(&batch.text);
	free(batch.lines);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}
