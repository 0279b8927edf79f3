/*
 * progress: one line on a terminal that tells how far long work has come; nothing anywhere else.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what; /* "passwords hashed" */
	uint64_t total;   /* 0: not known */
	uint64_t shown_ms;
	bool terminal, drawn;
};

void progress_begin(struct progress *progress, const char *what, uint64_t total);
void progress_show(struct progress *progress, uint64_t done); /* draws a few times a second */
void progress_end(struct progress *progress);                 /* takes the line away */

#endif
