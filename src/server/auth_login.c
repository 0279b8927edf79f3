/*
 * auth_login: who may log in, and whose address an address is.
 *
 * The row of the account is read at every login; only the hash is spared where the same password
 * was right for the same verifier before. A hash runs as a job; a login that cannot succeed costs
 * the same hash, so that the clock does not tell which accounts there are. APOP costs one only when
 * it is wrong: its secret is kept as it is (apart, and only with the account's consent).
 *
 * An address that guesses waits for its answers (server/penalty.h).
 *
 * Guarantees: each question is answered once; a password is wiped when it was looked at; a failed
 * login is logged at once, with its reason, which the peer is not told.
 * Must not know: protocols, maildrops.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "server/apop.h"
#include "server/auth_private.h"
#include "server/place.h"

struct login {
	struct job job;
	struct auth *auth;
	uint64_t peer; /* its id: the worker may be gone when the hash is done */
	struct message_login asked;
	struct account account;
	bool found, has_verifier;
	enum error_code outcome;
	struct loop_timer *late;  /* the answer is held back */
	struct peer_key key;      /* of the peer's address, */
	bool counted;             /* whose failures are counted */
	bool foreign;             /* it asks for the maildrop of another account */
	const char *reason;       /* APOP: why it will be denied */
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
		  "session=%x.%llx user=%s peer=%s mechanism=%s tls=%s reason=\"%s\"", peer->worker,
		  (unsigned long long)asked->session, log_field(asked_name(asked), user),
		  asked->peer, mechanism_name(asked->mechanism), asked->tls ? "yes" : "no", reason);
}

static void free_login(struct login *login)
{
	secret_wipe(login, sizeof(*login));
	free(login);
}

/* ---- penalties ---- */

/* False for a peer on this machine and in a trusted network. */
static bool peer_of(const struct login *login, struct peer_key *key_out)
{
	const struct auth *auth = login->auth;
	struct address address;

	if (address_parse(bytes_of(login->asked.peer), &address, NULL) != ERROR_NONE)
		return false;
	for (uint32_t i = 0; i < auth->trusted_count; i++)
		if (network_has(&auth->trusted[i], &address))
			return false;
	return peers_address(&address, key_out);
}

static void tell(void *context)
{
	struct login *login = context;
	struct auth_peer *peer = auth_peer(login->auth, login->peer);

	if (login->late) {
		login->auth->penalized--;
		penalty_release(login->auth->penalties, &login->key);
	}
	loop_timer_stop(&login->late);
	if (peer)
		answer(peer, &login->asked, login->outcome, &login->account);
	free_login(login);
}

/* What the address has done before decides how long this login waits, right or wrong. */
static uint32_t judge(struct login *login)
{
	struct penalties *penalties = login->auth->penalties;
	uint64_t now_ms = clock_monotonic_ms();
	uint32_t delay_ms;

	if (!login->counted)
		return 0;
	delay_ms = penalty_delay_ms(penalties, &login->key, now_ms);
	if (login->outcome == ERROR_NONE)
		penalty_succeeded(penalties, &login->key, asked_name(&login->asked), now_ms);
	else if (login->outcome == ERROR_DENIED)
		penalty_failed(penalties, &login->key, asked_name(&login->asked),
			       asked_password(&login->asked), now_ms);
	return delay_ms;
}

/* Before anything is looked up or hashed for it. */
static bool has_room(struct login *login)
{
	login->counted = peer_of(login, &login->key);
	return !login->counted ||
	       penalty_has_room(login->auth->penalties, &login->key, clock_monotonic_ms());
}

/* The end of every login; `reason` counts when it failed. */
static void conclude(struct login *login, enum error_code outcome, const char *reason)
{
	struct auth *auth = login->auth;
	struct auth_peer *peer = auth_peer(auth, login->peer);
	uint32_t delay_ms;

	login->outcome = outcome;
	delay_ms = judge(login);
	secret_wipe(login->asked.password, sizeof(login->asked.password));
	if (peer && outcome != ERROR_NONE)
		log_failed(peer, &login->asked, reason);
	if (delay_ms > 0 && auth->penalized >= PENALIZED_MAX)
		login->outcome = ERROR_TEMPORARY;
	else if (delay_ms > 0 && loop_timer(auth->loop, &login->late, delay_ms, tell, login)) {
		auth->penalized++;
		penalty_hold(auth->penalties, &login->key, clock_monotonic_ms());
		return;
	}
	tell(login);
}

static void conclude_unknown(struct login *login, const struct error *error)
{
	log_event(LOG_LEVEL_ERROR, "directory", "error=\"%s\"", error->text);
	conclude(login, ERROR_TEMPORARY, "the account database does not answer");
}

