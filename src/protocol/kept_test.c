/*
 * Kept octets: what is kept, and what is left when memory has run out.
 */
#include "base/test.h"

#include "protocol/kept.h"
#include "protocol/memory_test.h"

static void test_keeps_a_copy(void **state)
{
	char original[] = {'a', '\0', 'b'};
	struct bytes kept = {NULL, 0};

	(void)state;
	assert_true(kept_set(&kept, (struct bytes){original, sizeof(original)}));
	original[0] = 'x';
	test_equal_bytes(kept, BYTES("a\0b"));
	assert_true(kept_set(&kept, BYTES("other")));
	test_equal_bytes(kept, BYTES("other"));
	assert_true(kept_set(&kept, BYTES("")));
	assert_non_null(kept.data);
	assert_int_equal(kept.length, 0);
	kept_drop(&kept);
	assert_null(kept.data);
	kept_drop(&kept);
}

static void test_nothing_stays_without_memory(void **state)
{
	struct bytes kept = {NULL, 0};

	(void)state;
	assert_true(kept_set(&kept, BYTES("old")));
	memory_fail_at(0, false);
	assert_false(kept_set(&kept, BYTES("new")));
	memory_left = -1;
	assert_null(kept.data);
	assert_int_equal(kept.length, 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_keeps_a_copy),
	cmocka_unit_test(test_nothing_stays_without_memory),
};
TEST_MAIN(tests)
