/*
 * registry: scripts of what workers say, and what is to be told to whom.
 */
#include "server/registry.h"

#include "base/test.h"

enum verb {
	END,
	OPEN,    /* worker, session, account: known or not (expect) */
	CLOSE,   /* worker, session */
	FORGET,  /* worker */
	CONTEST, /* account, by worker with request: expect REGISTRY_…; asks worker/session */
	PROBED,  /* worker, probe, outcome */
	TOLD,    /* worker, request, outcome */
	SILENT,  /* nobody is to be told */
	EXPIRE,  /* at this time: expect whether contests are left; each ends at asked_session ms */
	COUNT    /* sessions */
};

struct step {
	enum verb verb;
	uint64_t a, b, c;
	uint64_t expect, asked_worker, asked_session;
};

static void make_session(struct message_session *it, uint64_t session, uint64_t account)
{
	message_init(it, MESSAGE_SESSION, 0);
	it->session = session;
	it->account = account;
	it->change = SESSION_OPENED;
	snprintf(it->name, sizeof(it->name), "user%llu", (unsigned long long)account);
}

/* The probes of a script in their order; a registry begins to number them anywhere. */
static uint64_t probes[16];
static size_t probe_count;

static void do_contest(struct registry *registry, const struct step *step)
{
	uint32_t worker = 0;
	uint64_t session = 0, probe = 0;
	struct contestant newcomer = {(uint32_t)step->b, step->c};
	test_check(registry_contest(registry, step->a, newcomer, step->asked_session, &worker,
				    &session, &probe) == step->expect);
	if (step->expect == REGISTRY_ASK) {
		test_check(worker == step->asked_worker);
		test_check(session == step->asked_session);
		test_check(probe != 0);
		probes[probe_count++] = probe;
	}
}

static void do_step(struct registry *registry, const struct step *step)
{
	struct message_session session;
	struct contestant contestant;
	enum contest_outcome outcome;
	switch (step->verb) {
	case OPEN:
		make_session(&session, step->b, step->c);
		test_check(registry_open(registry, (uint32_t)step->a, &session) == step->expect);
		break;
	case CLOSE:
		registry_close(registry, (uint32_t)step->a, step->b);
		break;
	case FORGET:
		registry_forget_worker(registry, (uint32_t)step->a);
		break;
	case CONTEST:
		do_contest(registry, step);
		break;
	case PROBED:
		registry_probed(registry, (uint32_t)step->a,
				step->b >= 1 && step->b <= probe_count ? probes[step->b - 1]
								       : step->b,
				step->c);
		break;
	case TOLD:
		test_check(registry_next_answer(registry, &contestant, &outcome));
		test_check(contestant.worker == step->a && contestant.request == step->b);
		test_check(outcome == step->c);
		break;
	case SILENT:
		test_check(!registry_next_answer(registry, &contestant, &outcome));
		break;
	case EXPIRE:
		test_check(registry_expire(registry, step->a) == step->expect);
		break;
	case COUNT:
		test_check(registry_count(registry) == step->expect);
		break;
	case END:
		break;
	}
}

#define OPENS(worker, session, account)                                                            \
	{                                                                                          \
		OPEN, worker, session, account, true, 0, 0                                         \
	}
#define KNOWS(worker, session, account)                                                            \
	{                                                                                          \
		OPEN, worker, session, account, false, 0, 0                                        \
	}
#define CLOSES(worker, session)                                                                    \
	{                                                                                          \
		CLOSE, worker, session, 0, 0, 0, 0                                                 \
	}
#define FORGETS(worker)                                                                            \
	{                                                                                          \
		FORGET, worker, 0, 0, 0, 0, 0                                                      \
	}
#define JOINS(account, worker, request)                                                            \
	{                                                                                          \
		CONTEST, account, worker, request, REGISTRY_JOINED, 0, 0                           \
	}
#define FINDS_NOBODY(account, worker, request)                                                     \
	{                                                                                          \
		CONTEST, account, worker, request, REGISTRY_NOBODY, 0, 0                           \
	}
#define ASKS(account, worker, request, asked_worker, asked_session)                                \
	{                                                                                          \
		CONTEST, account, worker, request, REGISTRY_ASK, asked_worker, asked_session       \
	}
#define ANSWERS(worker, probe, outcome)                                                            \
	{                                                                                          \
		PROBED, worker, probe, outcome, 0, 0, 0                                            \
	}
#define TELLS(worker, request, outcome)                                                            \
	{                                                                                          \
		TOLD, worker, request, outcome, 0, 0, 0                                            \
	}
