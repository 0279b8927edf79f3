/*
 * Tests of penalties: rows of what an address does, at moments of a clock of our own.
 */
#include "server/penalty.h"

#include "base/limits.h"
#include "base/test.h"

enum deed { FAIL, SUCCEED, LOOK };

#define S 1000u

/* One story a name; an address is a digit. `delay_ms` is what the address waits before it. */
static const struct row {
	const char *story;
	enum deed deed;
	unsigned address;
	const char *name, *password;
	uint64_t at_ms;
	uint32_t delay_ms;
} rows[] = {
	{"doubles to the most", FAIL, 1, "a", "1", 0, 0},
	{"doubles to the most", FAIL, 1, "a", "2", 1, 2 * S},
	{"doubles to the most", FAIL, 1, "a", "3", 2, 4 * S},
	{"doubles to the most", FAIL, 1, "a", "4", 3, 8 * S},
	{"doubles to the most", FAIL, 1, "a", "5", 4, 15 * S},
	{"doubles to the most", FAIL, 1, "a", "6", 5, 15 * S},
	{"doubles to the most", LOOK, 2, "", "", 6, 0},
	{"the same guess", FAIL, 1, "a", "1", 0, 0},
	{"the same guess", FAIL, 1, "a", "1", 1, 2 * S},
	{"the same guess", FAIL, 1, "a", "1", 2, 2 * S},
	{"the same guess", FAIL, 1, "b", "1", 3, 2 * S},
	{"the same guess", LOOK, 1, "", "", 4, 4 * S},
	{"name and password are two", FAIL, 1, "ab", "c", 0, 0},
	{"name and password are two", FAIL, 1, "a", "bc", 1, 2 * S},
	{"name and password are two", LOOK, 1, "", "", 2, 4 * S},
	{"success forgives", FAIL, 1, "a", "1", 0, 0},
	{"success forgives", FAIL, 1, "a", "2", 1, 2 * S},
	{"success forgives", SUCCEED, 1, "a", "3", 2, 4 * S},
	{"success forgives", LOOK, 1, "", "", 3, 0},
	{"not for another's account", FAIL, 1, "b", "1", 0, 0},
	{"not for another's account", SUCCEED, 1, "a", "3", 1, 2 * S},
	{"not for another's account", LOOK, 1, "", "", 2, 2 * S},
	{"not for two accounts", FAIL, 1, "a", "1", 0, 0},
	{"not for two accounts", FAIL, 1, "b", "1", 1, 2 * S},
	{"not for two accounts", SUCCEED, 1, "a", "3", 2, 4 * S},
	{"not for two accounts", FAIL, 1, "a", "4", 3, 4 * S},
	{"not for two accounts", SUCCEED, 1, "a", "3", 4, 8 * S},
	{"not for two accounts", LOOK, 1, "", "", 5, 8 * S},
	{"others are not forgiven", FAIL, 2, "a", "2", 1, 0},
	{"others are not forgiven", SUCCEED, 1, "a", "3", 2, 0},
	{"others are not forgiven", LOOK, 2, "", "", 3, 2 * S},
	{"forgotten: one below", FAIL, 1, "a", "1", 5, 0},
	{"forgotten: one below", LOOK, 1, "", "", 5 + PENALTY_FORGET_MS - 1, 2 * S},
	{"forgotten: at", FAIL, 1, "a", "1", 5, 0},
	{"forgotten: at", LOOK, 1, "", "", 5 + PENALTY_FORGET_MS, 0},
	{"forgotten: one above", FAIL, 1, "a", "1", 5, 0},
	{"forgotten: one above", LOOK, 1, "", "", 5 + PENALTY_FORGET_MS + 1, 0},
	{"a repeated guess keeps the memory", FAIL, 1, "a", "1", 5, 0},
	{"a repeated guess keeps the memory", FAIL, 1, "a", "1", 5 + PENALTY_FORGET_MS - 1, 2 * S},
	{"a repeated guess keeps the memory", LOOK, 1, "", "", 5 + PENALTY_FORGET_MS, 2 * S},
};

static struct peer_key key_of(unsigned address)
{
	struct peer_key key = {{0}};

	memcpy(key.octets, &address, sizeof(address));
	return key;
}

static void test_stories(void **state)
{
	struct penalties *penalties = NULL;
	const char *story = "";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct peer_key key = key_of(row->address);

		if (strcmp(story, row->story) != 0) {
			penalties_free(penalties);
			penalties = penalties_new();
			story = row->story;
		}
		test_row(story);
		test_check(penalty_delay_ms(penalties, &key, row->at_ms) == row->delay_ms);
		if (row->deed == FAIL)
			penalty_failed(penalties, &key, bytes_of(row->name),
				       bytes_of(row->password), row->at_ms);
		else if (row->deed == SUCCEED)
			penalty_succeeded(penalties, &key, bytes_of(row->name), row->at_ms);
	}
	penalties_free(penalties);
}

/* One below, at and one above what is held back for an address. */
static void test_held(void **state)
{
	struct penalties *penalties = penalties_new();
	struct peer_key key = key_of(1), other = key_of(2);

	(void)state;
	penalty_hold(penalties, &key, 1); /* nothing is known of it */
	test_check(penalty_has_room(penalties, &key, 1));
	penalty_failed(penalties, &key, BYTES("a"), BYTES("b"), 1);
	penalty_failed(penalties, &other, BYTES("a"), BYTES("b"), 1);
	for (unsigned i = 0; i < PENALTY_HELD_MAX; i++) {
		test_check(penalty_has_room(penalties, &key, 2));
		penalty_hold(penalties, &key, 2);
	}
	test_check(!penalty_has_room(penalties, &key, 2));
	test_check(penalty_has_room(penalties, &other, 2));
	penalty_release(penalties, &key);
	test_check(penalty_has_room(penalties, &key, 2));
	for (unsigned i = 0; i < 2 * PENALTY_HELD_MAX; i++)
		penalty_release(penalties, &key); /* forgiven in between, released all the same */
	test_check(penalty_has_room(penalties, &key, 2));
	penalties_free(penalties);
}

/* More addresses than there are places: some are forgotten, the newest never. */
static void test_full(void **state)
{
	struct penalties *penalties = penalties_new();
	size_t known = 0;

	(void)state;
	for (unsigned i = 0; i < 3 * PENALTIES_MAX; i++) {
		struct peer_key key = key_of(i);

		penalty_failed(penalties, &key, BYTES("a"), BYTES("b"), i + 1);
		test_check(penalty_delay_ms(penalties, &key, i + 1) == PENALTY_FIRST_MS);
	}
	for (unsigned i = 0; i < 3 * PENALTIES_MAX; i++) {
		struct peer_key key = key_of(i);

		known += penalty_delay_ms(penalties, &key, 3 * PENALTIES_MAX) > 0;
	}
	test_check(known <= PENALTIES_MAX && known > PENALTIES_MAX / 2);
	penalties_free(penalties);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_stories),
	cmocka_unit_test(test_held),
	cmocka_unit_test(test_full),
};
TEST_MAIN(tests)
