/*
 * output: a file or a folder that the user names to be made: there whole, and on stable storage, or
 * not at all. It is written under another name beside it (.NAME.postern-PID) and gets its own in
 * the end. What is there already is never replaced.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

#define OUTPUT_NAME_OCTETS 256

struct output {
	int parent; /* the folder it is in */
	int place;  /* a file to write to; of a Maildir its new/ */
	int top;    /* of a Maildir itself; else -1 */
	char name[OUTPUT_NAME_OCTETS];
	char temporary[OUTPUT_NAME_OCTETS + 32];
};

/* A file, mode 0600. ERROR_DATA when there is something of this name. */
enum error_code output_open_file(const char *path, struct output *output_out, struct error *error);

/* A Maildir, which belongs to this user. */
enum error_code output_open_maildir(const char *path, uid_t uid, gid_t gid,
				    struct output *output_out, struct error *error);

/* A file in new/ of a Maildir; to be ended with output_end_message(), which syncs and closes it. */
enum error_code output_begin_message(const struct output *output, const char *name, int *file_out,
				     struct error *error);
enum error_code output_end_message(int file, struct error *error);

/* Writes all octets. */
enum error_code output_write(int file, struct bytes octets, struct error *error);

/* Syncs it and gives it its name; as the user who opened it. */
enum error_code output_finish(const struct output *output, struct error *error);
void output_abandon(const struct output *output);
void output_close(struct output *output);

#endif
