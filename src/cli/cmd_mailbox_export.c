/*
 * cmd_mailbox_export: `postern mailbox export`: a maildrop, or one message of it, as an mbox, a
 * Maildir, or an mbox on standard output.
 *
 * Guarantees: what was exported has the octets of the messages as they are stored, and an import of
 * it gives the same messages (with mboxrd quoting, which can be undone); the file or folder is
 * there whole and on stable storage, or not at all. It takes no session lock: it shows the messages
 * that were there when it began, and if one goes meanwhile in a way that cannot be read on, it
 * fails.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/cmd_mailbox.h"
#include "cli/json.h"
#include "cli/option.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "store/mbox_quote.h"

#define PIECE_OCTETS (256 * 1024)

enum shape { TO_STANDARD, TO_MBOX, TO_MAILDIR };

struct export
{
	const char *account, *to, *quoting, *message;
	bool json, rd; /* mboxrd */
	enum shape shape;
	const char *path;
	struct mailbox mailbox;
	struct maildrop *maildrop;
	struct output output;
	struct home_attendant *attendant; /* gives the output its name, or takes it back */
	struct progress progress;
	int64_t last_unix_seconds;
	uint64_t messages, octets;
	char piece[PIECE_OCTETS];
	char quoted[2 * PIECE_OCTETS + 16];
};

/* ---- quoting ---- */

struct quoting {
	bool rd;
	struct mbox_quote mboxrd;
	int matched; /* mboxo: octets of "From " at a line's start, held back; -1: amid a line */
};

static const char from[] = "From ";

static size_t hold_back_ends(struct quoting *quoting, char *out)
{
	size_t held = quoting->matched > 0 ? (size_t)quoting->matched : 0;

	memcpy(out, from, held);
	quoting->matched = -1;
	return held;
}

static size_t quote_mboxo(struct quoting *quoting, struct bytes in, char *out)
{
	size_t at = 0;

	for (size_t i = 0; i < in.length; i++) {
		if (quoting->matched >= 0 && in.data[i] == from[quoting->matched]) {
			if (++quoting->matched < 5)
				continue;
			memcpy(out + at, ">From ", 6);
			at += 6;
			quoting->matched = -1;
			continue;
		}
		at += hold_back_ends(quoting, out + at);
		out[at++] = in.data[i];
		if (in.data[i] == '\n')
			quoting->matched = 0;
	}
	return at;
}

static size_t quote(struct quoting *quoting, struct bytes in, char *out)
{
	return quoting->rd ? mbox_quote_add(&quoting->mboxrd, in, out)
			   : quote_mboxo(quoting, in, out);
}

static size_t quote_end(struct quoting *quoting, char *out)
{
	return quoting->rd ? mbox_quote_end(&quoting->mboxrd, out) : hold_back_ends(quoting, out);
}

/* ---- one message ---- */

/* All octets of a message to a file, quoted for an mbox; the last line is ended if it was not. */
static enum error_code write_octets(struct export *export, uint32_t number, int file,
				    struct error *error)
{
	struct quoting quoting = {.rd = export->rd};
	uint64_t offset = 0;
	size_t length;
	char last = '\n';
	enum error_code code = ERROR_NONE;

	mbox_quote_init(&quoting.mboxrd);
	do {
		struct bytes piece = {export->piece, 0};
		enum store_result result =
			maildrop_read(export->maildrop, number, offset, false, export->piece,
				      sizeof(export->piece), &length, error);

		if (result != STORE_OK)
			return home_store_failed(result, error);
		offset += length;
		piece.length = length;
		if (length > 0)
			last = export->piece[length - 1];
		if (export->shape != TO_MAILDIR) {
			piece.data = export->quoted;
			piece.length =
				length > 0 ? quote(&quoting, (struct bytes){export->piece, length},
						   export->quoted)
					   : quote_end(&quoting, export->quoted);
		}
		code = output_write(file, piece, error);
	} while (code == ERROR_NONE && length > 0);
	if (code == ERROR_NONE && last != '\n')
		code = output_write(file, BYTES("\n"), error);
	return code;
}

static enum error_code write_record(struct export *export, uint32_t number, int file,
				    struct error *error)
{
	struct maildrop_envelope envelope;
	char line[400], date[40];
	time_t seconds;
	struct tm parts;
	int length;
	enum error_code code;

