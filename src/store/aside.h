/*
 * aside: what the stores have set aside of an account's maildrop, ROOT/journal/aside.ID.*, because
 * it had to leave the maildrop and nobody may drop it. `verify` names it; once it was looked after
 * (store_repair) it is called kept.ID.* and named no more.
 */
#ifndef STORE_ASIDE_H
#define STORE_ASIDE_H

#include "store/store.h"

/* All of these: 0 or a negative errno. */

/* Gives all of it its second name, durably, and says so. */
int aside_keep(const struct store_root *root, uint64_t account, struct findings *findings);

/* Removes all of it, under both names. */
int aside_erase(const struct store_root *root, uint64_t account);

#endif
