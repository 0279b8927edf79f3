/*
 * secret: passwords and what they are verified against.
 *
 * A verifier is a PHC string of argon2id, as libsodium writes it ("$argon2id$v=19$m=…,t=…,p=1$…").
 * Made with SECRET_MEMORY_OCTETS and SECRET_PASSES (OWASP's first recommendation); one that was
 * imported may ask for more, up to SECRET_MEMORY_MAX and SECRET_PASSES_MAX, so that a row of a
 * database cannot take the machine down.
 */
#ifndef ACCOUNTS_SECRET_H
#define ACCOUNTS_SECRET_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"

/* Once a process, before the others. */
void secret_init(void);

/* 1 to PASSWORD_MAX octets, any but NUL, CR and LF; ERROR_DATA with the reason. */
enum error_code secret_check_password(struct bytes password, struct error *error);

/* Takes some 20 ms and SECRET_MEMORY_OCTETS. ERROR_TEMPORARY when memory has run out. */
enum error_code secret_hash(struct bytes password, char verifier_out[VERIFIER_MAX + 1],
			    struct error *error);

/* Is this a verifier we can use? Syntax and bounds; ERROR_DATA with the reason. */
enum error_code secret_check_verifier(struct bytes verifier, struct error *error);

/* ERROR_NONE when the password is right, ERROR_DENIED when it is wrong, ERROR_TEMPORARY when there
 * was no memory to find out. A wrong one takes as long. A NULL verifier (no such account) takes the
 * time of a hash as well and is DENIED, so that accounts cannot be guessed by the clock. */
enum error_code secret_verify(const char *verifier, struct bytes password);

void secret_wipe(void *data, size_t size); /* a memset the compiler keeps */

/* ---- remembered successes ----
 * Spares the hash, never the row: keyed by HMAC under a random key of this start over account,
 * verifier and password, so that a changed password or a disabled account counts at once. Fixed
 * memory; old entries give way. */
struct secret_cache;
struct secret_cache *secret_cache_new(size_t entries);
void secret_cache_free(struct secret_cache *cache);
bool secret_cache_has(struct secret_cache *cache, uint64_t account, const char *verifier,
		      struct bytes password);
void secret_cache_add(struct secret_cache *cache, uint64_t account, const char *verifier,
		      struct bytes password);

#endif