#define IS_SILENT                                                                                  \
	{                                                                                          \
		SILENT, 0, 0, 0, 0, 0, 0                                                           \
	}
#define EXPIRES(now_ms, others_left)                                                               \
	{                                                                                          \
		EXPIRE, now_ms, 0, 0, others_left, 0, 0                                            \
	}
#define COUNTS(sessions)                                                                           \
	{                                                                                          \
		COUNT, 0, 0, 0, sessions, 0, 0                                                     \
	}

#define STEPS_MAX 20
static const struct script {
	const char *name;
	struct step steps[STEPS_MAX];
} scripts[] = {
	{"opened and closed", {OPENS(1, 10, 100), COUNTS(1), CLOSES(1, 10), COUNTS(0)}},
	{"known already", {OPENS(1, 10, 100), KNOWS(1, 10, 101), COUNTS(1)}},
	{"same number in two workers",
	 {OPENS(1, 10, 100), OPENS(2, 10, 101), CLOSES(1, 10), ASKS(101, 1, 5, 2, 10)}},
	{"closing what is unknown", {CLOSES(1, 10), IS_SILENT, COUNTS(0)}},
	{"nobody has it", {FINDS_NOBODY(100, 1, 5), IS_SILENT}},
	{"holder alive",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), IS_SILENT, ANSWERS(1, 1, CONTEST_ALIVE),
	  TELLS(2, 5, CONTEST_ALIVE), IS_SILENT, COUNTS(1)}},
	{"holder gone",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), CLOSES(1, 10), TELLS(2, 5, CONTEST_FREE),
	  ANSWERS(1, 1, CONTEST_FREE), IS_SILENT}},
	{"one probe for many",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), JOINS(100, 3, 5), JOINS(100, 2, 6),
	  ANSWERS(1, 1, CONTEST_FREE), TELLS(2, 5, CONTEST_FREE), TELLS(3, 5, CONTEST_FREE),
	  TELLS(2, 6, CONTEST_FREE), IS_SILENT}},
	{"a second contest after the first",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), ANSWERS(1, 1, CONTEST_ALIVE),
	  TELLS(2, 5, CONTEST_ALIVE), ASKS(100, 2, 6, 1, 10),
	  ANSWERS(1, 1, CONTEST_FREE), /* late, of the first */
	  IS_SILENT, ANSWERS(1, 2, CONTEST_FREE), TELLS(2, 6, CONTEST_FREE), IS_SILENT}},
	{"answer of a worker that was not asked",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), ANSWERS(2, 1, CONTEST_FREE),
	  ANSWERS(1, 77, CONTEST_FREE), IS_SILENT}},
	{"holder's worker dies",
	 {OPENS(1, 10, 100), OPENS(1, 11, 101), OPENS(2, 10, 102), ASKS(101, 2, 5, 1, 11),
	  FORGETS(1), TELLS(2, 5, CONTEST_FREE), IS_SILENT, COUNTS(1), ASKS(102, 3, 6, 2, 10)}},
	{"contestant's worker dies while it waits",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), JOINS(100, 3, 6), FORGETS(2), JOINS(100, 3, 7),
	  ANSWERS(1, 1, CONTEST_FREE), TELLS(3, 6, CONTEST_FREE), TELLS(3, 7, CONTEST_FREE),
	  IS_SILENT}},
	{"every contestant's worker dies",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), FORGETS(2), JOINS(100, 3, 6),
	  ANSWERS(1, 1, CONTEST_ALIVE), TELLS(3, 6, CONTEST_ALIVE), IS_SILENT}},
	{"contestant's worker dies before it is told",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), CLOSES(1, 10), FORGETS(2), IS_SILENT}},
	{"one worker contests its own session and dies",
	 {OPENS(1, 10, 100), ASKS(100, 1, 5, 1, 10), FORGETS(1), IS_SILENT, COUNTS(0)}},
	{"maildrop changes hands: the newer one is asked",
	 {OPENS(1, 9, 99), OPENS(1, 10, 100), OPENS(2, 20, 100),
	  CLOSES(1, 9), /* moves the last one to the front of the walk */
	  ASKS(100, 3, 5, 2, 20), CLOSES(1, 10), IS_SILENT, CLOSES(2, 20),
	  TELLS(3, 5, CONTEST_FREE)}},
	{"holder's worker does not answer", /* the end of a contest is at asked_session ms */
	 {OPENS(1, 10, 100), OPENS(1, 11, 101), ASKS(100, 2, 5, 1, 10), JOINS(100, 3, 6),
	  ASKS(101, 2, 7, 1, 11), EXPIRES(9, true), IS_SILENT, EXPIRES(10, true),
	  TELLS(2, 5, CONTEST_ALIVE), TELLS(3, 6, CONTEST_ALIVE), IS_SILENT,
	  ANSWERS(1, 1, CONTEST_FREE), /* late */
	  IS_SILENT, EXPIRES(11, false), TELLS(2, 7, CONTEST_ALIVE), COUNTS(2)}},
	{"a contest after one whose time was over",
	 {OPENS(1, 10, 100), ASKS(100, 2, 5, 1, 10), EXPIRES(10, false), TELLS(2, 5, CONTEST_ALIVE),
	  EXPIRES(20, false), ASKS(100, 2, 6, 1, 10), CLOSES(1, 10), TELLS(2, 6, CONTEST_FREE),
	  EXPIRES(30, false), IS_SILENT, COUNTS(0)}},
	{"two contests end together, in order",
	 {OPENS(1, 10, 100), OPENS(1, 11, 101), ASKS(101, 2, 5, 1, 11), ASKS(100, 2, 6, 1, 10),
	  ANSWERS(1, 2, CONTEST_FREE), ANSWERS(1, 1, CONTEST_ALIVE), TELLS(2, 6, CONTEST_FREE),
	  TELLS(2, 5, CONTEST_ALIVE)}},
};

