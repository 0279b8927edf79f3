/*
 * number: strict decimal numbers from text of a peer or a user. Digits only: no sign, no space, no
 * base prefix; empty, too long and too large are failures, never wrapped ("LIST 4294967297" is not
 * LIST 1).
 */
#ifndef BASE_NUMBER_H
#define BASE_NUMBER_H

#include <stdint.h>

#include "base/bytes.h"

bool number_parse(struct bytes text, uint64_t max, uint64_t *number_out);
bool number_parse_hex32(struct bytes text, uint32_t *number_out); /* exactly 8 lower-case digits */

#endif
