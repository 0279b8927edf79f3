/*
 * message: the table of types, one row for each thing that message_check() must refuse.
 */
#include "server/message.h"

#include <sys/mman.h>

#include "base/test.h"

/* A packet at the very end of readable memory. */
static char *memory;
static size_t page;

static union message *at_the_end(size_t size)
{
	return (union message *)(memory + 8 * page - (size + 7) / 8 * 8);
}

static int map(void **state)
{
	(void)state;
	page = (size_t)sysconf(_SC_PAGESIZE);
	memory = mmap(NULL, 9 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory == MAP_FAILED || mprotect(memory + 8 * page, page, PROT_NONE) != 0;
}

static int unmap(void **state)
{
	(void)state;
	return munmap(memory, 9 * page);
}

/* The least that makes each type valid. */
static void make_valid(union message *it, enum message_type type)
{
	message_init(it, type, 7);
	switch (type) {
	case MESSAGE_CONFIGURE:
		it->configure.role = PROCESS_WORKER;
		for (uint32_t i = 0; i < MAIL_ROOTS_MAX; i++)
			it->configure.mail_root_numbers[i] = i;
		break;
	case MESSAGE_LISTENER:
		it->listener.kind = LISTENER_POP3;
		break;
	case MESSAGE_LOGGED_IN:
		it->logged_in.outcome = ERROR_NONE;
		it->logged_in.place.kind = STORE_MBOX;
		break;
	case MESSAGE_RESOLVED:
		it->resolved.outcome = ERROR_NONE;
		it->resolved.place.kind = STORE_MBOX;
		break;
	case MESSAGE_SESSION:
		it->session.change = SESSION_OPENED;
		break;
	case MESSAGE_CONTESTED:
		it->contested.outcome = CONTEST_UNKNOWN;
		break;
	case MESSAGE_PROBED:
		it->probed.outcome = CONTEST_ALIVE;
		break;
	case MESSAGE_BORROW:
		it->borrow.action = BORROW_OPEN;
		break;
	case MESSAGE_STATUS_PROCESS:
		it->status_process.role = PROCESS_AUTH;
		break;
	default:
		break;
	}
}

static void test_every_type_has_its_size(void **state)
{
	(void)state;
	char name[32];
	assert_int_equal(message_size(0), 0);
	assert_int_equal(message_size(MESSAGE_TYPES), 0);
	assert_int_equal(message_size((enum message_type)UINT32_MAX), 0);
	for (unsigned type = 1; type < MESSAGE_TYPES; type++) {
		size_t size = message_size(type);
		snprintf(name, sizeof(name), "type %u", type);
		test_row(name);
		test_check(size >= sizeof(struct message_header) && size <= sizeof(union message));
		union message *it = at_the_end(size);
		memset(it, 0xff, size);
		make_valid(it, type);
		test_check(it->header.type == type && it->header.size == size);
		test_check(it->header.request == 7);
		test_check(message_check(it, size));
		test_check(message_descriptors(it) <= MESSAGE_DESCRIPTORS_MAX);
		it->header.size++;
		test_check(!message_check(it, size));
	}
}

static void test_sizes_of_packets(void **state)
{
	(void)state;
	char name[32];
	for (unsigned type = 1; type < MESSAGE_TYPES; type++) {
		size_t size = message_size(type);
		static union message valid;
		make_valid(&valid, type);
		for (size_t other = 0; other <= size + 1 && other <= sizeof(valid); other++) {
			/* All of the small ones, and those around the header's and the right size.
			 */
			if (other > 64 && other + 2 < size)
				continue;
			snprintf(name, sizeof(name), "type %u, %zu octets", type, other);
			test_row(name);
			union message *it = at_the_end(other);
			memcpy(it, &valid, other);
			test_check(message_check(it, other) == (other == size));
		}
	}
}

#define FIELD(member) offsetof(union message, member), sizeof(((union message *)NULL)->member)
#define ANY           (-1)

/* One numeric field set to a value; `fill` covers the whole array of a string that must end. */
static const struct field_row {
	const char *name;
	enum message_type type;
	size_t offset, octets;
	int64_t value; /* ANY: fill with 'x' */
	bool accepted;
} field_rows[] = {
	{"no role", MESSAGE_CONFIGURE, FIELD(configure.role), 0, false},
	{"auth", MESSAGE_CONFIGURE, FIELD(configure.role), 1, true},
	{"third role", MESSAGE_CONFIGURE, FIELD(configure.role), 3, false},
	{"mail roots below", MESSAGE_CONFIGURE, FIELD(configure.mail_roots), MAIL_ROOTS_MAX - 1,
	 true},
	{"mail roots at", MESSAGE_CONFIGURE, FIELD(configure.mail_roots), MAIL_ROOTS_MAX, true},
	{"mail roots above", MESSAGE_CONFIGURE, FIELD(configure.mail_roots), MAIL_ROOTS_MAX + 1,
	 false},
	{"no first mail root, but a second", MESSAGE_CONFIGURE,
	 FIELD(configure.mail_root_numbers[0]), 1, true},
	{"drop_user", MESSAGE_CONFIGURE, FIELD(configure.drop_user), 2, false},
	{"apop", MESSAGE_CONFIGURE, FIELD(configure.apop), 2, false},
	{"allow_plaintext", MESSAGE_CONFIGURE, FIELD(configure.allow_plaintext), 2, false},
	{"message octets at", MESSAGE_CONFIGURE, FIELD(configure.message_octets_max),
	 MESSAGE_OCTETS_MAX, true},
	{"message octets above", MESSAGE_CONFIGURE, FIELD(configure.message_octets_max),
	 MESSAGE_OCTETS_MAX + 1, false},
	{"networks below", MESSAGE_CONFIGURE, FIELD(configure.trusted_count),
	 TRUSTED_NETWORKS_MAX - 1, true},
	{"networks at", MESSAGE_CONFIGURE, FIELD(configure.trusted_count), TRUSTED_NETWORKS_MAX,
	 true},
	{"networks above", MESSAGE_CONFIGURE, FIELD(configure.trusted_count),
	 TRUSTED_NETWORKS_MAX + 1, false},
	{"users below", MESSAGE_CONFIGURE, FIELD(configure.trusted_user_count),
	 TRUSTED_USERS_MAX - 1, true},
	{"users at", MESSAGE_CONFIGURE, FIELD(configure.trusted_user_count), TRUSTED_USERS_MAX,
	 true},
	{"users above", MESSAGE_CONFIGURE, FIELD(configure.trusted_user_count),
	 TRUSTED_USERS_MAX + 1, false},
	{"log level debug", MESSAGE_CONFIGURE, FIELD(configure.log_level), 3, true},
	{"log level above", MESSAGE_CONFIGURE, FIELD(configure.log_level), 4, false},
	{"log target above", MESSAGE_CONFIGURE, FIELD(configure.log_target), 3, false},
	{"log format above", MESSAGE_CONFIGURE, FIELD(configure.log_format), 2, false},
	{"listeners below", MESSAGE_ABOUT, FIELD(about.listener_count), 0, true},
	{"listeners above", MESSAGE_ABOUT, FIELD(about.listener_count), LISTENERS_MAX + 1, false},
	{"listener of no kind", MESSAGE_ABOUT, FIELD(about.listener_count), 1, false},
	{"version without end", MESSAGE_ABOUT, FIELD(about.version), ANY, false},
	{"rules, apop", MESSAGE_RULES, FIELD(rules.apop), 1, true},
	{"rules, apop above", MESSAGE_RULES, FIELD(rules.apop), 2, false},
	{"rules, networks below", MESSAGE_RULES, FIELD(rules.trusted_count),
	 TRUSTED_NETWORKS_MAX - 1, true},
	{"rules, networks at", MESSAGE_RULES, FIELD(rules.trusted_count), TRUSTED_NETWORKS_MAX,
	 true},
	{"rules, networks above", MESSAGE_RULES, FIELD(rules.trusted_count),
	 TRUSTED_NETWORKS_MAX + 1, false},
	{"kick all", MESSAGE_KICK, FIELD(kick.all), 2, false},
	{"kick at", MESSAGE_KICK, FIELD(kick.target.length), ACCOUNT_NAME_MAX + 2, true},
	{"kick above", MESSAGE_KICK, FIELD(kick.target.length), ACCOUNT_NAME_MAX + 3, false},
	{"kicked nobody", MESSAGE_KICKED, FIELD(kicked.outcome), ERROR_NO_USER, true},
	{"kicked what", MESSAGE_KICKED, FIELD(kicked.outcome), ERROR_IO, false},
	{"status of the ended", MESSAGE_STATUS_PROCESS, FIELD(status_process.role), PROCESS_ENDED,
	 true},
	{"status role above", MESSAGE_STATUS_PROCESS, FIELD(status_process.role), PROCESS_ENDED + 1,
	 false},
	{"host without end", MESSAGE_CONFIGURE, FIELD(configure.host), ANY, false},
	{"listener 0", MESSAGE_LISTENER, FIELD(listener.kind), 0, false},
	{"socketmap", MESSAGE_LISTENER, FIELD(listener.kind), 5, true},
	{"listener 6", MESSAGE_LISTENER, FIELD(listener.kind), 6, false},
	{"last", MESSAGE_LISTENER, FIELD(listener.last), 2, false},
	{"TLS key", MESSAGE_TLS, FIELD(tls.key), 2, false},
	{"TLS last", MESSAGE_TLS, FIELD(tls.last), 2, false},
	{"TLS part below", MESSAGE_TLS, FIELD(tls.length), TLS_PART_OCTETS - 1, true},
	{"TLS part at", MESSAGE_TLS, FIELD(tls.length), TLS_PART_OCTETS, true},
	{"TLS part above", MESSAGE_TLS, FIELD(tls.length), TLS_PART_OCTETS + 1, false},
	{"at_once", MESSAGE_DRAIN, FIELD(drain.at_once), 2, false},
	{"mechanism, the last", MESSAGE_LOGIN, FIELD(login.mechanism), MECHANISMS - 1, true},
	{"mechanism above", MESSAGE_LOGIN, FIELD(login.mechanism), MECHANISMS, false},
	{"login in TLS", MESSAGE_LOGIN, FIELD(login.tls), 1, true},
	{"TLS of login", MESSAGE_LOGIN, FIELD(login.tls), 2, false},
	{"authorize at", MESSAGE_LOGIN, FIELD(login.authorize.length), ACCOUNT_NAME_MAX + 2, true},
	{"authorize above", MESSAGE_LOGIN, FIELD(login.authorize.length), ACCOUNT_NAME_MAX + 3,
	 false},
	{"challenge at", MESSAGE_LOGIN, FIELD(login.challenge.length), ACCOUNT_NAME_MAX + 2, true},
	{"challenge above", MESSAGE_LOGIN, FIELD(login.challenge.length), ACCOUNT_NAME_MAX + 3,
	 false},
	{"name at", MESSAGE_LOGIN, FIELD(login.name.length), ACCOUNT_NAME_MAX + 2, true},
	{"name above", MESSAGE_LOGIN, FIELD(login.name.length), ACCOUNT_NAME_MAX + 3, false},
	{"password below", MESSAGE_LOGIN, FIELD(login.password_length), PASSWORD_MAX - 1, true},
	{"password at", MESSAGE_LOGIN, FIELD(login.password_length), PASSWORD_MAX, true},
	{"password above", MESSAGE_LOGIN, FIELD(login.password_length), PASSWORD_MAX + 1, false},
	{"password huge", MESSAGE_LOGIN, FIELD(login.password_length), UINT32_MAX, false},
	{"peer without end", MESSAGE_LOGIN, FIELD(login.peer), ANY, false},
	{"denied", MESSAGE_LOGGED_IN, FIELD(logged_in.outcome), ERROR_DENIED, true},
	{"temporary", MESSAGE_LOGGED_IN, FIELD(logged_in.outcome), ERROR_TEMPORARY, true},
	{"no user", MESSAGE_LOGGED_IN, FIELD(logged_in.outcome), ERROR_NO_USER, false},
	{"no outcome", MESSAGE_LOGGED_IN, FIELD(logged_in.outcome), ERROR_CODES, false},
	{"store kind", MESSAGE_LOGGED_IN, FIELD(logged_in.place.kind), 77, false},
	{"mail root below", MESSAGE_LOGGED_IN, FIELD(logged_in.place.mail_root), MAIL_ROOTS_MAX - 1,
	 true},
	{"mail root at", MESSAGE_LOGGED_IN, FIELD(logged_in.place.mail_root), MAIL_ROOTS_MAX,
	 false},
	{"path without end", MESSAGE_LOGGED_IN, FIELD(logged_in.place.path), ANY, false},
	{"account without end", MESSAGE_LOGGED_IN, FIELD(logged_in.account), ANY, false},
	{"address at", MESSAGE_RESOLVE, FIELD(resolve.address.length), ACCOUNT_NAME_MAX + 2, true},
	{"address above", MESSAGE_RESOLVE, FIELD(resolve.address.length), ACCOUNT_NAME_MAX + 3,
	 false},
	{"domain not ours", MESSAGE_RESOLVED, FIELD(resolved.outcome), ERROR_NOT_LOCAL, true},
	{"unknown user", MESSAGE_RESOLVED, FIELD(resolved.outcome), ERROR_NO_USER, true},
	{"in use", MESSAGE_RESOLVED, FIELD(resolved.outcome), ERROR_IN_USE, false},
	{"its store kind", MESSAGE_RESOLVED, FIELD(resolved.place.kind), 0, false},
	{"roots of the broker at", MESSAGE_BROKER, FIELD(broker.mail_roots),
	 (1U << MAIL_ROOTS_MAX) - 1, true},
	{"roots of the broker above", MESSAGE_BROKER, FIELD(broker.mail_roots),
	 1U << MAIL_ROOTS_MAX, false},
	{"borrow nothing", MESSAGE_BORROW, FIELD(borrow.action), 0, false},
	{"borrow unlink", MESSAGE_BORROW, FIELD(borrow.action), BORROW_UNLINK, true},
	{"borrow what", MESSAGE_BORROW, FIELD(borrow.action), BORROW_UNLINK + 1, false},
	{"borrow from", MESSAGE_BORROW, FIELD(borrow.mail_root), MAIL_ROOTS_MAX, false},
	{"borrow without end", MESSAGE_BORROW, FIELD(borrow.name), ANY, false},
	{"borrowed for good", MESSAGE_BORROWED, FIELD(borrowed.result), 1, false},
	{"borrowed not a flag", MESSAGE_BORROWED, FIELD(borrowed.opened), 2, false},
	{"its path", MESSAGE_RESOLVED, FIELD(resolved.place.path), ANY, false},
	{"its account", MESSAGE_RESOLVED, FIELD(resolved.account), ANY, false},
	{"no change", MESSAGE_SESSION, FIELD(session.change), 0, false},
	{"closed", MESSAGE_SESSION, FIELD(session.change), 2, true},
	{"third change", MESSAGE_SESSION, FIELD(session.change), 3, false},
	{"session's TLS", MESSAGE_SESSION, FIELD(session.tls), 2, false},
	{"session's peer", MESSAGE_SESSION, FIELD(session.peer), ANY, false},
	{"session's name", MESSAGE_SESSION, FIELD(session.name), ANY, false},
	{"contested 0", MESSAGE_CONTESTED, FIELD(contested.outcome), 0, false},
	{"contested free", MESSAGE_CONTESTED, FIELD(contested.outcome), 1, true},
	{"contested 4", MESSAGE_CONTESTED, FIELD(contested.outcome), 4, false},
	{"probed 0", MESSAGE_PROBED, FIELD(probed.outcome), 0, false},
	{"probed free", MESSAGE_PROBED, FIELD(probed.outcome), 1, true},
	{"probed unknown", MESSAGE_PROBED, FIELD(probed.outcome), 3, false},
	{"status role", MESSAGE_STATUS_PROCESS, FIELD(status_process.role), 0, false},
	{"status TLS", MESSAGE_STATUS_SESSION, FIELD(status_session.tls), 2, false},
	{"status peer", MESSAGE_STATUS_SESSION, FIELD(status_session.peer), ANY, false},
	{"status name", MESSAGE_STATUS_SESSION, FIELD(status_session.name), ANY, false},
};

static void test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(field_rows) / sizeof(*field_rows); i++) {
		const struct field_row *row = &field_rows[i];
		size_t size = message_size(row->type);
		union message *it = at_the_end(size);
		uint32_t value = (uint32_t)row->value;
		test_row(row->name);
		make_valid(it, row->type);
		if (row->value == ANY) {
			memset((char *)it + row->offset, 'x', row->octets - 1);
			test_check(message_check(it, size)); /* the last octet ends it */
			memset((char *)it + row->offset, 'x', row->octets);
		} else {
			test_check(row->octets == sizeof(value));
			memcpy((char *)it + row->offset, &value, sizeof(value));
		}
		test_check(message_check(it, size) == row->accepted);
	}
}

