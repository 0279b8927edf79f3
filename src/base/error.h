/*
 * error: what the world did to us, in one shape.
 *
 * Three kinds of failure, never mixed (docs/design/0002-errors.md):
 *   - our own mistake is an assert(), kept in release builds;
 *   - the world's failure (disk, memory, a missing user) is a `struct error`, returned upward and
 *     reported exactly once, by whoever decides what happens next;
 *   - the peer's failure (a bad command, a line too long) is an event or a reply of the engine.
 *
 * The code is decided where the failure arises, because only there is it known whether trying
 * again can help. One table maps it to a sysexits code, an SMTP reply with its enhanced status
 * code (RFC 3463) and a POP3 response code (RFC 2449, 3206).
 *
 * The text is one line for an operator: what failed, on what, why, what to do. It never holds a
 * secret; octets from outside are escaped with error_escape() first.
 */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include "base/bytes.h"

enum error_code {
	ERROR_NONE,
	ERROR_USAGE,	 /* the command line is wrong */
	ERROR_DATA,	 /* input that is not what it should be */
	ERROR_NO_INPUT,	 /* a file named by the user cannot be read */
	ERROR_NO_USER,	 /* no such account or address */
	ERROR_NOT_LOCAL, /* nobody here: the address is of a domain that is not ours */
	ERROR_DENIED,	 /* wrong credentials, disabled, or not permitted */
	ERROR_IN_USE,	 /* somebody else holds the exclusive-access lock */
	ERROR_TEMPORARY, /* later, without anyone doing anything, it may work */
	ERROR_UNAVAILABLE, /* a service that is needed does not answer */
	ERROR_FULL,	 /* no room: disk or quota */
	ERROR_QUOTA,	 /* the account may hold no more */
	ERROR_TOO_LARGE, /* past a limit of ours */
	ERROR_IO,	 /* the disk failed */
	ERROR_CONFIG,	 /* the instance is set up wrongly */
	ERROR_SYSTEM,	 /* the operating system refused something it should give */
	ERROR_PROTOCOL,	 /* the other side broke the protocol */
	ERROR_INTERNAL,	 /* should not happen, but not worth a crash */
	ERROR_CODES
};

#define ERROR_TEXT_MAX 320 /* octets with the NUL; longer texts are cut */

struct error {
	enum error_code code;
	char text[ERROR_TEXT_MAX];
};

struct error_meaning {
	const char *name;	   /* for JSON and logs: "in-use" */
	int exit_code;		   /* sysexits.h */
	const char *smtp;	   /* "451 4.3.0", without a text */
	const char *pop3_response; /* "[SYS/TEMP]" or "" */
};

/* Every code has a row; an unknown code is a bug (assert). */
const struct error_meaning *error_meaning(enum error_code code);

/* Sets code and text. `error` may be NULL: then nothing is kept. Returns the code, so that
 * `return error_set(…)` reads well. */
enum error_code error_set(struct error *error, enum error_code code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The same from a negative errno as base/file.h returns it: ENOSPC, EDQUOT and EFBIG are FULL, EIO is IO,
 * EMFILE, ENFILE, ENOMEM, EAGAIN and EINTR are TEMPORARY, EACCES, EPERM and EROFS are SYSTEM, any
 * other SYSTEM. Appends ": " and the system's text. */
enum error_code error_set_errno(struct error *error, int negative_errno, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts words in front: "while opening the maildrop of …: ". The code stays. */
void error_prefix(struct error *error, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Escapes text for logs, terminals and error texts: printable ASCII stays, everything else and the
 * backslash become \xHH. Always terminates; cuts with "..." when room is short. Returns room. */
const char *error_escape(struct bytes text, char *room, size_t room_octets);

#endif
