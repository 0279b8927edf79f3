/*
 * auth_login: who may log in, and whose address an address is.
 *
 * The row of the account is read at every login; only the hash is spared where the same password
 * was right for the same verifier before. A hash runs as a job; a login that cannot succeed costs
 * the same hash, so that the clock does not tell which accounts there are.
 *
 * Guarantees: each question is answered once; a password is wiped when it was looked at; a failed
 * login is logged at once, with its reason, which the peer is not told.
 * Must not know: protocols, maildrops.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "server/auth_private.h"
#include "server/place.h"

struct login {
	struct job job;
	struct auth *auth;
	uint64_t peer; /* its id: the worker may be gone when the hash is done */
	struct message_login asked;
	struct account account;
	bool found, has_verifier;
	enum error_code verified; /* what secret_verify() said */
	char verifier[VERIFIER_MAX + 1];
};

static struct bytes asked_name(const struct message_login *asked)
{
	return (struct bytes){asked->name.octets, asked->name.length};
}

static struct bytes asked_password(const struct message_login *asked)
{
	return (struct bytes){asked->password, asked->password_length};
}

/* ---- answers ---- */

static void answer(struct auth_peer *peer, const struct message_login *asked,
		   enum error_code outcome, const struct account *account)
{
	struct message_logged_in message;
	struct error error;

	message_init(&message, MESSAGE_LOGGED_IN, asked->header.request);
	message.outcome = outcome;
	if (outcome == ERROR_NONE) {
		(void)bytes_to_string(bytes_of(account->name), message.account,
				      sizeof(message.account));
		if (place_of_account(account, &message.place, &error) != ERROR_NONE) {
			log_event(LOG_LEVEL_ERROR, "directory", "error=\"%s\"", error.text);
			message.outcome = ERROR_TEMPORARY;
		}
	}
	channel_send(peer->channel, &message, NULL, 0);
}

static void log_failed(const struct auth_peer *peer, const struct message_login *asked,
		       const char *reason)
{
	char user[LOG_FIELD_OCTETS];

	log_event(LOG_LEVEL_WARNING, "login-failed",
		  "session=%x.%llx user=%s peer=%s reason=\"%s\"", peer->worker,
		  (unsigned long long)asked->session, log_field(asked_name(asked), user),
		  asked->peer, reason);
}

static void free_login(struct login *login)
{
	secret_wipe(login, sizeof(*login));
	free(login);
}

/* ---- the hash ---- */

static void hash_work(void *context)
{
	struct login *login = context;

	login->verified = secret_verify(login->has_verifier ? login->verifier : NULL,
					asked_password(&login->asked));
}

static const char *why_denied(const struct login *login)
{
	if (!login->found)
		return "no such account";
	if (login->account.disabled)
		return "disabled";
	return login->has_verifier ? "wrong password" : "no password set";
}

static void hash_done(void *context)
{
	struct login *login = context;
	struct auth_peer *peer = auth_peer(login->auth, login->peer);
	enum error_code outcome = login->verified;

	if (outcome == ERROR_NONE)
		secret_cache_add(login->auth->cache, login->account.id, login->verifier,
				 asked_password(&login->asked));
	if (peer && outcome != ERROR_NONE)
		log_failed(peer, &login->asked,
			   outcome == ERROR_DENIED ? why_denied(login) : "no memory to hash");
	if (peer)
		answer(peer, &login->asked, outcome, &login->account);
	free_login(login);
}

/* ---- questions ---- */

/* Fills in account and verifier as far as there are any; false when the database does not say. A
 * disabled account is left without a verifier: no password is right then. */
static bool look_up(struct login *login, struct error *error)
{
	struct directory *directory = login->auth->directory;
	enum error_code code =
		directory_find(directory, asked_name(&login->asked), &login->account, error);

	if (code == ERROR_NO_USER)
		return true;
	if (code != ERROR_NONE)
		return false;
	login->found = true;
	if (login->account.disabled)
		return true;
	code = directory_verifier(directory, login->account.id, login->verifier, error);
	login->has_verifier = code == ERROR_NONE;
	return code == ERROR_NONE || code == ERROR_NO_USER;
}

