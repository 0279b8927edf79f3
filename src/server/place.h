/*
 * place: from an account, as the directory knows it, to the place of its maildrop, as the stores
 * know it. The only file that sees both.
 */
#ifndef SERVER_PLACE_H
#define SERVER_PLACE_H

#include "accounts/directory.h"
#include "store/store.h"

/* ERROR_CONFIG when the account names a store or a mail root that this program does not have. */
enum error_code place_of_account(const struct account *account, struct place *place_out,
				 struct error *error);

#endif
