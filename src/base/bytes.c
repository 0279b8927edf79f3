/*
 * bytes: octets with a length, and buffers with a hard limit (bytes.h).
 *
 * Guarantees: no function looks for a NUL in text of a peer; a buffer never holds more than its
 * maximum; a failed call leaves the buffer as it was. A buffer always has one spare octet behind
 * its capacity, so that vsnprintf's NUL needs no room that the maximum does not give.
 *
 * Must not know what the octets mean.
 */
#include "base/bytes.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_CAPACITY 64 /* most lines and replies; an idle session should not hold more */

struct bytes bytes_of(const char *text)
{
	assert(text != NULL);
	return (struct bytes){text, strlen(text)};
}

bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static char ascii_lower(char octet)
{
	return octet >= 'A' && octet <= 'Z' ? (char)(octet + ('a' - 'A')) : octet;
}

bool bytes_equal_nocase(struct bytes a, struct bytes b)
{
	if (a.length != b.length)
		return false;
	for (size_t i = 0; i < a.length; i++) {
		if (ascii_lower(a.data[i]) != ascii_lower(b.data[i]))
			return false;
	}
	return true;
}

bool bytes_start_with(struct bytes text, struct bytes prefix)
{
	return text.length >= prefix.length &&
	       bytes_equal(bytes_first(text, prefix.length), prefix);
}

struct bytes bytes_skip(struct bytes text, size_t count)
{
	if (count > text.length)
		count = text.length;
	if (count == 0)
		return text;
	return (struct bytes){text.data + count, text.length - count};
}

struct bytes bytes_first(struct bytes text, size_t count)
{
	return (struct bytes){text.data, count < text.length ? count : text.length};
}

bool bytes_to_string(struct bytes text, char *room, size_t room_octets)
{
	assert(room_octets > 0);
	room[0] = '\0';
	if (text.length >= room_octets)
		return false;
	if (text.length == 0)
		return true;
	if (memchr(text.data, '\0', text.length) != NULL)
		return false;
	memcpy(room, text.data, text.length);
	room[text.length] = '\0';
	return true;
}

void buffer_init(struct buffer *buffer, size_t max)
{
	assert(max < SIZE_MAX); /* the spare octet */
	*buffer = (struct buffer){.max = max};
}

void buffer_free(struct buffer *buffer)
{
	free(buffer->data);
	buffer_init(buffer, buffer->max);
}

/* Growth by realloc may have left copies behind: who keeps secrets reserves their room first. */
void buffer_wipe(struct buffer *buffer)
{
	if (buffer->data != NULL)
		explicit_bzero(buffer->data, buffer->capacity + 1);
	buffer_free(buffer);
}

static size_t grown_capacity(const struct buffer *buffer, size_t needed)
{
	size_t capacity = buffer->capacity > 0 ? buffer->capacity : FIRST_CAPACITY;

	while (capacity < needed && capacity <= buffer->max / 2)
		capacity *= 2;
	if (capacity < needed || capacity > buffer->max)
		capacity = buffer->max;
	return capacity;
}

bool buffer_reserve(struct buffer *buffer, size_t more)
{
	size_t capacity;
	char *data;

	if (more > buffer->max - buffer->length)
		return false;
	if (buffer->data != NULL && more <= buffer->capacity - buffer->length)
		return true;
	capacity = grown_capacity(buffer, buffer->length + more);
	data = realloc(buffer->data, capacity + 1);
	if (data == NULL)
		return false;
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

bool buffer_append(struct buffer *buffer, struct bytes text)
{
	if (text.length == 0)
		return true;
	if (!buffer_reserve(buffer, text.length))
		return false;
	memcpy(buffer->data + buffer->length, text.data, text.length);
	buffer->length += text.length;
	return true;
}

bool buffer_print(struct buffer *buffer, const char *format, ...)
{
	va_list arguments;
	bool done;

	va_start(arguments, format);
	done = buffer_vprint(buffer, format, arguments);
	va_end(arguments);
	return done;
}

bool buffer_vprint(struct buffer *buffer, const char *format, va_list arguments)
{
	va_list measured;
	int length;

	va_copy(measured, arguments);
	length = vsnprintf(NULL, 0, format, measured);
	va_end(measured);
	if (length < 0 || !buffer_reserve(buffer, (size_t)length))
		return false;
	vsnprintf(buffer->data + buffer->length, (size_t)length + 1, format, arguments);
	buffer->length += (size_t)length;
	return true;
}

void buffer_remove_front(struct buffer *buffer, size_t count)
{
	assert(count <= buffer->length);
	buffer->length -= count;
	if (count > 0 && buffer->length > 0)
		memmove(buffer->data, buffer->data + count, buffer->length);
}

struct bytes buffer_bytes(const struct buffer *buffer)
{
	return (struct bytes){buffer->data, buffer->length};
}
