/*
 * maildir_name: see maildir_name.h.
 *
 * Guarantees: a name counts as ours only when maildir_name_make() would write it exactly so.
 */
#include "store/maildir_name.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/digest.h"
#include "base/number.h"
#include "base/random.h"

#define SECOND_MAX      9999999999ULL /* ten digits, until 2286 */
#define UID_HASH_OCTETS 16

static size_t digits(struct bytes text)
{
	size_t count = 0;
	while (count < text.length && text.data[count] >= '0' && text.data[count] <= '9')
		count++;
	return count;
}

/* Takes a number from the front; false when there is none that fits. */
static bool take_number(struct bytes *text, uint64_t max, uint64_t *number_out)
{
	struct bytes number = bytes_first(*text, digits(*text));
	if (!number_parse(number, max, number_out))
		return false;
	*text = bytes_skip(*text, number.length);
	return true;
}

static bool take(struct bytes *text, struct bytes prefix)
{
	if (!bytes_start_with(*text, prefix))
		return false;
	*text = bytes_skip(*text, prefix.length);
	return true;
}

static void print(const struct maildir_name *name, uint64_t random,
		  char name_out[MAILDIR_NAME_MAX + 1])
{
	snprintf(name_out, MAILDIR_NAME_MAX + 1,
		 "%010" PRIu64 ".M%06" PRIu32 "R%016" PRIx64 ",S=%" PRIu64 ",W=%" PRIu64
		 ",C=%08" PRIx32,
		 name->second, name->microsecond, random, name->length, name->octets,
		 name->checksum);
}

/* `rest` is what follows the microseconds. */
static bool parse_own(struct maildir_name *name, struct bytes rest)
{
	char again[MAILDIR_NAME_MAX + 1];
	uint32_t high, low;
	if (!take(&rest, BYTES("R")) || !number_parse_hex32(bytes_first(rest, 8), &high) ||
	    !number_parse_hex32(bytes_first(bytes_skip(rest, 8), 8), &low))
		return false;
	rest = bytes_skip(rest, 16);
	if (!take(&rest, BYTES(",S=")) || !take_number(&rest, UINT64_MAX, &name->length) ||
	    !take(&rest, BYTES(",W=")) || !take_number(&rest, UINT64_MAX, &name->octets) ||
	    !take(&rest, BYTES(",C=")) || !number_parse_hex32(rest, &name->checksum))
		return false;
	print(name, (uint64_t)high << 32 | low, again);
	return bytes_equal(bytes_of(again), name->base);
}

/* Base name and time; `rest_out` is what follows them, empty without a microsecond. */
static struct maildir_name parse_time(const char *text, struct bytes *rest_out)
{
	struct maildir_name name = {.base = {text, strcspn(text, ":")}};
	struct bytes rest = name.base;
	uint64_t microsecond;
	*rest_out = (struct bytes){0};
	if (!take_number(&rest, INT64_MAX, &name.second))
		return name;
	if (!take(&rest, BYTES(".M")) || !take_number(&rest, 999999, &microsecond))
		return name;
	name.microsecond = (uint32_t)microsecond;
	*rest_out = rest;
	return name;
}

struct maildir_name maildir_name_when(const char *text)
{
	struct bytes rest;
	return parse_time(text, &rest);
}

struct maildir_name maildir_name_parse(const char *text)
{
	struct bytes rest;
	struct maildir_name name = parse_time(text, &rest);
	name.own = name.second <= SECOND_MAX && parse_own(&name, rest);
	return name;
}

int maildir_name_compare(const struct maildir_name *a, const struct maildir_name *b)
{
	size_t shorter = a->base.length < b->base.length ? a->base.length : b->base.length;
	if (a->second != b->second)
		return a->second < b->second ? -1 : 1;
	if (a->microsecond != b->microsecond)
		return a->microsecond < b->microsecond ? -1 : 1;
	int order = memcmp(a->base.data, b->base.data, shorter);
	return order != 0 ? order : (a->base.length > shorter) - (b->base.length > shorter);
}

static bool can_be_uid(struct bytes base)
{
	for (size_t i = 0; i < base.length; i++)
		if (base.data[i] < 0x21 || base.data[i] > 0x7E)
			return false;
	return base.length >= 1 && base.length <= UID_MAX;
}

bool maildir_name_uid(const char *text, char uid_out[UID_MAX + 1])
{
	struct bytes base = {text, strcspn(text, ":")};
	uint8_t hash[DIGEST_OCTETS];
	if (can_be_uid(base))
		return bytes_to_string(base, uid_out, UID_MAX + 1);
	if (!digest_of(base, hash))
		return false;
	digest_hex(hash, UID_HASH_OCTETS, uid_out);
	return true;
}

void maildir_name_make(uint64_t microseconds, uint64_t length, uint64_t octets, uint32_t checksum,
		       char name_out[MAILDIR_NAME_MAX + 1])
{
	uint64_t random, second = microseconds / 1000000;
	struct maildir_name name = {
		.second = second < SECOND_MAX ? second : SECOND_MAX,
		.microsecond = (uint32_t)(microseconds % 1000000),
		.length = length,
		.octets = octets,
		.checksum = checksum,
	};
	random_octets(&random, sizeof random);
	print(&name, random, name_out);
}
