/*
 * Tests of octets with a length and of buffers at their limits.
 */
#include "base/bytes.h"

#include "base/test.h"

static void test_compare(void **state)
{
	static const struct {
		const char *name;
		struct bytes a, b;
		bool equal, nocase, starts; /* starts: a begins with b */
	} rows[] = {
		{"empty", {NULL, 0}, BYTES(""), true, true, true},
		{"same", BYTES("abc"), BYTES("abc"), true, true, true},
		{"case", BYTES("abC"), BYTES("aBc"), false, true, false},
		{"shorter", BYTES("abc"), BYTES("ab"), false, false, true},
		{"longer", BYTES("ab"), BYTES("abc"), false, false, false},
		{"behind a nul", BYTES("a\0b"), BYTES("a\0c"), false, false, false},
		{"begins with nothing", BYTES("a"), {NULL, 0}, false, false, true},
		{"at sign is no letter", BYTES("@"), BYTES("`"), false, false, false},
		{"bracket is no letter", BYTES("["), BYTES("{"), false, false, false},
		{"latin letters stay", BYTES("\xc4"), BYTES("\xe4"), false, false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].name);
		test_check(bytes_equal(rows[i].a, rows[i].b) == rows[i].equal);
		test_check(bytes_equal_nocase(rows[i].a, rows[i].b) == rows[i].nocase);
		test_check(bytes_start_with(rows[i].a, rows[i].b) == rows[i].starts);
	}
}

static void test_parts(void **state)
{
	static const struct {
		size_t count;
		struct bytes first, rest;
	} rows[] = {
		{0, BYTES(""), BYTES("abc")},        {1, BYTES("a"), BYTES("bc")},
		{3, BYTES("abc"), BYTES("")},        {4, BYTES("abc"), BYTES("")},
		{SIZE_MAX, BYTES("abc"), BYTES("")},
	};

	(void)state;
	test_row("parts");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_equal_bytes(bytes_first(BYTES("abc"), rows[i].count), rows[i].first);
		test_equal_bytes(bytes_skip(BYTES("abc"), rows[i].count), rows[i].rest);
	}
	test_equal_bytes(bytes_skip((struct bytes){NULL, 0}, 3), BYTES(""));
	test_equal_bytes(bytes_of("abc"), BYTES("abc"));
}

static void test_to_string(void **state)
{
	static const struct {
		const char *name;
		struct bytes text;
		const char *result; /* NULL: refused */
	} rows[] = {
		{"empty", {NULL, 0}, ""},
		{"one below", BYTES("ab"), "ab"},
		{"at the limit", BYTES("abc"), "abc"},
		{"one above", BYTES("abcd"), NULL},
		{"a nul", BYTES("a\0"), NULL},
	};
	char room[4];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		test_row(rows[i].name);
		memset(room, 'x', sizeof(room));
		test_check(bytes_to_string(rows[i].text, room, sizeof(room)) ==
			   (rows[i].result != NULL));
		assert_string_equal(room, rows[i].result != NULL ? rows[i].result : "");
	}
}

static void test_append(void **state)
{
	static const struct {
		const char *name;
		size_t max, length; /* appended once, and again */
		bool first, second;
	} rows[] = {
		{"nothing allowed", 0, 1, false, false},
		{"nothing asked", 0, 0, true, true},
		{"one below", 9, 4, true, true},
		{"at the limit", 8, 4, true, true},
		{"one above", 7, 4, true, false},
		{"past the first room", 100, 50, true, true},
		{"many rooms", 100000, 50000, true, true},
		{"many and too many", 99999, 50000, true, false},
	};
	static char text[50000];

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buffer buffer;
		struct bytes piece = {text, rows[i].length};

		test_row(rows[i].name);
		buffer_init(&buffer, rows[i].max);
		test_check(buffer_append(&buffer, piece) == rows[i].first);
		test_check(buffer.length == (rows[i].first ? rows[i].length : 0));
		test_check(buffer_append(&buffer, piece) == rows[i].second);
		test_check(buffer.length == rows[i].length * (rows[i].first + rows[i].second));
		test_check(buffer.length == 0 ||
			   memcmp(buffer.data, text,
				  buffer.length > 50000 ? 50000 : buffer.length) == 0);
		test_check(buffer.capacity <= buffer.max);
		buffer_free(&buffer);
		test_check(buffer.length == 0 && buffer.max == rows[i].max);
	}
}

