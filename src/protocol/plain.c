/*
 * plain: see plain.h. Must not know which names and passwords there are.
 */
#include "protocol/plain.h"

#include <string.h>

/* Cuts off the front up to a NUL, which goes too. */
static bool take_part(struct bytes *rest, struct bytes *part_out)
{
	const char *end = rest->length > 0 ? memchr(rest->data, '\0', rest->length) : NULL;

	if (end == NULL)
		return false;
	*part_out = bytes_first(*rest, (size_t)(end - rest->data));
	*rest = bytes_skip(*rest, part_out->length + 1);
	return true;
}

bool plain_parse(struct bytes message, struct plain *plain_out)
{
	struct bytes third;

	if (!take_part(&message, &plain_out->authorize) || !take_part(&message, &plain_out->user))
		return false;
	plain_out->password = message;
	return !take_part(&message, &third) && plain_out->user.length > 0 &&
	       plain_out->password.length > 0;
}
