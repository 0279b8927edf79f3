/*
 * convert_record: ROOT/journal/ID.move, which says from where to where a maildrop is being
 * converted. It is there, durably, from before the first octet in the new place until the old one
 * is gone.
 */
#ifndef STORE_CONVERT_RECORD_H
#define STORE_CONVERT_RECORD_H

#include "store/store.h"

/* All of these: 0 or a negative errno. */

int convert_record_write(const struct store_root *root, const struct place *from,
			 const struct place *to);

/* -ENOENT: there is none. -EBADMSG: it is not what was written. */
int convert_record_read(const struct store_root *root, uint64_t account, struct place *from_out,
			struct place *to_out);

int convert_record_remove(const struct store_root *root, uint64_t account);

#endif
