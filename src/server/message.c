/*
 * message: one table of what may travel between processes.
 *
 * Guarantees: whoever reads the fields of a message that passed message_check() reads within it,
 * finds every string ended and every enumeration known. Must not know who sends what to whom.
 */
#include "server/message.h"

#include <assert.h>
#include <string.h>

#include "base/log.h"

#define ENDED(array) (memchr((array), '\0', sizeof(array)) != NULL)

static bool is_flag(uint32_t value)
{
	return value <= 1;
}

static bool is_role(uint32_t value)
{
	return value == PROCESS_AUTH || value == PROCESS_WORKER;
}

static bool text_fits(const struct message_text *text)
{
	return text->length <= sizeof(text->octets);
}

/* A place counts only when there is one; its path must be ended always. */
static bool place_is_sound(const struct place *place, bool is_there)
{
	return ENDED(place->path) && (!is_there || (place->mail_root < MAIL_ROOTS_MAX &&
						    store_kind_name(place->kind) != NULL));
}

static bool check_nothing(const union message *message)
{
	(void)message;
	return true;
}

static bool networks_are_sound(const struct network *networks, uint32_t count)
{
	for (uint32_t i = 0; i < count && i < TRUSTED_NETWORKS_MAX; i++)
		if (networks[i].bits > NETWORK_BITS_MAX)
			return false;
	return count <= TRUSTED_NETWORKS_MAX;
}

static bool trust_is_sound(const struct message_configure *it)
{
	return networks_are_sound(it->trusted, it->trusted_count) &&
	       it->trusted_user_count <= TRUSTED_USERS_MAX;
}

static bool numbers_are_sound(const struct message_configure *it)
{
	if (it->mail_roots > MAIL_ROOTS_MAX)
		return false;
	for (uint32_t i = 0; i < it->mail_roots; i++)
		if (it->mail_root_numbers[i] >= MAIL_ROOTS_MAX ||
		    (i > 0 && it->mail_root_numbers[i] <= it->mail_root_numbers[i - 1]))
			return false;
	return true;
}

static bool check_configure(const union message *message)
{
	const struct message_configure *it = &message->configure;
	return is_role(it->role) && is_flag(it->apop) && numbers_are_sound(it) &&
	       is_flag(it->drop_user) && is_flag(it->allow_plaintext) &&
	       it->log_level <= LOG_LEVEL_DEBUG && it->message_octets_max <= MESSAGE_OCTETS_MAX &&
	       trust_is_sound(it) && it->log_target <= LOG_TO_JOURNAL &&
	       it->log_format <= LOG_AS_JSON && ENDED(it->host);
}

static bool check_listener(const union message *message)
{
	const struct message_listener *it = &message->listener;
	return it->kind >= LISTENER_POP3 && it->kind <= LISTENER_SOCKETMAP && is_flag(it->last);
}

static bool check_tls(const union message *message)
{
	const struct message_tls *it = &message->tls;
	return is_flag(it->key) && is_flag(it->last) && it->length <= sizeof(it->octets);
}

static bool check_drain(const union message *message)
{
	return is_flag(message->drain.at_once);
}

static bool check_broker(const union message *message)
{
	return message->broker.mail_roots < 1U << MAIL_ROOTS_MAX;
}

static bool check_borrow(const union message *message)
{
	const struct message_borrow *it = &message->borrow;
	return (it->action == BORROW_OPEN || it->action == BORROW_UNLINK) &&
	       it->mail_root < MAIL_ROOTS_MAX && ENDED(it->name);
}

static bool check_borrowed(const union message *message)
{
	const struct message_borrowed *it = &message->borrowed;
	return it->result <= 0 && is_flag(it->opened) && (it->opened == 0 || it->result == 0);
}

static bool check_about(const union message *message)
{
	const struct message_about *it = &message->about;
	if (!ENDED(it->version) || it->listener_count > LISTENERS_MAX)
		return false;
	for (uint32_t i = 0; i < it->listener_count; i++)
		if (it->listeners[i].kind < LISTENER_POP3 ||
		    it->listeners[i].kind > LISTENER_SOCKETMAP || !ENDED(it->listeners[i].address))
			return false;
	return true;
}

static bool check_rules(const union message *message)
{
	const struct message_rules *it = &message->rules;
	return is_flag(it->apop) && networks_are_sound(it->trusted, it->trusted_count);
}

static bool check_kick(const union message *message)
{
	return is_flag(message->kick.all) && text_fits(&message->kick.target);
}

static bool check_kicked(const union message *message)
{
	uint32_t outcome = message->kicked.outcome;
	return outcome == ERROR_NONE || outcome == ERROR_NO_USER || outcome == ERROR_TEMPORARY;
}

static bool check_login(const union message *message)
{
	const struct message_login *it = &message->login;
	return it->mechanism < MECHANISMS && is_flag(it->tls) && ENDED(it->peer) &&
	       text_fits(&it->name) && text_fits(&it->authorize) && text_fits(&it->challenge) &&
	       it->password_length <= sizeof(it->password);
}

static bool check_logged_in(const union message *message)
{
	const struct message_logged_in *it = &message->logged_in;
	bool outcome_known = it->outcome == ERROR_NONE || it->outcome == ERROR_DENIED ||
			     it->outcome == ERROR_TEMPORARY;
	return outcome_known && place_is_sound(&it->place, it->outcome == ERROR_NONE) &&
	       ENDED(it->account);
}

static bool check_resolve(const union message *message)
{
	return text_fits(&message->resolve.address);
}