static void test_scripts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		struct registry *registry = registry_new();
		test_row(scripts[i].name);
		test_check(registry != NULL);
		probe_count = 0;
		for (size_t k = 0; k < STEPS_MAX && scripts[i].steps[k].verb != END; k++)
			do_step(registry, &scripts[i].steps[k]);
		registry_free(registry);
	}
}

static void test_walk(void **state)
{
	(void)state;
	struct registry *registry = registry_new();
	struct message_session session;
	struct message_status_session found;
	size_t cursor = 0;
	make_session(&session, 10, 100);
	session.tls = 1;
	session.since_unix_seconds = 1795312860;
	snprintf(session.peer, sizeof(session.peer), "192.0.2.1:4711");
	assert_false(registry_next_session(registry, &cursor, &found));
	assert_true(registry_open(registry, 3, &session));
	assert_true(registry_next_session(registry, &cursor, &found));
	assert_true(message_check((const union message *)&found, sizeof(found)));
	assert_int_equal(found.header.type, MESSAGE_STATUS_SESSION);
	assert_int_equal(found.session, 10);
	assert_int_equal(found.account, 100);
	assert_int_equal(found.worker, 3);
	assert_int_equal(found.tls, 1);
	assert_int_equal(found.since_unix_seconds, 1795312860);
	assert_string_equal(found.peer, "192.0.2.1:4711");
	assert_string_equal(found.name, "user100");
	assert_false(registry_next_session(registry, &cursor, &found));
	registry_free(registry);
}

/* Tables that grow lose nobody. */
static void test_many(void **state)
{
	enum { WORKERS = 3, SESSIONS = 5000 };
	(void)state;
	struct registry *registry = registry_new();
	struct message_session session;
	struct message_status_session found;
	uint32_t worker;
	uint64_t asked, probe;
	static bool seen[WORKERS * SESSIONS];
	for (uint32_t i = 0; i < WORKERS * SESSIONS; i++) {
		make_session(&session, i / WORKERS, i);
		assert_true(registry_open(registry, i % WORKERS, &session));
	}
	assert_int_equal(registry_count(registry), WORKERS * SESSIONS);
	for (uint32_t i = 0; i < WORKERS * SESSIONS; i++) {
		assert_int_equal(registry_contest(registry, i, (struct contestant){9, i}, 10,
						  &worker, &asked, &probe),
				 REGISTRY_ASK);
		assert_int_equal(worker, i % WORKERS);
		assert_int_equal(asked, i / WORKERS);
	}
	registry_forget_worker(registry, 1);
	assert_int_equal(registry_count(registry), (WORKERS - 1) * SESSIONS);
	for (size_t cursor = 0; registry_next_session(registry, &cursor, &found);) {
		assert_int_not_equal(found.worker, 1);
		assert_false(seen[found.account]);
		seen[found.account] = true;
	}
	for (uint32_t i = 0; i < WORKERS * SESSIONS; i++)
		assert_int_equal(seen[i], i % WORKERS != 1);
	registry_free(registry);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_scripts),
	cmocka_unit_test(test_walk),
	cmocka_unit_test(test_many),
};

TEST_MAIN(tests)
