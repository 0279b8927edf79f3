/*
 * cmd_mailbox: `postern mailbox`: its table, and list and show, which change nothing and disturb
 * nobody: they take no session lock. The other parts are in cmd_mailbox_*.c.
 */
#include "cli/cmd_mailbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/number.h"
#include "cli/json.h"
#include "cli/option.h"

#define ENTRIES 512 /* of the table, at a time */

enum error_code mailbox_find(const struct context *context, const char *account,
			     struct mailbox *mailbox_out, struct error *error)
{
	enum error_code code = home_open(context, false, &mailbox_out->home, error);

	mailbox_out->root = (struct store_root){.disk = NULL};
	if (code != ERROR_NONE)
		return code;
	code = home_find(&mailbox_out->home, account, &mailbox_out->found, error);
	if (code != ERROR_NONE)
		home_close(&mailbox_out->home);
	return code;
}

enum error_code mailbox_enter(struct mailbox *mailbox, struct error *error)
{
	enum error_code code = home_become(&mailbox->home, HOME_MAIL, error);

	return code == ERROR_NONE ? home_store(&mailbox->home, &mailbox->root, error) : code;
}

enum error_code mailbox_open(const struct context *context, const char *account,
			     struct mailbox *mailbox_out, struct error *error)
{
	enum error_code code = mailbox_find(context, account, mailbox_out, error);

	if (code != ERROR_NONE)
		return code;
	code = mailbox_enter(mailbox_out, error);
	if (code != ERROR_NONE)
		home_close(&mailbox_out->home);
	return code;
}

void mailbox_close(struct mailbox *mailbox)
{
	home_store_close(&mailbox->root);
	home_close(&mailbox->home);
}

/* Opens account and maildrop to look at. */
static enum error_code peek(const struct context *context, const char *account,
			    struct mailbox *mailbox_out, struct maildrop **maildrop_out,
			    struct error *error)
{
	struct home_patience patience = {0};
	enum error_code code = mailbox_open(context, account, mailbox_out, error);
	enum store_result result;

	if (code != ERROR_NONE)
		return code;
	do
		result = maildrop_open(&mailbox_out->root, &mailbox_out->found.place, STORE_PEEK,
				       maildrop_out, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	if (result == STORE_OK)
		return ERROR_NONE;
	mailbox_close(mailbox_out);
	return home_store_failed(result, error);
}

/* ---- list ---- */

static void print_entry(uint32_t number, const struct maildrop_entry *entry)
{
	printf("%u %llu %s%s\n", number, (unsigned long long)entry->octets, entry->uid,
	       entry->damaged ? " damaged" : "");
}

static void append_entry(json_t *list, uint32_t number, const struct maildrop_entry *entry)
{
	json_array_append_new(list, json_pack("{s:I, s:I, s:s, s:b}", "number", (json_int_t)number,
					      "octets", (json_int_t)entry->octets, "uid",
					      entry->uid, "damaged", entry->damaged));
}

/* To `list`, or as text where that is NULL. */
static enum error_code list_entries(struct maildrop *maildrop, json_t *list, struct error *error)
{
	static struct maildrop_entry entries[ENTRIES];
	uint32_t messages = maildrop_summary(maildrop).messages;