static bool check_resolved(const union message *message)
{
	const struct message_resolved *it = &message->resolved;
	bool outcome_known = it->outcome == ERROR_NONE || it->outcome == ERROR_NO_USER ||
			     it->outcome == ERROR_NOT_LOCAL || it->outcome == ERROR_DENIED ||
			     it->outcome == ERROR_TEMPORARY;
	return outcome_known && place_is_sound(&it->place, it->outcome == ERROR_NONE) &&
	       ENDED(it->account);
}

static bool check_session(const union message *message)
{
	const struct message_session *it = &message->session;
	return (it->change == SESSION_OPENED || it->change == SESSION_CLOSED) && is_flag(it->tls) &&
	       ENDED(it->peer) && ENDED(it->name);
}

static bool check_contested(const union message *message)
{
	uint32_t outcome = message->contested.outcome;
	return outcome >= CONTEST_FREE && outcome <= CONTEST_UNKNOWN;
}

static bool check_probed(const union message *message)
{
	uint32_t outcome = message->probed.outcome;
	return outcome == CONTEST_FREE || outcome == CONTEST_ALIVE;
}

static bool check_status_process(const union message *message)
{
	uint32_t role = message->status_process.role;
	return is_role(role) || role == PROCESS_ENDED;
}

static bool check_status_session(const union message *message)
{
	const struct message_status_session *it = &message->status_session;
	return is_flag(it->tls) && ENDED(it->peer) && ENDED(it->name);
}

static const struct message_row {
	size_t size;
	bool (*check)(const union message *message);
} rows[MESSAGE_TYPES] = {
	[MESSAGE_CONFIGURE] = {sizeof(struct message_configure), check_configure},
	[MESSAGE_LISTENER] = {sizeof(struct message_listener), check_listener},
	[MESSAGE_TLS] = {sizeof(struct message_tls), check_tls},
	[MESSAGE_TICKETS] = {sizeof(struct message_tickets), check_nothing},
	[MESSAGE_PEER] = {sizeof(struct message_peer), check_nothing},
	[MESSAGE_DRAIN] = {sizeof(struct message_drain), check_drain},
	[MESSAGE_BROKER] = {sizeof(struct message_broker), check_broker},
	[MESSAGE_BORROW] = {sizeof(struct message_borrow), check_borrow},
	[MESSAGE_BORROWED] = {sizeof(struct message_borrowed), check_borrowed},
	[MESSAGE_READY] = {sizeof(struct message_ready), check_nothing},
	[MESSAGE_PING] = {sizeof(struct message_ping), check_nothing},
	[MESSAGE_PONG] = {sizeof(struct message_pong), check_nothing},
	[MESSAGE_MEET] = {sizeof(struct message_meet), check_nothing},
	[MESSAGE_ABOUT] = {sizeof(struct message_about), check_about},
	[MESSAGE_LOGIN] = {sizeof(struct message_login), check_login},
	[MESSAGE_RESOLVE] = {sizeof(struct message_resolve), check_resolve},
	[MESSAGE_SESSION] = {sizeof(struct message_session), check_session},
	[MESSAGE_CONTEST] = {sizeof(struct message_contest), check_nothing},
	[MESSAGE_PROBED] = {sizeof(struct message_probed), check_probed},
	[MESSAGE_COUNTERS] = {sizeof(struct message_counters), check_nothing},
	[MESSAGE_LOGGED_IN] = {sizeof(struct message_logged_in), check_logged_in},
	[MESSAGE_RESOLVED] = {sizeof(struct message_resolved), check_resolved},
	[MESSAGE_CONTESTED] = {sizeof(struct message_contested), check_contested},
	[MESSAGE_PROBE] = {sizeof(struct message_probe), check_nothing},
	[MESSAGE_COUNT] = {sizeof(struct message_count), check_nothing},
	[MESSAGE_STATUS] = {sizeof(struct message_status), check_nothing},
	[MESSAGE_STATUS_PROCESS] = {sizeof(struct message_status_process), check_status_process},
	[MESSAGE_STATUS_SESSION] = {sizeof(struct message_status_session), check_status_session},
	[MESSAGE_STATUS_END] = {sizeof(struct message_status_end), check_nothing},
	[MESSAGE_END] = {sizeof(struct message_end), check_nothing},
	[MESSAGE_KICK] = {sizeof(struct message_kick), check_kick},
	[MESSAGE_KICKED] = {sizeof(struct message_kicked), check_kicked},
	[MESSAGE_RULES] = {sizeof(struct message_rules), check_rules},
};

size_t message_size(enum message_type type)
{
	return (unsigned)type < MESSAGE_TYPES ? rows[type].size : 0;
}

const char *mechanism_name(uint32_t mechanism)
{
	static const char *const names[MECHANISMS] = {"USER", "PLAIN", "APOP"};
	assert(mechanism < MECHANISMS);
	return names[mechanism];
}

void message_init(void *message, enum message_type type, uint64_t request)
{
	size_t size = message_size(type);
	assert(size > 0);
	memset(message, 0, size);
	struct message_header *header = message;
	header->type = type;
	header->size = (uint32_t)size;
	header->request = request;
}

bool message_check(const union message *message, size_t size)
{
	if (size < sizeof(message->header))
		return false;
	size_t expected = message_size(message->header.type);
	return expected > 0 && size == expected && message->header.size == expected &&
	       rows[message->header.type].check(message);
}

size_t message_descriptors(const union message *message)
{
	enum { AUTH_FOLDERS = 2 }; /* see struct message_configure */
	switch (message->header.type) {
	case MESSAGE_CONFIGURE:
		return message->configure.role == PROCESS_AUTH
			       ? AUTH_FOLDERS
			       : WORKER_FOLDERS + message->configure.mail_roots;
	case MESSAGE_LISTENER:
	case MESSAGE_PEER:
	case MESSAGE_BROKER:
		return 1;
	case MESSAGE_BORROWED:
		return message->borrowed.opened;
	default:
		return 0;
	}
}
