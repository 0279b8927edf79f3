/*
 * bytes: octets with a length, and buffers with a hard limit.
 *
 * A NUL is an octet like any other; nothing in Postern looks for one in mail or in what a peer
 * sent. A buffer is told its maximum when it is made; growing past it is an error of the caller's
 * peer (a line too long, a list too large), never an allocation.
 *
 * Ownership: a `struct bytes` borrows; a `struct buffer` owns its memory until buffer_free().
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct bytes {
	const char *data; /* may be NULL when length is 0 */
	size_t length;
};

#define BYTES(literal) ((struct bytes){(literal), sizeof(literal) - 1})

struct bytes bytes_of(const char *text); /* a NUL-terminated string of our own, never a peer's */
bool bytes_equal(struct bytes a, struct bytes b);
bool bytes_equal_nocase(struct bytes a, struct bytes b); /* ASCII only, no locale */
bool bytes_start_with(struct bytes text, struct bytes prefix);
struct bytes bytes_skip(struct bytes text, size_t count); /* count is cut to the length */
struct bytes bytes_first(struct bytes text, size_t count);

/* Copies text and a terminating NUL to room; false (and an empty string) when it does not fit or
 * holds a NUL itself. */
bool bytes_to_string(struct bytes text, char *room, size_t room_octets);

struct buffer {
	char *data;
	size_t length;	 /* octets in use */
	size_t capacity; /* octets allocated; private */
	size_t max;	 /* the most it will ever hold */
};

void buffer_init(struct buffer *buffer, size_t max);
void buffer_free(struct buffer *buffer); /* gives the memory back; the buffer stays usable */
void buffer_wipe(struct buffer *buffer); /* zeroes what it held first, for secrets */

/* Each returns false, and leaves the buffer as it was, when the maximum would be passed or memory
 * has run out. */
bool buffer_reserve(struct buffer *buffer, size_t more); /* room for more octets behind length */
bool buffer_append(struct buffer *buffer, struct bytes text);
bool buffer_print(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
bool buffer_vprint(struct buffer *buffer, const char *format, va_list arguments);

void buffer_remove_front(struct buffer *buffer, size_t count);
struct bytes buffer_bytes(const struct buffer *buffer);

#endif