/* Without a place nothing in it counts but the end of its path. */
static void test_no_place_when_denied(void **state)
{
	(void)state;
	union message *it = at_the_end(message_size(MESSAGE_LOGGED_IN));
	make_valid(it, MESSAGE_LOGGED_IN);
	it->logged_in.place.kind = 0;
	assert_false(message_check(it, it->header.size));
	it->logged_in.outcome = ERROR_DENIED;
	assert_true(message_check(it, it->header.size));
	memset(it->logged_in.place.path, 'x', sizeof(it->logged_in.place.path));
	assert_false(message_check(it, it->header.size));
}

static void test_descriptors(void **state)
{
	static const struct {
		const char *name;
		enum message_type type;
		uint32_t role, mail_roots;
		size_t descriptors;
	} rows[] = {
		{"auth", MESSAGE_CONFIGURE, PROCESS_AUTH, 0, 2},
		{"worker without mail", MESSAGE_CONFIGURE, PROCESS_WORKER, 0, 4},
		{"worker", MESSAGE_CONFIGURE, PROCESS_WORKER, MAIL_ROOTS_MAX, 4 + MAIL_ROOTS_MAX},
		{"listener", MESSAGE_LISTENER, 0, 0, 1},
		{"peer", MESSAGE_PEER, 0, 0, 1},
		{"login", MESSAGE_LOGIN, 0, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		static union message it;
		test_row(rows[i].name);
		make_valid(&it, rows[i].type);
		if (rows[i].type == MESSAGE_CONFIGURE) {
			it.configure.role = rows[i].role;
			it.configure.mail_roots = rows[i].mail_roots;
		}
		test_check(message_descriptors(&it) == rows[i].descriptors);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_every_type_has_its_size, map, unmap),
	cmocka_unit_test_setup_teardown(test_sizes_of_packets, map, unmap),
	cmocka_unit_test_setup_teardown(test_fields, map, unmap),
	cmocka_unit_test_setup_teardown(test_no_place_when_denied, map, unmap),
	cmocka_unit_test(test_descriptors),
};

TEST_MAIN(tests)
