/*
 * Tests of the word that was meant.
 */
#include "base/nearest.h"

#include "base/test.h"

static const struct {
	const char *word, *nearest;
} rows[] = {
	{"worker", "workers"},
	{"wrokers", "workers"},
	{"tls-certificate", "tls-cert"},
	{"pop4", "pop3"},
	{"connection-per-adress", "connections-per-address"},
	{"", NULL},
	{"x", NULL},
	{"something else", NULL},
	{"pop3pop3pop3pop3pop3pop3pop3pop3", NULL},  /* as long as is looked at */
	{"pop3pop3pop3pop3pop3pop3pop3pop3p", NULL}, /* longer */
};

static void test_words(void **state)
{
	static const char *const names[] = {"pop3", "pop3s", "workers", "tls-cert",
					    "connections-per-address"};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *found =
			nearest_word(rows[i].word, names, sizeof(names) / sizeof(names[0]));

		test_row(rows[i].word);
		test_check(rows[i].nearest ? found && strcmp(found, rows[i].nearest) == 0 : !found);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_words),
};
TEST_MAIN(tests)
