/*
 * landlock: the kernel's rules about files, sockets and signals, for server/sandbox.c. The numbers
 * are the kernel's interface (Documentation/userspace-api/landlock.rst), written out because the
 * system's header may be older than the kernel the program runs on.
 */
#ifndef SERVER_LANDLOCK_H
#define SERVER_LANDLOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

/* Below these directories the calling thread, and those it starts, may from now on read, write,
 * make, rename and remove files and folders, and nothing else anywhere; no TCP port is bound or
 * connected (kernel 6.7), no signal and no abstract socket leaves the process (6.12). Needs
 * no_new_privs. `moves`: files are moved from one folder to another, as a delivery to a Maildir
 * does. Version 1 (kernels 5.13 to 5.18) refuses that to whoever is inside, and no right gives it
 * back. *there_out: false, and nothing is done, where there is no Landlock, or none that allows
 * that. */
enum error_code landlock_enter(long known, const int *directories, size_t count, bool moves,
			       bool *there_out, struct error *error);

/* Of the kernel's interface; 0: there is none. */
long landlock_version(void);

#endif
