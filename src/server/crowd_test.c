/*
 * crowd_test: who has to go when a worker is full.
 */
#include "server/crowd.h"

#include <stdlib.h>
#include <string.h>

#include "base/test.h"

/* The word of a connection says all: who it is, and whether it is a guest. */
static bool is_guest(const struct conn *conn)
{
	return strchr(conn->reason, 'g') != NULL;
}

static const struct conn_service pop3 = {.leaves_slots = true, .is_guest = is_guest};
static const struct conn_service lmtp = {.is_guest = is_guest};
static const struct conn_service other = {.leaves_slots = true};

static struct worker *worker_with(const char *const *words, size_t count)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	assert_non_null(worker);
	for (size_t i = 0; i < count; i++) {
		struct conn *conn = calloc(1, sizeof(*conn));

		worker->slots_used++;
		if (strcmp(words[i], "") == 0) {
			free(conn);
			continue;
		}
		assert_non_null(conn);
		conn->service = words[i][0] == 'p' ? &pop3 : words[i][0] == 'l' ? &lmtp : &other;
		conn->reason = words[i];
		conn->closing = strchr(words[i], 'c') != NULL;
		conn->handshaking = strchr(words[i], 'h') != NULL;
		conn->since_ms = i;
		worker->conns[i] = conn;
	}
	return worker;
}

static void free_worker(struct worker *worker)
{
	for (uint32_t i = 0; i < worker->slots_used; i++)
		free(worker->conns[i]);
	free(worker);
}

static void test_only_guests_go(void **state)
{
	static const struct {
		const char *name;
		const char *words[4]; /* p, l or o; g: a guest; c: closing; h: shakes hands */
		const struct conn_service *newcomer;
		const char *chosen; /* NULL: nobody; more than one of them: any of these */
	} rows[] = {
		{"nobody there", {"", "", "", ""}, &pop3, NULL},
		{"all logged in", {"p", "p", "p", "l"}, &pop3, NULL},
		{"one guest", {"p", "pg", "p", "p"}, &pop3, "pg"},
		{"POP3 takes nothing from LMTP", {"p", "lg", "p", "p"}, &pop3, NULL},
		{"LMTP may take from LMTP", {"p", "lg", "p", "p"}, &lmtp, "lg"},
		{"LMTP may take from POP3", {"p", "pg", "l", "p"}, &lmtp, "pg"},
		{"closing already", {"pgc", "p", "p", "p"}, &pop3, NULL},
		{"a service without guests", {"og", "oh", "p", "p"}, &pop3, NULL},
		{"a handshake", {"ph", "p", "p", "p"}, &pop3, "ph"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct worker *worker = worker_with(rows[i].words, 4);

		test_row(rows[i].name);
		for (int again = 0; again < 50; again++) {
			struct conn *conn = crowd_choose(worker, rows[i].newcomer);

			test_check(!conn == !rows[i].chosen);
			if (conn && rows[i].chosen)
				test_check(strcmp(conn->reason, rows[i].chosen) == 0);
		}
		free_worker(worker);
	}
}

/* Of 200 guests, one that came last is hardly ever chosen: of sixteen picked it would have to be
 * all. Those in front are. */
static void test_the_newest_stays(void **state)
{
	const char *words[200];
	struct worker *worker;
	uint64_t sum = 0;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		words[i] = "pg";
	worker = worker_with(words, 200);
	for (int i = 0; i < 1000; i++) {
		struct conn *conn = crowd_choose(worker, &pop3);

		assert_non_null(conn);
		assert_true(conn->since_ms < 199);
		sum += conn->since_ms;
	}
	assert_true(sum / 1000 < 40); /* the least of sixteen of 200 is 12 on the average */
	free_worker(worker);
}

static void test_nobody_at_all(void **state)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	(void)state;
	assert_non_null(worker);
	assert_null(crowd_choose(worker, &pop3));
	free(worker);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_only_guests_go),
	cmocka_unit_test(test_the_newest_stays),
	cmocka_unit_test(test_nobody_at_all),
};

TEST_MAIN(tests)
