/*
 * base64: see base64.h. Must not know what the octets are.
 */
#include "protocol/base64.h"

#include <stdint.h>

#define NO_DIGIT 64

static unsigned digit(char octet)
{
	if (octet >= 'A' && octet <= 'Z')
		return (unsigned)(octet - 'A');
	if (octet >= 'a' && octet <= 'z')
		return (unsigned)(octet - 'a') + 26;
	if (octet >= '0' && octet <= '9')
		return (unsigned)(octet - '0') + 52;
	if (octet == '+')
		return 62;
	return octet == '/' ? 63 : NO_DIGIT;
}

static size_t padding(struct bytes text)
{
	size_t count = 0;

	while (count < 2 && text.data[text.length - 1 - count] == '=')
		count++;
	return count;
}

/* Four digits, of which the last `padded` are '='; writes 3 - padded octets. */
static bool decode_group(const char *group, size_t padded, char *out)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		unsigned value = i < 4 - padded ? digit(group[i]) : 0;

		if (value == NO_DIGIT)
			return false;
		bits = bits << 6 | value;
	}
	if ((bits & ((1U << 8 * padded) - 1)) != 0)
		return false;
	for (size_t i = 0; i < 3 - padded; i++)
		out[i] = (char)(bits >> (16 - 8 * i));
	return true;
}

bool base64_decode(struct bytes text, char *out, size_t *length_out)
{
	*length_out = 0;
	if (text.length % 4 != 0)
		return false;
	for (size_t at = 0; at < text.length; at += 4) {
		size_t padded = at + 4 == text.length ? padding(text) : 0;

		if (!decode_group(text.data + at, padded, out + *length_out))
			return false;
		*length_out += 3 - padded;
	}
	return true;
}
