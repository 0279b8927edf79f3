/*
 * cmd_mailbox_import: `postern mailbox import`: messages from a file, an mbox or a Maildir into a
 * maildrop, octet by octet, without trace headers.
 *
 * Guarantees: a message is there whole or not at all; what was reported as imported is on stable
 * storage, in the order of the source. Messages go in batches, each all or nothing, because a batch
 * costs one sync; batches are bounded in messages and octets.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cmd_mailbox.h"
#include "cli/input.h"
#include "cli/mail_reader.h"
#include "cli/maildir_names.h"
#include "cli/option.h"
#include "cli/progress.h"
#include "store/draft.h"

#define BATCH_MESSAGES 256
#define BATCH_OCTETS   (8ULL * 1024 * 1024)

struct entry {
	struct draft *draft;
	struct mail_envelope envelope;
	int64_t received_unix_seconds;
};

struct import {
	struct mailbox mailbox;
	struct entry batch[BATCH_MESSAGES];
	size_t batch_count;
	uint64_t batch_octets;
	uint64_t messages, octets; /* safe */
	uint64_t number;           /* of the message at work, from 1 */
	struct progress progress;
};

/* ---- batches ---- */

static void batch_clear(struct import *import)
{
	for (size_t i = 0; i < import->batch_count; i++)
		draft_free(import->batch[i].draft);
	import->batch_count = 0;
	import->batch_octets = 0;
}

static enum store_result prepare(struct import *import, struct delivery **delivery_out,
				 struct error *error)
{
	static struct delivery_request requests[BATCH_MESSAGES];
	struct home_patience patience = {0};
	enum store_result result;

	for (size_t i = 0; i < import->batch_count; i++)
		requests[i] = (struct delivery_request){
			.draft = import->batch[i].draft,
			.sender = bytes_of(import->batch[i].envelope.sender),
			.received_unix_seconds = import->batch[i].received_unix_seconds,
		};
	do
		result = delivery_prepare(&import->mailbox.root, &import->mailbox.found.place,
					  requests, import->batch_count, delivery_out, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	return result;
}

static enum error_code batch_deliver(struct import *import, struct error *error)
{
	struct delivery *delivery;
	enum store_result result;

	if (import->batch_count == 0)
		return ERROR_NONE;
	result = prepare(import, &delivery, error);
	if (result == STORE_OK)
		result = delivery_finish(delivery, true, error);
	if (result != STORE_OK)
		return home_store_failed(result, error);
	import->messages += import->batch_count;
	import->octets += import->batch_octets;
	batch_clear(import);
	return ERROR_NONE;
}

/* ---- one message ---- */

static enum error_code fill_draft(struct mail_reader *reader, struct draft *draft,
				  struct error *error)
{
	struct bytes piece;
	enum error_code code;

	do {
		code = mail_reader_piece(reader, &piece, error);
		if (code == ERROR_NONE && piece.length > 0)
			code = draft_write(draft, piece, error);
	} while (code == ERROR_NONE && piece.length > 0);
	return code == ERROR_NONE ? draft_seal(draft, error) : code;
}

static enum error_code take_message(struct import *import, struct mail_reader *reader,
				    const struct mail_envelope *envelope, int64_t file_unix_seconds,
				    struct error *error)
{
	struct entry *entry = &import->batch[import->batch_count];
	enum error_code code;

	import->number++;
	*entry = (struct entry){
		.draft = draft_new(import->mailbox.root.mail[0], MESSAGE_OCTETS_MAX),
		.envelope = *envelope,
		.received_unix_seconds =
			envelope->dated ? envelope->unix_seconds : file_unix_seconds,
	};
	if (!entry->draft)
		return error_set(error, ERROR_TEMPORARY, "no memory");
	code = fill_draft(reader, entry->draft, error);
	if (code != ERROR_NONE) {
		draft_free(entry->draft);
		return code;
	}
	import->batch_count++;
	import->batch_octets += draft_facts(entry->draft)->wire_octets;
	if (import->batch_count == BATCH_MESSAGES || import->batch_octets >= BATCH_OCTETS)
		code = batch_deliver(import, error);
	progress_show(&import->progress, import->messages);
	return code;
}

/* ---- one file ---- */

static enum error_code import_open_file(struct import *import, int descriptor,
					enum mail_shape shape, struct error *error)
{
	struct mail_envelope envelope;
	struct mail_reader reader;
	struct stat status;
	enum error_code code;
	bool found;