	maildrop_envelope(export->maildrop, number, &envelope);
	seconds = (time_t)envelope.received_unix_seconds;
	if (!gmtime_r(&seconds, &parts) ||
	    strftime(date, sizeof(date), "%a %b %e %H:%M:%S %Y", &parts) == 0)
		(void)snprintf(date, sizeof(date), "Thu Jan  1 00:00:00 1970");
	length = snprintf(line, sizeof(line), "From %s %s\n",
			  envelope.sender[0] ? envelope.sender : "MAILER-DAEMON", date);
	code = output_write(file, (struct bytes){line, (size_t)length}, error);
	if (code == ERROR_NONE)
		code = write_octets(export, number, file, error);
	return code == ERROR_NONE ? output_write(file, BYTES("\n"), error) : code;
}

/* Names begin with the time, and then count, so that their order is that of the messages. */
static enum error_code write_file(struct export *export, uint32_t number, struct error *error)
{
	struct maildrop_envelope envelope;
	char name[80];
	int file;
	enum error_code code;

	maildrop_envelope(export->maildrop, number, &envelope);
	if (envelope.received_unix_seconds > export->last_unix_seconds)
		export->last_unix_seconds = envelope.received_unix_seconds;
	(void)snprintf(name, sizeof(name), "%010lld.%010u.postern",
		       (long long)export->last_unix_seconds, (unsigned)number);
	code = output_begin_message(&export->output, name, &file, error);
	if (code != ERROR_NONE)
		return code;
	code = write_octets(export, number, file, error);
	if (code != ERROR_NONE) {
		close(file);
		return code;
	}
	return output_end_message(file, error);
}

static enum error_code export_one(struct export *export, uint32_t number, struct error *error)
{
	struct maildrop_entry entry;
	enum store_result result =
		maildrop_table(export->maildrop, number, 1, false, &entry, error);
	enum error_code code;

	if (result != STORE_OK)
		return home_store_failed(result, error);
	if (export->shape == TO_MAILDIR)
		code = write_file(export, number, error);
	else
		code = write_record(export, number,
				    export->shape == TO_MBOX ? export->output.place : STDOUT_FILENO,
				    error);
	if (code != ERROR_NONE)
		error_prefix(error, "message %u: ", (unsigned)number);
	export->messages++;
	export->octets += entry.octets;
	progress_show(&export->progress, export->messages);
	return code;
}

/* ---- which messages ---- */

static enum error_code export_chosen(struct export *export, struct error *error)
{
	uint32_t first = 1, last = maildrop_summary(export->maildrop).messages;
	enum error_code code = ERROR_NONE;

	if (export->message) {
		code = mailbox_message(export->maildrop, export->message, &first, error);
		last = first;
	}
	progress_begin(&export->progress, "messages exported", export->message ? 1 : last);
	for (uint32_t number = first; number <= last && code == ERROR_NONE; number++) {
		code = export_one(export, number, error);
		if (number == UINT32_MAX)
			break;
	}
	progress_end(&export->progress);
	return code;
}

/* ---- the output ---- */

/* Done by the user who typed the command: the folder is his, not the mail's. */
struct ending {
	const struct output *output;
	bool finish; /* else it is taken back */
};

static enum error_code end_output(struct home *home, void *data, struct error *error)
{
	const struct ending *ending = data;

	(void)home;
	if (ending->finish && output_finish(ending->output, error) == ERROR_NONE)
		return ERROR_NONE;
	output_abandon(ending->output);
	return ending->finish ? error->code : ERROR_NONE;
}

static enum error_code open_output(struct export *export, struct error *error)
{
	const struct instance_user *user = &export->mailbox.home.instance.mail_user;
	bool privileged = export->mailbox.home.privileged;
	struct ending ending = {.output = &export->output};
	enum error_code code = ERROR_NONE;

	if (export->shape == TO_STANDARD)
		return ERROR_NONE;
	if (export->shape == TO_MBOX)
		code = output_open_file(export->path, &export->output, error);
	else
		code = output_open_maildir(export->path, privileged ? user->uid : geteuid(),
					   privileged ? user->gid : getegid(), &export->output,
					   error);
	if (code != ERROR_NONE)
		return code;
	code = home_attend(&export->mailbox.home, HOME_CALLER, end_output, &ending, sizeof(ending),
			   &export->attendant, error);
	if (code != ERROR_NONE)
		output_abandon(&export->output);
	return code;
}

static enum error_code close_output(struct export *export, enum error_code code,
				    struct error *error)
{
	struct error ignored;
	struct ending *ending;
	enum error_code ended;

