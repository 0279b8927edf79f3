/*
 * cmd_mailbox_verify: `postern mailbox verify` and `repair`: what is not as it should be, and what
 * was done about it.
 */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include "cli/cmd_mailbox.h"
#include "cli/json.h"
#include "cli/option.h"
#include "store/convert_record.h"

static json_t *findings_json(const struct findings *findings)
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		const struct finding *finding = &findings->list[i];

		json_array_append_new(list, json_pack("{s:s, s:I, s:s}", "file", finding->file,
						      "offset", (json_int_t)finding->offset, "text",
						      finding->text));
	}
	return json_pack("{s:I, s:I, s:b, s:o}", "messages", (json_int_t)findings->messages,
			 "octets", (json_int_t)findings->octets_checked, "more", findings->more,
			 "findings", list);
}

static void print_findings(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		printf("%s at %llu: %s\n", findings->list[i].file,
		       (unsigned long long)findings->list[i].offset, findings->list[i].text);
	if (findings->more)
		printf("and more: only the first %d are shown\n", FINDINGS_MAX);
	printf("%llu messages, %llu octets checked, %zu finding%s\n",
	       (unsigned long long)findings->messages, (unsigned long long)findings->octets_checked,
	       findings->count, findings->count == 1 ? "" : "s");
}

/* No matter of the store's: this maildrop is whole, and another may be left behind. */
static void name_conversion(const struct mailbox *mailbox, struct findings *findings)
{
	struct place from, to = {.path = ""};
	struct uid_set moving;
	int found = convert_record_read(&mailbox->root, mailbox->found.place.account, &from, &to,
					&moving);

	uid_set_free(&moving);
	if (found != -ENOENT)
		findings_add(findings, "journal", 0,
			     "a move to %.100s was interrupted: \"postern account set\" with "
			     "--store or --path ends it",
			     to.path);
}

static enum error_code verify(const struct context *context, const char *account,
			      struct findings *findings, struct error *error)
{
	struct home_patience patience = {0};
	struct mailbox mailbox;
	enum store_result result;
	enum error_code code = mailbox_open(context, account, &mailbox, error);

	if (code != ERROR_NONE)
		return code;
	do
		result = store_verify(&mailbox.root, &mailbox.found.place, findings, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	if (result == STORE_OK)
		name_conversion(&mailbox, findings);
	mailbox_close(&mailbox);
	return result == STORE_OK ? ERROR_NONE : home_store_failed(result, error);
}

int mailbox_verify(struct context *context, int argc, char **argv)
{
	bool json = false;
	const struct option_row rows[] = {
		{"json", NULL, "as a JSON object", &json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about =
			"Reads a whole maildrop and its index, and names everything that is not as "
			"it should be.\nMends nothing. Exits with 0 when all is well, with 65 when "
			"there are findings.",
		.examples = "  postern mailbox verify alice\n"
			    "  postern account list --json | jq -r '.[].name' | xargs -n 1 postern "
			    "mailbox verify",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	struct findings findings = {.list = NULL};
	bool clean;
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	if (verify(context, operands[0], &findings, &error) != ERROR_NONE) {
		findings_free(&findings);
		return command_fail(context, &error);
	}
	clean = findings.count == 0;
	status = EX_OK;
	if (json)
		status = json_finish(context, findings_json(&findings));
	else
		print_findings(&findings);
	findings_free(&findings);
	return status == EX_OK && !clean ? EX_DATAERR : status;
}

/* ---- repair ---- */

static void print_done(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		printf("%s at %llu: %s\n", findings->list[i].file,
		       (unsigned long long)findings->list[i].offset, findings->list[i].text);
	if (findings->more)
		printf("and more: only the first %d are shown\n", FINDINGS_MAX);
	printf(findings->count > 0 ? "the maildrop is in order now\n"
				   : "the maildrop was in order\n");
}

static enum error_code repair(const struct context *context, const char *account,
			      struct findings *findings, struct error *error)
{
	struct home_patience patience = {0};
	struct mailbox mailbox;
	enum store_result result;
	enum error_code code = mailbox_open(context, account, &mailbox, error);

	if (code != ERROR_NONE)
		return code;
	do
		result = store_repair(&mailbox.root, &mailbox.found.place, findings, error);
	while (result == STORE_AGAIN && home_wait(&patience));
	mailbox_close(&mailbox);
	return result == STORE_OK ? ERROR_NONE : home_store_failed(result, error);
}

int mailbox_repair(struct context *context, int argc, char **argv)
{
	bool json = false;
	const struct option_row rows[] = {
		{"json", NULL, "as a JSON object", &json, NULL, NULL},
	};
	const struct option_page page = {
		.operands = "ACCOUNT",
		.operands_min = 1,
		.operands_max = 1,
		.about = "Brings a maildrop into an order in which \"mailbox verify\" finds "
			 "nothing, "
			 "and says what it did.\nNo message is removed: a damaged one keeps the "
			 "octets "
			 "it has, and gets another unique-id. Whatever\nleaves the maildrop is "
			 "copied "
			 "to ROOT/journal/kept.* first. Nobody may be logged in (exit code 75).",
		.examples = "  postern mailbox repair alice",
		.rows = rows,
		.row_count = 1,
	};
	struct error error = {.code = ERROR_NONE};
	struct findings findings = {.list = NULL};
	char **operands;
	int count, status;

	if (!option_parse(context, &page, argc, argv, &operands, &count, &status))
		return status;
	if (repair(context, operands[0], &findings, &error) != ERROR_NONE) {
		findings_free(&findings);
		return command_fail(context, &error);
	}
	status = EX_OK;
	if (json)
		status = json_finish(context, findings_json(&findings));
	else
		print_done(&findings);
	findings_free(&findings);
	return status;
}
