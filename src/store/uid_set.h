/*
 * uid_set: the unique-ids of one open maildrop, to be asked whether one is among them; 71 octets a
 * message.
 */
#ifndef STORE_UID_SET_H
#define STORE_UID_SET_H

#include "store/store.h"

struct uid_set {
	char (*list)[UID_MAX + 1]; /* sorted */
	size_t count;
};

/* Results: OK, CHANGED, IO; with any of them it may be freed. */
enum store_result uid_set_take(struct uid_set *set_out, struct maildrop *maildrop,
			       struct error *error);
bool uid_set_has(const struct uid_set *set, const char *uid);
void uid_set_free(struct uid_set *set);

#endif
