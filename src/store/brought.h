/*
 * brought: unique-ids that messages bring along, compared with those an index knows.
 */
#ifndef STORE_BROUGHT_H
#define STORE_BROUGHT_H

#include "store/index.h"

/* Are those that `requests` bring along all new, in the index and among themselves? One walk for
 * all of them. Results: OK, EXISTS, IO. */
enum store_result brought_are_new(struct index *index, const struct delivery_request *requests,
				  size_t count, struct error *error);

#endif
