/*
 * trial: test builds only. A worker tries what its sandbox is to refuse, so that a test can prove
 * it from inside a live one.
 */
#ifndef SERVER_TRIAL_H
#define SERVER_TRIAL_H

#include "base/bytes.h"

/* `open PATH`, `create PATH`, `exec PATH`, `connect PATH` (a unix socket), `socket`, `ptrace`,
 * `fork`, `signal`: "allowed", "refused: EACCES" and so on, or "what?". */
#define TRIAL_OCTETS 64
const char *trial_run(struct bytes argument, char outcome[TRIAL_OCTETS]);

#endif