static void test_reserve_overflow(void **state)
{
	struct buffer buffer;

	(void)state;
	test_row("sizes that would wrap");
	buffer_init(&buffer, SIZE_MAX - 1);
	test_check(buffer_append(&buffer, BYTES("abc")));
	test_check(!buffer_reserve(&buffer, SIZE_MAX));
	test_check(!buffer_reserve(&buffer, SIZE_MAX - 2));
	test_equal_bytes(buffer_bytes(&buffer), BYTES("abc"));
	buffer_free(&buffer);
}

const char *__asan_default_options(void);

/* Memory that runs out is an answer and not the end of the program. */
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_no_memory(void **state)
{
	struct buffer buffer;

	(void)state;
	test_row("more than the address space");
	buffer_init(&buffer, SIZE_MAX / 2);
	test_check(!buffer_reserve(&buffer, (size_t)1 << 60));
	test_equal_bytes(buffer_bytes(&buffer), BYTES(""));
	test_check(buffer_append(&buffer, BYTES("abc")));
	test_check(!buffer_reserve(&buffer, (size_t)1 << 60));
	test_equal_bytes(buffer_bytes(&buffer), BYTES("abc"));
	test_check(buffer_append(&buffer, BYTES("def")));
	test_equal_bytes(buffer_bytes(&buffer), BYTES("abcdef"));
	buffer_free(&buffer);
}

static void test_print(void **state)
{
	struct buffer buffer;

	(void)state;
	test_row("print");
	buffer_init(&buffer, 8);
	test_check(buffer_print(&buffer, "%s", ""));
	test_check(buffer_print(&buffer, "%s-%d", "abc", 42));
	test_check(!buffer_print(&buffer, "%s", "xyz"));
	test_equal_bytes(buffer_bytes(&buffer), BYTES("abc-42"));
	test_check(buffer_print(&buffer, "%s", "xy"));
	test_equal_bytes(buffer_bytes(&buffer), BYTES("abc-42xy"));
	buffer_wipe(&buffer);
	test_equal_bytes(buffer_bytes(&buffer), BYTES(""));
	test_check(buffer_print(&buffer, "again"));
	buffer_free(&buffer);
}

static void test_remove_front(void **state)
{
	struct buffer buffer;

	(void)state;
	test_row("remove front");
	buffer_init(&buffer, 100);
	buffer_remove_front(&buffer, 0);
	test_check(buffer_append(&buffer, BYTES("abcdef")));
	buffer_remove_front(&buffer, 0);
	test_equal_bytes(buffer_bytes(&buffer), BYTES("abcdef"));
	buffer_remove_front(&buffer, 2);
	test_equal_bytes(buffer_bytes(&buffer), BYTES("cdef"));
	buffer_remove_front(&buffer, 4);
	test_equal_bytes(buffer_bytes(&buffer), BYTES(""));
	test_check(buffer_append(&buffer, BYTES("g")));
	test_equal_bytes(buffer_bytes(&buffer), BYTES("g"));
	buffer_free(&buffer);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_compare),          cmocka_unit_test(test_parts),
	cmocka_unit_test(test_to_string),        cmocka_unit_test(test_append),
	cmocka_unit_test(test_reserve_overflow), cmocka_unit_test(test_print),
	cmocka_unit_test(test_no_memory),        cmocka_unit_test(test_remove_front),
};

TEST_MAIN(tests)