	for (uint32_t first = 1; first <= messages; first += ENTRIES) {
		uint32_t left = messages - first + 1, count = left < ENTRIES ? left : ENTRIES;
		enum store_result result =
			maildrop_table(maildrop, first, count, false, entries, error);

		if (result != STORE_OK)
			return home_store_failed(result, error);
		for (uint32_t i = 0; i < count; i++) {
			if (list)
				append_entry(list, first + i, &entries[i]);
			else
				print_entry(first + i, &entries[i]);
		}
		if (left <= ENTRIES)
			break;
	}
	return ERROR_NONE;
}

static int mailbox_list(struct context *context, int argc, char **argv)
{
	bool json = false;
	const struct option_row rows[] = {
		{"json", NULL, "as a JSON array", &json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about =
			"Lists the messages of a maildrop as POP3 shows them: message number, "
			"octets, unique-id.\nTakes no lock: whoever is logged in is not disturbed.",
		.examples = "  postern mailbox list alice\n"
			    "  postern mailbox list alice@example.org --json",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	struct maildrop *maildrop;
	struct mailbox mailbox;
	enum error_code code;
	json_t *list = NULL;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	code = peek(context, operands[0], &mailbox, &maildrop, &error);
	if (code != ERROR_NONE)
		return command_fail(context, &error);
	list = json ? json_array() : NULL;
	code = list_entries(maildrop, list, &error);
	maildrop_close(maildrop);
	mailbox_close(&mailbox);
	if (code == ERROR_NONE)
		return json ? json_finish(context, list) : EX_OK;
	json_decref(list);
	return command_fail(context, &error);
}

/* ---- show ---- */

/* Octets go out before the message's check is done at its end: a failure is told by the exit code
 * and the error, as with any program that writes to a pipe. */
static enum error_code print_message(struct maildrop *maildrop, uint32_t number,
				     struct error *error)
{
	static char room[STORE_READ_OCTETS];
	uint64_t offset = 0;
	size_t length;

	do {
		enum store_result result = maildrop_read(maildrop, number, offset, false, room,
							 sizeof(room), &length, error);

		if (result != STORE_OK)
			return home_store_failed(result, error);
		if (fwrite(room, 1, length, stdout) != length)
			return error_set(error, ERROR_IO, "standard output cannot be written");
		offset += length;
	} while (length > 0);
	return ERROR_NONE;
}

static enum error_code find_uid(struct maildrop *maildrop, const char *word, uint32_t *number_out,
				struct error *error)
{
	uint32_t messages = maildrop_summary(maildrop).messages;
	char room[80];

	for (uint32_t number = 1; number <= messages; number++) {
		struct maildrop_entry entry;
		enum store_result result =
			maildrop_table(maildrop, number, 1, false, &entry, error);

		if (result != STORE_OK)
			return home_store_failed(result, error);
		*number_out = number;
		if (strcmp(entry.uid, word) == 0)
			return ERROR_NONE;
	}
	return error_set(error, ERROR_DATA, "there is no message with the unique-id %s",
			 error_escape(bytes_of(word), room, sizeof(room)));
}

/* Digits are a message number, also where a unique-id is made of them. */
enum error_code mailbox_message(struct maildrop *maildrop, const char *word, uint32_t *number_out,
				struct error *error)
{
	uint32_t messages = maildrop_summary(maildrop).messages;
	uint64_t number;

	if (strspn(word, "0123456789") != strlen(word) || strlen(word) > 10)
		return find_uid(maildrop, word, number_out, error);
	if (!number_parse(bytes_of(word), UINT32_MAX, &number) || number == 0)
		return error_set(error, ERROR_USAGE, "%s is not a message number", word);
	if (number > messages)
		return error_set(error, ERROR_DATA, "there is no message %llu, only %u",
				 (unsigned long long)number, messages);
	*number_out = (uint32_t)number;
	return ERROR_NONE;
}

static enum error_code show(struct maildrop *maildrop, const char *word, struct error *error)
{
	uint32_t number;
	enum error_code code = mailbox_message(maildrop, word, &number, error);

	return code == ERROR_NONE ? print_message(maildrop, number, error) : code;
}

static int mailbox_show(struct context *context, int argc, char **argv)
{
	const struct option_page page = {
		.operands = "ACCOUNT NUMBER|UID",
		.operands_min = 2,
		.operands_max = 2,
		.about = "Writes one message to standard output as it is stored: lines end in LF, "
			 "quoting is undone.\nNumber and unique-id are those of \"mailbox list\".",
		.examples = "  postern mailbox show alice 1 | less\n"
			    "  postern mailbox show alice@example.org 3 > message.eml",
	};
	struct error error = {.code = ERROR_NONE};
	struct maildrop *maildrop;
	struct mailbox mailbox;
	enum error_code code;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	code = peek(context, operands[0], &mailbox, &maildrop, &error);
	if (code != ERROR_NONE)
		return command_fail(context, &error);
	code = show(maildrop, operands[1], &error);
	maildrop_close(maildrop);
	mailbox_close(&mailbox);
	return code == ERROR_NONE ? EX_OK : command_fail(context, &error);
}

/* ---- table ---- */

int cmd_mailbox(struct context *context, int argc, char **argv)
{
	static const struct command commands[] = {
		{"list", mailbox_list, "list the messages of a maildrop"},
		{"show", mailbox_show, "write one message to standard output"},
		{"import", mailbox_import, "bring messages in from a file, an mbox or a Maildir"},
		{"export", mailbox_export, "write messages to an mbox or a Maildir"},
		{"verify", mailbox_verify, "check a whole maildrop, mend nothing"},
		{"repair", mailbox_repair, "bring a maildrop into order, remove no message"},
	};
	static const struct command_table table = {
		.about = "Works on one maildrop as its owner, whether or not the server runs.",
		.rows = commands,
		.count = sizeof(commands) / sizeof(commands[0]),
	};

	return command_dispatch(context, &table, argc, argv);
}