	if (export->shape == TO_STANDARD)
		return code;
	ending = home_attendant_data(export->attendant);
	ending->finish = code == ERROR_NONE;
	ended = home_attendant_run(export->attendant, code == ERROR_NONE ? error : &ignored);
	home_attend_end(export->attendant);
	output_close(&export->output);
	return code == ERROR_NONE ? ended : code;
}

/* ---- the command ---- */

static enum error_code peek_and_export(struct export *export, struct error *error)
{
	struct home_patience patience = {0};
	enum store_result result;
	enum error_code code = mailbox_enter(&export->mailbox, error);

	if (code != ERROR_NONE)
		return code;
	do
		result = maildrop_open(&export->mailbox.root, &export->mailbox.found.place,
				       STORE_PEEK, &export->maildrop, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	if (result != STORE_OK)
		return home_store_failed(result, error);
	code = export_chosen(export, error);
	maildrop_close(export->maildrop);
	return code;
}

static enum error_code run(const struct context *context, struct export *export,
			   struct error *error)
{
	enum error_code code = mailbox_find(context, export->account, &export->mailbox, error);

	if (code != ERROR_NONE)
		return code;
	code = open_output(export, error);
	if (code == ERROR_NONE)
		code = close_output(export, peek_and_export(export, error), error);
	mailbox_close(&export->mailbox);
	return code;
}

static const char *usage_fault(struct export *export)
{
	struct bytes to = bytes_of(export->to ? export->to : "-");

	if (export->quoting && strcmp(export->quoting, "mboxrd") != 0 &&
	    strcmp(export->quoting, "mboxo") != 0)
		return "--quoting is mboxrd or mboxo, nothing else";
	export->rd = !export->quoting || strcmp(export->quoting, "mboxrd") == 0;
	if (bytes_equal(to, BYTES("-"))) {
		export->shape = TO_STANDARD;
		return export->json ? "--json is for exports to a file or folder" : NULL;
	}
	if (bytes_start_with(to, BYTES("mbox:")) && to.length > 5) {
		export->shape = TO_MBOX;
		export->path = export->to + 5;
		return NULL;
	}
	if (!bytes_start_with(to, BYTES("maildir:")) || to.length == 8)
		return "--to is mbox:FILE, maildir:FOLDER or -";
	export->shape = TO_MAILDIR;
	export->path = export->to + 8;
	return export->quoting ? "--quoting is for an mbox: a Maildir has none" : NULL;
}

static int report(const struct context *context, const struct export *export)
{
	if (export->shape == TO_STANDARD)
		return EX_OK;
	if (export->json)
		return json_finish(context,
				   json_pack("{s:s, s:s, s:I, s:I}", "account",
					     export->mailbox.found.account.name, "to", export->to,
					     "messages", (json_int_t) export->messages, "octets",
					     (json_int_t) export->octets));
	printf("exported %llu message%s, %llu octets, of %s to %s\n",
	       (unsigned long long)export->messages, export->messages == 1 ? "" : "s",
	       (unsigned long long)export->octets, export->mailbox.found.account.name,
	       export->path);
	return EX_OK;
}

int mailbox_export(struct context *context, int argc, char **argv)
{
	static struct export it;
	const struct option_row rows[] = {
		{"to", "WHERE", "mbox:FILE, maildir:FOLDER (new ones), or - (the default)", NULL,
		 &it.to, NULL},
		{"quoting", "KIND", "of an mbox: mboxrd (the default) or mboxo", NULL, &it.quoting,
		 NULL},
		{"message", "NUMBER|UID", "only this message", NULL, &it.message, NULL},
		{"json", NULL, "what was done as a JSON object", &it.json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about = "Writes all messages of a maildrop, octet by octet as they are stored, as "
			 "an mbox or a Maildir.\nWhat it makes is there whole or not at all, and "
			 "nothing that is there is replaced. Takes no lock:\nwhoever is logged in "
			 "is "
			 "not disturbed. With mboxrd quoting an import gives the same messages.",
		.examples = "  postern mailbox export alice | gzip > alice.mbox.gz\n"
			    "  postern mailbox export alice --to mbox:alice.mbox --json\n"
			    "  postern mailbox export alice@example.org --to maildir:Maildir\n"
			    "  postern mailbox export alice --message 3",
		.rows = rows,
		.row_count = sizeof(rows) / sizeof(rows[0]),
	};
	struct error error = {.code = ERROR_NONE};
	const char *fault;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	it.account = operands[0];
	fault = usage_fault(&it);
	if (fault)
		return command_fail_usage(context, "%s", fault);
	if (run(context, &it, &error) != ERROR_NONE)
		return command_fail(context, &error);
	return report(context, &it);
}
