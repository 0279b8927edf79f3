/*
 * progress: draws on standard error, and only where that is a terminal, so that logs stay clean.
 */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define REDRAW_MS 200

void progress_begin(struct progress *progress, const char *what, uint64_t total)
{
	*progress = (struct progress){
		.what = what,
		.total = total,
		.shown_ms = clock_monotonic_ms(),
		.terminal = isatty(STDERR_FILENO) == 1,
	};
}

void progress_show(struct progress *progress, uint64_t done)
{
	uint64_t now_ms;

	if (!progress->terminal)
		return;
	now_ms = clock_monotonic_ms();
	if (now_ms - progress->shown_ms < REDRAW_MS)
		return;
	progress->shown_ms = now_ms;
	progress->drawn = true;
	if (progress->total > 0)
		fprintf(stderr, "\r%llu of %llu %s", (unsigned long long)done,
			(unsigned long long)progress->total, progress->what);
	else
		fprintf(stderr, "\r%llu %s", (unsigned long long)done, progress->what);
	fflush(stderr);
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fprintf(stderr, "\r\033[K");
	progress->drawn = false;
}
