/*
 * error: one table from codes to what programs, SMTP and POP3 clients understand, and the texts for
 * an operator (error.h).
 *
 * Guarantees: every text ends in a NUL and is cut visibly ("...") rather than silently; escaped
 * text is printable ASCII.
 *
 * Must not know who reports an error; it neither logs nor prints.
 */
#include "base/error.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

/*
 * A mail system that calls us keeps a message in its queue only for EX_TEMPFAIL, so whatever may
 * pass by itself is that, also an absent service and a full disk. What an operator must mend is 4yz
 * in SMTP all the same (the sender's message is not at fault) but [SYS/PERM] in POP3, where nobody
 * but the user would notice otherwise (RFC 3206 section 4).
 */
static const struct error_meaning meanings[ERROR_CODES] = {
	[ERROR_NONE] = {"none", EX_OK, "250 2.0.0", ""},
	[ERROR_USAGE] = {"usage", EX_USAGE, "501 5.5.4", ""},
	[ERROR_DATA] = {"data", EX_DATAERR, "554 5.6.0", "[SYS/PERM]"},
	[ERROR_NO_INPUT] = {"no-input", EX_NOINPUT, "451 4.3.0", "[SYS/PERM]"},
	[ERROR_NO_USER] = {"no-user", EX_NOUSER, "550 5.1.1", "[AUTH]"},
	[ERROR_NOT_LOCAL] = {"not-local", EX_NOUSER, "550 5.7.1", "[AUTH]"},
	[ERROR_DENIED] = {"denied", EX_NOPERM, "550 5.7.1", "[AUTH]"},
	[ERROR_IN_USE] = {"in-use", EX_TEMPFAIL, "451 4.2.0", "[IN-USE]"},
	[ERROR_TEMPORARY] = {"temporary", EX_TEMPFAIL, "451 4.3.0", "[SYS/TEMP]"},
	[ERROR_UNAVAILABLE] = {"unavailable", EX_TEMPFAIL, "451 4.3.2", "[SYS/TEMP]"},
	[ERROR_FULL] = {"full", EX_TEMPFAIL, "452 4.3.1", "[SYS/TEMP]"},
	[ERROR_QUOTA] = {"quota", EX_TEMPFAIL, "452 4.2.2", "[SYS/TEMP]"},
	[ERROR_TOO_LARGE] = {"too-large", EX_DATAERR, "552 5.3.4", "[SYS/PERM]"},
	[ERROR_IO] = {"io", EX_IOERR, "451 4.3.0", "[SYS/PERM]"},
	[ERROR_CONFIG] = {"config", EX_CONFIG, "451 4.3.5", "[SYS/PERM]"},
	[ERROR_SYSTEM] = {"system", EX_OSERR, "451 4.3.0", "[SYS/PERM]"},
	[ERROR_PROTOCOL] = {"protocol", EX_PROTOCOL, "554 5.5.0", ""},
	[ERROR_INTERNAL] = {"internal", EX_SOFTWARE, "451 4.3.0", "[SYS/TEMP]"},
};

const struct error_meaning *error_meaning(enum error_code code)
{
	assert((unsigned)code < ERROR_CODES);
	assert(meanings[code].name != NULL);
	return &meanings[code];
}

/* length is what snprintf says it would have written to the room. */
static void mark_cut(char *room, size_t room_octets, int length)
{
	if (length < 0)
		room[0] = '\0';
	else if ((size_t)length >= room_octets)
		memcpy(room + room_octets - 4, "...", 4);
}

/* Printed aside first, because an argument may be the old text of the same error. */
static void set_text(struct error *error, const char *format, va_list arguments)
{
	char text[ERROR_TEXT_MAX];

	mark_cut(text, sizeof(text), vsnprintf(text, sizeof(text), format, arguments));
	memcpy(error->text, text, strlen(text) + 1);
}

enum error_code error_set(struct error *error, enum error_code code, const char *format, ...)
{
	va_list arguments;

	assert((unsigned)code < ERROR_CODES);
	if (error == NULL)
		return code;
	va_start(arguments, format);
	set_text(error, format, arguments);
	va_end(arguments);
	error->code = code;
	return code;
}

static enum error_code code_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG: /* a limit of the process, or of the file system */
		return ERROR_FULL;
	case EIO:
		return ERROR_IO;
	case EMFILE:
	case ENFILE:
	case ENOMEM:
	case EAGAIN:
	case EINTR:
		return ERROR_TEMPORARY;
	default:
		return ERROR_SYSTEM;
	}
}

/* The cause is worth more than the end of a long name, so it is the words that are cut. */
static void append_cause(struct error *error, const char *cause)
{
	size_t room = ERROR_TEXT_MAX - strlen(cause) - 2;

	assert(strlen(cause) < ERROR_TEXT_MAX / 2);
	if (strlen(error->text) >= room)
		mark_cut(error->text, room, (int)room);
	memcpy(error->text + strlen(error->text), ": ", 3);
	memcpy(error->text + strlen(error->text), cause, strlen(cause) + 1);
}

enum error_code error_set_errno(struct error *error, int negative_errno, const char *format, ...)
{
	enum error_code code = code_of_errno(-negative_errno);
	const char *cause = strerrordesc_np(-negative_errno);
	va_list arguments;

	assert(negative_errno < 0);
	if (error == NULL)
		return code;
	va_start(arguments, format);
	set_text(error, format, arguments);
	va_end(arguments);
	append_cause(error, cause != NULL ? cause : "unknown error of the system");
	error->code = code;
	return code;
}

void error_prefix(struct error *error, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	struct error words;
	va_list arguments;

	if (error == NULL)
		return;
	va_start(arguments, format);
	set_text(&words, format, arguments);
	va_end(arguments);
	mark_cut(text, sizeof(text), snprintf(text, sizeof(text), "%s%s", words.text, error->text));
	memcpy(error->text, text, strlen(text) + 1);
}

static size_t escape_octet(unsigned char octet, char out[4])
{
	static const char digits[] = "0123456789abcdef";

	if (octet >= 0x20 && octet <= 0x7e && octet != '\\') {
		out[0] = (char)octet;
		return 1;
	}
	out[0] = '\\';
	out[1] = 'x';
	out[2] = digits[octet >> 4];
	out[3] = digits[octet & 15];
	return 4;
}

const char *error_escape(struct bytes text, char *room, size_t room_octets)
{
	size_t length = 0;
	size_t whole = 0; /* the longest escaped beginning that leaves room for the mark */
	char piece[4];

	assert(room_octets > 0);
	for (size_t i = 0; i < text.length; i++) {
		size_t more = escape_octet((unsigned char)text.data[i], piece);

		if (length + more >= room_octets) {
			size_t dots = room_octets - 1 - whole;

			length = whole + (dots < 3 ? dots : 3);
			memcpy(room + whole, "...", length - whole);
			break;
		}
		memcpy(room + length, piece, more);
		length += more;
		if (length + 3 < room_octets)
			whole = length;
	}
	room[length] = '\0';
	return room;
}
