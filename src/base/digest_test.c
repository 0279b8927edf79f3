/*
 * The examples of FIPS 180-4's companion ("SHA256.pdf"), whole and in pieces of every size.
 */
#include "base/test.h"

#include <string.h>

#include "base/digest.h"

static const struct row {
	const char *text, *hex;
} rows[] = {
	{"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
	{"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
	{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
	 "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
};

static void test_examples(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t digest[DIGEST_OCTETS];
		char hex[2 * DIGEST_OCTETS + 1];

		test_row(rows[i].text);
		assert_true(digest_of(bytes_of(rows[i].text), digest));
		digest_hex(digest, DIGEST_OCTETS, hex);
		assert_string_equal(hex, rows[i].hex);
		digest_hex(digest, 2, hex);
		assert_int_equal(strlen(hex), 4);
		assert_memory_equal(hex, rows[i].hex, 4);
	}
}

static void test_pieces(void **state)
{
	struct digest *digest = digest_new();

	(void)state;
	assert_non_null(digest);
	digest_begin(digest);
	digest_add(digest, BYTES("what is forgotten"));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t size = 1; size < 60; size++) {
			uint8_t out[DIGEST_OCTETS], whole[DIGEST_OCTETS];
			struct bytes left = bytes_of(rows[i].text);

			test_row(rows[i].text);
			digest_begin(digest);
			for (; left.length > 0; left = bytes_skip(left, size))
				digest_add(digest, bytes_first(left, size));
			digest_end(digest, out);
			assert_true(digest_of(bytes_of(rows[i].text), whole));
			assert_memory_equal(out, whole, DIGEST_OCTETS);
		}
	digest_free(digest);
}

const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_examples),
	cmocka_unit_test(test_pieces),
};

TEST_MAIN(tests)