/* Why there is nothing to compare with; NULL: there may be. */
static const char *why_refused(const struct login *login)
{
	if (!login->found)
		return "no such account";
	if (login->account.disabled)
		return "disabled";
	return login->foreign ? "asks for another account" : NULL;
}

/* ---- passwords ---- */

static void hash_work(void *context)
{
	struct login *login = context;

	login->verified = secret_verify(login->has_verifier ? login->verifier : NULL,
					asked_password(&login->asked));
}

static const char *why_denied(const struct login *login)
{
	const char *reason = why_refused(login);

	if (login->verified != ERROR_DENIED)
		return "no memory to hash";
	if (reason)
		return reason;
	return login->has_verifier ? "wrong password" : "no password set";
}

static void hash_done(void *context)
{
	struct login *login = context;

	if (login->verified == ERROR_NONE)
		secret_cache_add(login->auth->cache, login->account.id, login->verifier,
				 asked_password(&login->asked));
	conclude(login, login->verified, why_denied(login));
}

/* An account that is refused anyway is left without a verifier: no password is right then. */
static void check_password(struct login *login)
{
	struct auth *auth = login->auth;
	enum error_code code = ERROR_NO_USER;
	struct error error;

	if (!why_refused(login))
		code = directory_verifier(auth->directory, login->account.id, login->verifier,
					  &error);
	login->has_verifier = code == ERROR_NONE;
	if (code != ERROR_NONE && code != ERROR_NO_USER)
		conclude_unknown(login, &error);
	else if (login->has_verifier &&
		 secret_cache_has(auth->cache, login->account.id, login->verifier,
				  asked_password(&login->asked)))
		conclude(login, ERROR_NONE, NULL);
	else if (!jobs_submit(auth->jobs, &login->job, JOB_HASH, hash_work, hash_done, login))
		conclude(login, ERROR_TEMPORARY, "too many logins wait");
}

/* ---- APOP ---- */

static void denied_late(void *context)
{
	struct login *login = context;

	conclude(login, ERROR_DENIED, login->reason);
}

/* A wrong digest costs the hash that a wrong password costs: beside it, nobody sees by the clock
 * whether a secret was there to compare with. It slows guessing, too. */
static void deny_late(struct login *login, const char *reason)
{
	login->reason = reason;
	login->has_verifier = false;
	if (!jobs_submit(login->auth->jobs, &login->job, JOB_HASH, hash_work, denied_late, login))
		conclude(login, ERROR_TEMPORARY, "too many logins wait");
}

static void check_apop(struct login *login)
{
	struct auth *auth = login->auth;
	const struct message_login *asked = &login->asked;
	struct bytes challenge = {asked->challenge.octets, asked->challenge.length};
	const char *reason = auth->apop ? why_refused(login) : "APOP is switched off";
	char secret[PASSWORD_MAX + 1] = "";
	struct error error;
	enum error_code code =
		directory_apop_secret(auth->directory, login->account.id, secret, &error);
	bool right = apop_verify(challenge, bytes_of(secret), asked_password(asked));

	secret_wipe(secret, sizeof(secret));
	if (!reason && code == ERROR_NO_USER)
		reason = "no consent to APOP";
	if (!reason && !right)
		reason = "wrong digest";
	if (code != ERROR_NONE && code != ERROR_NO_USER)
		conclude_unknown(login, &error);
	else if (reason)
		deny_late(login, reason);
	else
		conclude(login, ERROR_NONE, NULL);
}

/* ---- questions ---- */

/* Fills in the account as far as there is one; false when the database does not say. RFC 4616 lets
 * one user ask for the maildrop of another: nobody may, but both names may mean the same account.
 */
static bool look_up(struct login *login, struct error *error)
{
	struct directory *directory = login->auth->directory;
	struct bytes authorize = {login->asked.authorize.octets, login->asked.authorize.length};
	struct account other = {.id = 0};
	enum error_code code =
		directory_find(directory, asked_name(&login->asked), &login->account, error);

	login->found = code == ERROR_NONE;
	if (!login->found)
		login->account.id = 0;
	if (code != ERROR_NONE && code != ERROR_NO_USER)
		return false;
	if (authorize.length == 0)
		return true;
	code = directory_find(directory, authorize, &other, error);
	login->foreign = code != ERROR_NONE || other.id != login->account.id;
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
	struct login *login = new_login(peer, message);
	struct error error;

	if (!login) {
		log_failed(peer, message, "out of memory");
		answer(peer, message, ERROR_TEMPORARY, NULL);
	} else if (!has_room(login)) {
		login->outcome = ERROR_TEMPORARY;
		log_failed(peer, message, "too many logins of this address wait");
		tell(login);
	} else if (!look_up(login, &error)) {
		conclude_unknown(login, &error);
	} else if (message->mechanism == MECHANISM_APOP) {
		check_apop(login);
	} else {
		check_password(login);
	}
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
