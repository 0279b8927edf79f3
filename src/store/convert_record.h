/*
 * convert_record: ROOT/journal/ID.move, which says from where to where a maildrop is being
 * converted, and which messages. It is there, durably, from before the first octet in the new place
 * until the old one is gone. What it names has been copied when the account is in the new place: it
 * is not copied again, or messages that were deleted there since would come back.
 */
#ifndef STORE_CONVERT_RECORD_H
#define STORE_CONVERT_RECORD_H

#include "store/store.h"
#include "store/uid_set.h"

/* All of these: 0 or a negative errno. */

int convert_record_write(const struct store_root *root, const struct place *from,
			 const struct place *to, const struct uid_set *moving);

/* -ENOENT: there is none. -EBADMSG: it is not what was written. With 0, moving_out is to be freed.
 */
int convert_record_read(const struct store_root *root, uint64_t account, struct place *from_out,
			struct place *to_out, struct uid_set *moving_out);

int convert_record_remove(const struct store_root *root, uint64_t account);

#endif
