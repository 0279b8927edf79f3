/*
 * input: files that the user names on the command line ("-" is standard input).
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "base/bytes.h"
#include "base/error.h"

/* A descriptor (close-on-exec) or -1 with ERROR_NO_INPUT. "-" is a copy of standard input. */
int input_open(const char *name, struct error *error);

/* All octets of a file, at most the buffer's maximum: ERROR_TOO_LARGE past it. */
enum error_code input_read(const char *name, struct buffer *buffer, struct error *error);

/* The terminal the command was started from, to ask on; or -1. */
int input_open_terminal(void);

/* A folder and a file in an open folder, symbolic links not followed; or -1. */
int input_open_folder(int folder, const char *name);
int input_open_below(int folder, const char *name);

/* Calls with each name in a folder that does not begin with a dot; false means that memory has run
 * out. */
typedef bool input_name_callback(void *context, const char *name);
enum error_code input_each_name(int folder, input_name_callback *callback, void *context,
				struct error *error);

#endif
