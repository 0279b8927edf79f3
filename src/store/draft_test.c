/*
 * draft_test: facts and octets of a draft, however it was written, in memory and in a file.
 */
#include "base/checksum.h"
#include "store/test_scene.h"

static const struct {
	struct bytes in;
	uint64_t length, wire_octets, quotable;
} rows[] = {
	{BYTES(""), 0, 0, 0},
	{BYTES("x"), 2, 3, 0},
	{BYTES("x\n"), 2, 3, 0},
	{BYTES("From \n>From \n>>From x\nxFrom \nFrom"), 33 + 1, 33 + 6, 3},
	{BYTES("\r\n\r"), 4, 6, 0},
	{BYTES("\0\n"), 2, 3, 0},
};

static void facts_of_small_drafts(void **state)
{
	(void)state;
	struct scene scene;
	scene_begin(&scene, STORE_MBOX);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct draft *draft = scene_draft(&scene, rows[i].in);
		const struct draft_facts *facts = draft_facts(draft);
		char name[16], octets[64];
		snprintf(name, sizeof name, "row %zu", i);
		test_row(name);
		test_check(facts->length == rows[i].length);
		test_check(facts->wire_octets == rows[i].wire_octets);
		test_check(facts->quotable == rows[i].quotable);
		ssize_t length = draft_read(draft, octets, sizeof octets, 0);
		test_check((uint64_t)length == rows[i].length);
		test_check(crc32c(0, (struct bytes){octets, (size_t)length}) == facts->checksum);
		draft_free(draft);
	}
	scene_end(&scene);
}

static void a_large_draft_is_in_a_file(void **state)
{
	(void)state;
	struct scene scene;
	scene_begin(&scene, STORE_MBOX);
	size_t length = 3 * DRAFT_MEMORY_MAX + 17;
	char *text = malloc(length), *back = malloc(length + 1);
	for (size_t i = 0; i < length; i++)
		text[i] = (char)(i * 31 >> 3);
	text[length - 1] = '\n';
	struct draft *draft = scene_draft(&scene, (struct bytes){text, length});
	size_t got = 0;
	for (ssize_t more = 1; more > 0; got += (size_t)more)
		more = draft_read(draft, back + got, 1000, got);
	test_equal_bytes(((struct bytes){back, got}), ((struct bytes){text, length}));
	assert_int_equal(draft_facts(draft)->checksum, crc32c(0, (struct bytes){text, length}));
	draft_free(draft);
	free(text);
	free(back);
	scene_end(&scene);
}

static void the_limit(void **state)
{
	(void)state;
	struct scene scene;
	struct error error = {0};
	scene_begin(&scene, STORE_MBOX);
	for (uint64_t max = 9; max <= 11; max++) {
		struct draft *draft = draft_new(scene.root.mail[0], max);
		enum error_code code = draft_write(draft, BYTES("0123456789"), &error);
		assert_int_equal(code, max < 10 ? ERROR_TOO_LARGE : ERROR_NONE);
		if (code == ERROR_NONE) {
			assert_int_equal(draft_seal(draft, &error), ERROR_NONE);
			assert_int_equal(draft_facts(draft)->length, 11); /* with its line end */
		}
		draft_free(draft);
	}
	struct draft *draft = draft_new(scene.root.mail[0], MESSAGE_OCTETS_MAX);
	assert_true(draft_in_memory(draft, DRAFT_MEMORY_MAX));
	assert_false(draft_in_memory(draft, DRAFT_MEMORY_MAX + 1));
	draft_free(draft);
	scene_end(&scene);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(facts_of_small_drafts),
	cmocka_unit_test(a_large_draft_is_in_a_file),
	cmocka_unit_test(the_limit),
};

TEST_MAIN(tests)
