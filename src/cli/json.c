/*
 * json: one printing function for all listings. Strings in them are ASCII by construction (names,
 * unique-ids, escaped texts).
 */
#include "cli/json.h"

#include <stdio.h>
#include <sysexits.h>

int json_finish(const struct context *context, json_t *value)
{
	int result = value ? json_dumpf(value, stdout, JSON_INDENT(2) | JSON_ENSURE_ASCII) : -1;

	json_decref(value);
	if (result == 0) {
		putchar('\n');
		return EX_OK;
	}
	fprintf(stderr, "postern %s: the listing could not be written as JSON\n", context->name);
	return EX_OSERR;
}
