/*
 * place: struct account to struct place.
 *
 * Guarantees: a place that is given out passes message_check(). Must not know: any path but the one
 * kept with the account.
 */
#include "server/place.h"

#include <string.h>

enum error_code place_of_account(const struct account *account, struct place *place_out,
				 struct error *error)
{
	memset(place_out, 0, sizeof(*place_out));
	if (!store_kind_parse(bytes_of(account->store), &place_out->kind))
		return error_set(error, ERROR_CONFIG, "account %s is in a store of unknown kind",
				 account->name);
	if (account->mail_root >= MAIL_ROOTS_MAX)
		return error_set(error, ERROR_CONFIG,
				 "account %s is in mail root %u: there is none", account->name,
				 (unsigned)account->mail_root);
	place_out->account = account->id;
	place_out->generation = account->generation;
	place_out->mail_root = account->mail_root;
	place_out->messages_max = account->quota_messages;
	place_out->octets_max = account->quota_octets;
	if (!bytes_to_string(bytes_of(account->path), place_out->path, sizeof(place_out->path)))
		return error_set(error, ERROR_CONFIG, "account %s has too long a path",
				 account->name);
	return ERROR_NONE;
}
