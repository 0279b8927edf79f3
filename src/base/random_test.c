/*
 * Tests of random octets: that they differ, that all of them are filled, and the form of a
 * unique-id.
 */
#include "base/random.h"

#include "base/test.h"

static void test_octets(void **state)
{
	static const size_t sizes[] = {0, 1, 7, 8, 9, 300, 70000};
	static unsigned char room[70001], seen[70001];

	(void)state;
	for (unsigned seed = 0; seed < 2; seed++) {
		random_set_for_tests(seed);
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			memset(seen, 0, sizeof(seen));
			/* an octet that is never filled stays 0 in all 32 rounds */
			for (unsigned round = 0; round < 32; round++) {
				memset(room, 0, sizeof(room));
				random_octets(room, sizes[i]);
				assert_int_equal(room[sizes[i]], 0);
				for (size_t j = 0; j < sizes[i]; j++)
					seen[j] |= room[j];
			}
			for (size_t j = 0; j < sizes[i]; j++)
				assert_int_not_equal(seen[j], 0);
		}
	}
	random_set_for_tests(0);
}

static void test_uid(void **state)
{
	char first[RANDOM_UID_OCTETS], second[RANDOM_UID_OCTETS], again[RANDOM_UID_OCTETS];

	(void)state;
	random_uid(first);
	random_uid(second);
	assert_string_not_equal(first, second);
	assert_int_equal(strlen(first), 32);
	assert_int_equal(strspn(first, "0123456789abcdef"), 32);
	random_set_for_tests(5);
	random_uid(first);
	random_uid(second);
	assert_string_not_equal(first, second);
	random_set_for_tests(5);
	random_uid(again);
	assert_string_equal(first, again);
	random_set_for_tests(6);
	random_uid(again);
	assert_string_not_equal(first, again);
	random_set_for_tests(0);
	random_uid(first);
	random_set_for_tests(6);
	random_uid(again);
	assert_string_not_equal(first, again);
	random_set_for_tests(0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_octets),
	cmocka_unit_test(test_uid),
};

TEST_MAIN(tests)
