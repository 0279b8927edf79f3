/*
 * cmd_account_place: what `--store`, `--path` and `--quota` mean.
 *
 * Guarantees: a path was checked, octet by octet, and lies below a mail root. Must not know: rows.
 */
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "cli/cmd_account.h"
#include "server/broker.h"

#define USUAL_MAX 9 /* of one kind; who converts that often gives a path */

enum error_code account_store_parse(const char *word, enum store_kind *kind_out,
				    struct error *error)
{
	char room[40];

	if (store_kind_parse(bytes_of(word), kind_out) && *kind_out != STORE_MEMORY)
		return ERROR_NONE;
	return error_set(error, ERROR_USAGE,
			 "there is no store %s for accounts: mbox, maildir or spool",
			 error_escape(bytes_of(word), room, sizeof(room)));
}

/* ---- quotas ---- */

static unsigned shift_of(char unit)
{
	static const char units[] = "kMGT";
	const char *found = unit ? strchr(units, unit == 'K' ? 'k' : unit) : NULL;

	return found ? 10 * (unsigned)(found - units + 1) : 0;
}

enum error_code account_quota_parse(const char *word, uint64_t *octets_out, struct error *error)
{
	struct bytes text = bytes_of(word);
	unsigned shift = text.length > 0 ? shift_of(word[text.length - 1]) : 0;
	char room[40];

	if (shift > 0)
		text.length--;
	if (!number_parse(text, (uint64_t)INT64_MAX >> shift, octets_out))
		return error_set(error, ERROR_USAGE,
				 "%s is no quota: a number of octets, also with k, M, G or T; 0 is "
				 "none",
				 error_escape(bytes_of(word), room, sizeof(room)));
	*octets_out <<= shift;
	return ERROR_NONE;
}

enum error_code account_quota_messages_parse(const char *word, uint32_t *messages_out,
					     struct error *error)
{
	uint64_t number;
	char room[40];

	if (!number_parse(bytes_of(word), UINT32_MAX, &number))
		return error_set(error, ERROR_USAGE, "%s is no number of messages; 0 is no quota",
				 error_escape(bytes_of(word), room, sizeof(room)));
	*messages_out = (uint32_t)number;
	return ERROR_NONE;
}

/* ---- paths ---- */

/* Perhaps it is one that postern.conf was to name. */
static enum error_code below_no_root(const struct home *home, const char *given,
				     struct error *error)
{
	char room[120];
	const char *path = error_escape(bytes_of(given), room, sizeof(room));

	if (home->misconfigured.code != ERROR_NONE)
		return error_set(error, ERROR_CONFIG, "%s lies below no mail root; %.120s", path,
				 home->misconfigured.text);
	return error_set(error, ERROR_USAGE,
			 "%s lies below no mail root: ROOT/mail, or one that postern.conf "
			 "names with mail-root",
			 path);
}

enum error_code account_path_parse(const struct home *home, const char *given,
				   struct account *account, struct error *error)
{
	const char *below = given;
	enum error_code code;

	account->mail_root = 0;
	if (given[0] == '/' &&
	    !mail_roots_find(home->roots, home->path, given, &account->mail_root, &below))
		return below_no_root(home, given, error);
	code = account_path_check(bytes_of(below), error);
	if (code != ERROR_NONE) {
		error->code = ERROR_USAGE;
		return error->code;
	}
	(void)bytes_to_string(bytes_of(below), account->path, sizeof(account->path));
	return home_check_root(home, account->mail_root, error);
}

/* The mailbox of a system user, where Postern runs as root and there is a folder of them. Nobody
 * else has one there: it would be refused at the first message. */
static bool system_spool(const struct home *home, struct account *account)
{
	size_t local = strcspn(account->name, "@");
	struct bytes name = {account->name, local};
	uid_t owner;

	for (uint32_t i = 1; i < home->roots->count; i++) {
		if (strcmp(home->roots->path[i], MAIL_ROOTS_SYSTEM) != 0 ||
		    memchr(name.data, '/', local) || account_path_check(name, NULL) != ERROR_NONE)
			continue;
		if (!bytes_to_string(name, account->path, sizeof(account->path)) ||
		    !broker_system_owner(account->path, &owner))
			return false;
		account->mail_root = i;
		return true;
	}
	return false;
}

/* DOMAIN/USER, then with the kind behind it, which no name of an account ever makes: '~' is escaped
 * there. */
bool account_path_usual(const struct home *home, struct account *account, enum store_kind kind,
			unsigned attempt)
{
	size_t length;
	int added = 0;

	if (kind == STORE_SPOOL && attempt == 0 && system_spool(home, account))
		return true;
	if (attempt > USUAL_MAX || !account_path(account->name, account->path))
		return false;
	length = strlen(account->path);
	if (attempt == 1)
		added = snprintf(account->path + length, sizeof(account->path) - length, "~%s",
				 store_kind_name(kind));
	else if (attempt > 1)
		added = snprintf(account->path + length, sizeof(account->path) - length, "~%s.%u",
				 store_kind_name(kind), attempt);
	return added >= 0 && (size_t)added < sizeof(account->path) - length;
}
