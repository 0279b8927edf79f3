/*
 * password: where a password comes from: a terminal or a file, never an argument.
 */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include "base/bytes.h"
#include "base/error.h"

/* The password for `account`: the one line of `file`, or, without a file, typed twice on the
 * terminal without being shown. Checked by secret_check_password(). The buffer is the caller's,
 * who wipes it. */
enum error_code password_read(const char *file, const char *account, struct buffer *password,
			      struct error *error);

#endif
