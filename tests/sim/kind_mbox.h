/* kind_mbox: a maildrop that its replay_test begins with, too. */
#ifndef KIND_MBOX_H
#define KIND_MBOX_H

#include "world.h"

/* Six messages, and the journal of a removal of the first and the fourth that was cut half way. */
void scenario_journal_left(struct world *world);

#endif