	if (fstat(descriptor, &status) != 0)
		return error_set_errno(error, -errno, "looking at the file");
	if (!S_ISREG(status.st_mode))
		status.st_mtime = (time_t)clock_unix_seconds(); /* a pipe: it arrives now */
	if (!mail_reader_init(&reader, descriptor, shape))
		return error_set(error, ERROR_TEMPORARY, "no memory");
	do {
		code = mail_reader_next(&reader, &found, &envelope, error);
		if (code == ERROR_NONE && found)
			code = take_message(import, &reader, &envelope, status.st_mtime, error);
	} while (code == ERROR_NONE && found);
	mail_reader_free(&reader);
	return code;
}

static enum error_code import_name(struct import *import, const struct maildir *maildir,
				   const struct maildir_name *name, struct error *error)
{
	int descriptor = input_open_below(maildir->folders[name->folder], name->text);
	enum error_code code;
	char room[120];

	if (descriptor < 0)
		code = error_set(error, ERROR_NO_INPUT, "it is not a file that can be read");
	else
		code = import_open_file(import, descriptor, MAIL_MESSAGE, error);
	if (descriptor >= 0)
		close(descriptor);
	if (code != ERROR_NONE)
		error_prefix(error, "%s/%s: ", name->folder == 0 ? "cur" : "new",
			     error_escape(bytes_of(name->text), room, sizeof(room)));
	return code;
}

static enum error_code import_maildir(struct import *import, int folder, struct error *error)
{
	struct maildir maildir;
	enum error_code code = maildir_open(folder, &maildir, error);

	import->progress.total = maildir.count;
	for (size_t i = 0; i < maildir.count && code == ERROR_NONE; i++)
		code = import_name(import, &maildir, &maildir.names[i], error);
	maildir_close(&maildir);
	return code;
}

/* ---- the command ---- */

static enum error_code import_source(struct import *import, int descriptor, enum mail_shape shape,
				     struct error *error)
{
	struct stat status;

	if (fstat(descriptor, &status) != 0)
		return error_set_errno(error, -errno, "looking at what is to be imported");
	if (S_ISDIR(status.st_mode))
		return import_maildir(import, descriptor, error);
	return import_open_file(import, descriptor, shape, error);
}

/* Whole messages read before a failure are kept, so that the report names one point. */
static enum error_code import_all(struct import *import, int descriptor, enum mail_shape shape,
				  struct error *error)
{
	struct error late = {.code = ERROR_NONE};
	enum error_code code;

	progress_begin(&import->progress, "messages imported", 0);
	code = import_source(import, descriptor, shape, error);
	if (batch_deliver(import, code == ERROR_NONE ? error : &late) != ERROR_NONE &&
	    code == ERROR_NONE)
		code = error->code;
	batch_clear(import);
	progress_end(&import->progress);
	return code;
}

static void report(const struct import *import, bool stopped)
{
	printf("imported %llu message%s, %llu octets, into %s\n",
	       (unsigned long long)import->messages, import->messages == 1 ? "" : "s",
	       (unsigned long long)import->octets, import->mailbox.found.account.name);
	if (stopped)
		printf("stopped: message %llu and what follows it were not imported\n",
		       (unsigned long long)import->messages + 1);
}

static bool parse_quoting(const char *word, enum mail_shape *shape_out)
{
	static const struct {
		const char *name;
		enum mail_shape shape;
	} rows[] = {{"mboxrd", MAIL_MBOXRD}, {"mboxo", MAIL_MBOXO}, {"none", MAIL_UNQUOTED}};

	*shape_out = MAIL_DETECT;
	for (size_t i = 0; word && i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcmp(word, rows[i].name) == 0)
			*shape_out = rows[i].shape;
	}
	return !word || *shape_out != MAIL_DETECT;
}

/* The source is opened before privileges are given away, because it may be root's. */
static enum error_code run(const struct context *context, char **operands, enum mail_shape shape,
			   struct import *import, struct error *error)
{
	int descriptor = input_open(operands[1], error);
	enum error_code code;

	if (descriptor < 0)
		return ERROR_NO_INPUT;
	code = mailbox_open(context, operands[0], &import->mailbox, error);
	if (code == ERROR_NONE) {
		code = import_all(import, descriptor, shape, error);
		report(import, code != ERROR_NONE);
		mailbox_close(&import->mailbox);
	}
	close(descriptor);
	return code;
}

int mailbox_import(struct context *context, int argc, char **argv)
{
	const char *quoting = NULL;
	const struct option_row rows[] = {
		{"quoting", "KIND", "of an mbox: mboxrd (the default), mboxo or none", NULL,
		 &quoting, NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT FILE|FOLDER|-",
		.operands_min = 2,
		.operands_max = 2,
		.about = "Brings messages into a maildrop exactly as they are (only CRLF becomes "
			 "LF), "
			 "without adding\nheaders: a message, an mbox (a file that begins with "
			 "\"From \"), "
			 "a Maildir (a folder with\ncur/ and new/, in order of name), or standard "
			 "input. "
			 "Sender and date come from the From\nlines. Each message is there whole "
			 "or not at "
			 "all; if the import stops, it says where.\nStarted as root it runs as the "
			 "user "
			 "postern, who must be able to read the Maildir.",
		.examples = "  postern mailbox import alice message.eml\n"
			    "  postern mailbox import alice /var/mail/alice --quoting mboxo\n"
			    "  postern mailbox import alice@example.org ~/Maildir\n"
			    "  zcat archive.mbox.gz | postern mailbox import alice -",
		.rows = rows,
		.row_count = 1,
	};
	static struct import import;
	struct error error = {.code = ERROR_NONE};
	enum mail_shape shape;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	if (!parse_quoting(quoting, &shape))
		return command_fail_usage(context,
					  "--quoting is mboxrd, mboxo or none, nothing else");
	if (run(context, operands, shape, &import, &error) != ERROR_NONE)
		return command_fail(context, &error);
	return EX_OK;
}
