/*
 * input: files that the user names on the command line ("-" is standard input), and passwords.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/bytes.h"
#include "base/error.h"

/* A descriptor (close-on-exec) or -1 with ERROR_NO_INPUT. "-" is a copy of standard input. */
int input_open(const char *name, struct error *error);

/* All octets of a file, at most the buffer's maximum: ERROR_TOO_LARGE past it. */
enum error_code input_read(const char *name, struct buffer *buffer, struct error *error);

/* The password for `account`: the one line of `file`, or, without a file, typed twice on the
 * terminal without being shown. Checked by secret_check_password(). The buffer is the caller's,
 * who wipes it. */
enum error_code input_password(const char *file, const char *account, struct buffer *password,
			       struct error *error);

#endif
