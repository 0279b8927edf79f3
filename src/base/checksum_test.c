/*
 * Tests of CRC-32C: the vectors of RFC 3720 appendix B.4, and the two paths against each other.
 */
#include "base/checksum.h"

#include "base/random.h"
#include "base/test.h"

/* An iSCSI READ (10) command, the last vector of the appendix. */
static const unsigned char read_command[48] = {
	0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0,    0, 0, 0,    0, 0, 0, 0,
	0x14, 0,    0, 0, 0, 0, 0x04, 0, 0,    0, 0, 0x14, 0, 0, 0, 0x18,
	0x28, 0,    0, 0, 0, 0, 0,    0, 0x02, 0, 0, 0,    0, 0, 0, 0};

static void fill(unsigned char *data, int kind)
{
	for (int i = 0; i < 32; i++)
		data[i] = (unsigned char)(kind == 0   ? 0
					  : kind == 1 ? 0xff
					  : kind == 2 ? i
						      : 31 - i);
}

static void test_vectors(void **state)
{
	static const uint32_t expected[] = {0x8a9136aa, 0x62a8ab43, 0x46dd794e, 0x113fdb5c};
	unsigned char data[32];

	(void)state;
	for (int plain = 0; plain < 2; plain++) {
		crc32c_set_plain(plain);
		for (int kind = 0; kind < 4; kind++) {
			fill(data, kind);
			assert_int_equal(crc32c(0, (struct bytes){(char *)data, 32}),
					 expected[kind]);
		}
		assert_int_equal(crc32c(0, (struct bytes){(const char *)read_command, 48}),
				 0xd9963a56);
		assert_int_equal(crc32c(0, BYTES("123456789")), 0xe3069283);
		assert_int_equal(crc32c(0, (struct bytes){NULL, 0}), 0);
	}
	crc32c_set_plain(false);
}

/* Lengths around every step of the fast path, at places that are not aligned. */
static void test_paths(void **state)
{
	static const size_t lengths[] = {0,    1,    7,    8,    9,    15,    63,    2047,  2048,
					 2049, 6143, 6144, 6145, 6152, 12287, 12288, 12289, 20000};
	static char data[20008];

	(void)state;
	random_set_for_tests(3720);
	random_octets(data, sizeof(data));
	random_set_for_tests(0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		for (size_t at = 0; at < 8; at++) {
			struct bytes text = {data + at, lengths[i]};
			uint32_t fast = crc32c(0x12345678, text);

			crc32c_set_plain(true);
			assert_int_equal(fast, crc32c(0x12345678, text));
			crc32c_set_plain(false);
		}
	}
}

static void test_split_and_combine(void **state)
{
	static char data[20000];
	struct bytes whole = {data, sizeof(data)};
	uint32_t expected;

	(void)state;
	random_set_for_tests(3721);
	random_octets(data, sizeof(data));
	random_set_for_tests(0);
	expected = crc32c(0, whole);
	for (size_t cut = 0; cut <= sizeof(data); cut += cut < 70 ? 1 : 997) {
		uint32_t a = crc32c(0, bytes_first(whole, cut));
		uint32_t b = crc32c(0, bytes_skip(whole, cut));

		assert_int_equal(crc32c(a, bytes_skip(whole, cut)), expected);
		assert_int_equal(crc32c_combine(a, b, sizeof(data) - cut), expected);
	}
	assert_int_equal(crc32c_combine(expected, 0, 0), expected);
}

/* Longer than any memory: zeroes by combining, 2^40 of them in two ways. */
static void test_combine_long(void **state)
{
	uint32_t zeroes = crc32c(0, BYTES("\0"));
	uint32_t doubled = zeroes;

	(void)state;
	for (unsigned power = 0; power < 40; power++)
		doubled = crc32c_combine(doubled, doubled, 1ULL << power);
	for (unsigned power = 0; power < 39; power++)
		zeroes = crc32c_combine(zeroes, zeroes, 1ULL << power);
	assert_int_equal(crc32c_combine(zeroes, zeroes, 1ULL << 39), doubled);
	assert_int_equal(crc32c_combine(doubled, crc32c(0, BYTES("a")), 1),
			 crc32c(doubled, BYTES("a")));
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_vectors),
	cmocka_unit_test(test_paths),
	cmocka_unit_test(test_split_and_combine),
	cmocka_unit_test(test_combine_long),
};

TEST_MAIN(tests)
