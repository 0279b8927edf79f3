/*
 * number: strict decimal numbers from text of a peer or a user (number.h).
 *
 * Guarantees: a number is taken whole or not at all, and never wraps.
 */
#include "base/number.h"

#define DECIMAL_DIGITS_MAX 20 /* of 2^64 - 1; more digits are noise even when they are zeroes */

bool number_parse(struct bytes text, uint64_t max, uint64_t *number_out)
{
	uint64_t number = 0;

	if (text.length == 0 || text.length > DECIMAL_DIGITS_MAX)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';

		if (digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, digit, &number))
			return false;
	}
	if (number > max)
		return false;
	*number_out = number;
	return true;
}

bool number_parse_hex32(struct bytes text, uint32_t *number_out)
{
	uint32_t number = 0;

	if (text.length != 8)
		return false;
	for (size_t i = 0; i < text.length; i++) {
		char octet = text.data[i];

		if (octet >= '0' && octet <= '9')
			number = number << 4 | (uint32_t)(octet - '0');
		else if (octet >= 'a' && octet <= 'f')
			number = number << 4 | (uint32_t)(octet - 'a' + 10);
		else
			return false;
	}
	*number_out = number;
	return true;
}