static struct login *new_login(struct auth_peer *peer, const struct message_login *message)
{
	struct login *login = calloc(1, sizeof(*login));

	if (!login)
		return NULL;
	login->auth = peer->auth;
	login->peer = peer->id;
	login->asked = *message;
	return login;
}

void auth_login(struct auth_peer *peer, const struct message_login *message)
{
	struct auth *auth = peer->auth;
	struct login *login = new_login(peer, message);
	struct error error = {.code = ERROR_TEMPORARY, .text = "out of memory"};

	if (!login || !look_up(login, &error)) {
		log_event(LOG_LEVEL_ERROR, "directory", "error=\"%s\"", error.text);
		answer(peer, message, ERROR_TEMPORARY, NULL);
	} else if (login->has_verifier &&
		   secret_cache_has(auth->cache, login->account.id, login->verifier,
				    asked_password(&login->asked))) {
		answer(peer, message, ERROR_NONE, &login->account);
	} else if (jobs_submit(auth->jobs, &login->job, JOB_HASH, hash_work, hash_done, login)) {
		return; /* hash_done() frees it */
	} else {
		log_failed(peer, message, "too many logins wait");
		answer(peer, message, ERROR_TEMPORARY, NULL);
	}
	if (login)
		free_login(login);
}

/* ---- recipients ---- */

/* An address without a domain means the default one, which is ours. */
static enum error_code look_at_domain(struct directory *directory, struct bytes address,
				      struct error *error)
{
	const char *at = address.length > 0 ? memrchr(address.data, '@', address.length) : NULL;
	char domain[DOMAIN_MAX + 1];
	size_t length = 0;
	bool is_local = true;
	enum error_code code = ERROR_NONE;

	for (; at && at + 1 < address.data + address.length && length < sizeof(domain); at++)
		domain[length++] = (char)(at[1] >= 'A' && at[1] <= 'Z' ? at[1] + 32 : at[1]);
	if (at)
		code = directory_is_local(directory, (struct bytes){domain, length}, &is_local,
					  error);
	if (code != ERROR_NONE)
		return code;
	return is_local ? ERROR_NO_USER : ERROR_NOT_LOCAL;
}

/* RFC 5321 section 4.5.1: mail to postmaster is taken whatever became of the account behind it. */
static bool is_postmaster(struct bytes address)
{
	struct bytes name = BYTES("postmaster");

	return bytes_equal_nocase(bytes_first(address, name.length), name) &&
	       (address.length == name.length || address.data[name.length] == '@');
}

static enum error_code resolve(struct directory *directory, struct bytes address,
			       struct account *account_out, struct error *error)
{
	enum error_code code = directory_resolve(directory, address, account_out, error);

	if (code == ERROR_NONE && account_out->disabled && !is_postmaster(address))
		return ERROR_DENIED;
	return code == ERROR_NO_USER ? look_at_domain(directory, address, error) : code;
}

static bool is_answer(enum error_code code)
{
	return code == ERROR_NONE || code == ERROR_NO_USER || code == ERROR_NOT_LOCAL ||
	       code == ERROR_DENIED;
}

void auth_resolve(struct auth_peer *peer, const struct message_resolve *message)
{
	struct bytes address = {message->address.octets, message->address.length};
	struct message_resolved answered;
	struct account account;
	struct error error;
	enum error_code code = resolve(peer->auth->directory, address, &account, &error);

	message_init(&answered, MESSAGE_RESOLVED, message->header.request);
	if (code == ERROR_NONE)
		code = place_of_account(&account, &answered.place, &error);
	if (!is_answer(code)) {
		log_event(LOG_LEVEL_ERROR, "directory", "error=\"%s\"", error.text);
		code = ERROR_TEMPORARY;
	}
	if (code == ERROR_NONE)
		(void)bytes_to_string(bytes_of(account.name), answered.account,
				      sizeof(answered.account));
	answered.outcome = code;
	channel_send(peer->channel, &answered, NULL, 0);
}
