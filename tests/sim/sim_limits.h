/*
 * sim_limits: included before every file of the store when it is built for the crash tests, with
 * small numbers in the place of large ones, so that a message of some kilobytes crosses every
 * border there is: of a draft's memory, of a read, of a piece of the journal.
 */
#ifndef SIM_LIMITS_H
#define SIM_LIMITS_H

#include "base/limits.h"

#undef DRAFT_MEMORY_MAX
#define DRAFT_MEMORY_MAX 4096
#undef STORE_READ_OCTETS
#define STORE_READ_OCTETS 4096
#undef JOURNAL_PIECE_OCTETS
#define JOURNAL_PIECE_OCTETS 512
#undef JOURNAL_LARGE_PIECE_OCTETS
#define JOURNAL_LARGE_PIECE_OCTETS 1024
#undef JOURNAL_HEADER_OCTETS
#define JOURNAL_HEADER_OCTETS 512

#endif
