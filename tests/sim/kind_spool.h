/* kind_spool: what cannot be explored, because the model or the other program cannot be cut with
 * it; for spool_others_test. */
#ifndef KIND_SPOOL_H
#define KIND_SPOOL_H

#include "world.h"

/* The maildrop begins with message 0. */
void spool_flagged_amid_a_session(struct world *world);
void spool_altered_amid_a_session(struct world *world);
void spool_see_flagged(struct world *world);
void spool_see_altered(struct world *world);
void spool_dotlock_held(struct world *world);
void spool_replaced_while_locked(struct world *world);

#endif
