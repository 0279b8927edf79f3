/*
 * landlock: the kernel's rules about files, sockets and signals, for server/sandbox.c. The numbers
 * are the kernel's interface (Documentation/userspace-api/landlock.rst), written out because the
 * system's header may be older than the kernel the program runs on.
 */
#ifndef SERVER_LANDLOCK_H
#define SERVER_LANDLOCK_H

#include <stddef.h>

#include "base/error.h"

/* Below these directories the calling thread, and those it starts, may from now on read, write,
 * make, rename and remove files and folders, and nothing else anywhere; no TCP port is bound or
 * connected (kernel 6.7), no signal and no abstract socket leaves the process (6.12). Needs
 * no_new_privs. *there_out: false, and nothing is done, where the kernel has no Landlock. */
enum error_code landlock_enter(const int *directories, size_t count, bool *there_out,
			       struct error *error);

#endif
