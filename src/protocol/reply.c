/*
 * reply: reply lines, see reply.h. Must not know which replies there are.
 */
#include "protocol/reply.h"

#include <assert.h>
#include <string.h>

#define REPLY_LINE_MAX 512 /* RFC 2449 section 4, RFC 5321 section 4.5.3.1.5 */

static size_t add_word(char *line, size_t length, size_t room, const char *word)
{
	if (word == NULL || word[0] == '\0')
		return length;
	if (length > 0 && length < room)
		line[length++] = ' ';
	for (; *word != '\0' && length < room; word++)
		line[length++] = *word >= ' ' && *word <= '~' ? *word : '?';
	return length;
}

bool reply_append(struct buffer *output, const char *status, const char *code, const char *text,
		  size_t octets_max)
{
	char line[REPLY_LINE_MAX];
	size_t length = 0;

	assert(octets_max > 2 && octets_max <= sizeof(line));
	length = add_word(line, length, octets_max - 2, status);
	length = add_word(line, length, octets_max - 2, code);
	length = add_word(line, length, octets_max - 2, text);
	memcpy(line + length, "\r\n", 2);
	return buffer_append(output, (struct bytes){line, length + 2});
}
