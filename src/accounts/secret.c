/*
 * secret: argon2id verifiers by libsodium, and a table of passwords that were right before.
 *
 * What is verified is bounded before it is computed: a verifier that asks for more memory or passes
 * than secret.h allows is refused, and its login costs as much as any other wrong one. The table
 * keeps digests only, under a key that dies with the process.
 *
 * Must not know: the database, who asks, penalties.
 */
#include "accounts/secret.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/number.h"

#define LANES_MAX     16 /* argon2's p: other programs write 1 to 8 */
#define SALT_MIN      8  /* octets; RFC 9106 section 3.1 */
#define HASH_MIN      16 /* octets; shorter ones could be guessed */
#define FIELD_MAX     64 /* octets of salt or hash, decoded */
#define DIGEST_OCTETS 32
#define SET_ENTRIES   4 /* entries a digest may stand in */

_Static_assert(crypto_pwhash_STRBYTES - 1 <= VERIFIER_MAX, "a verifier of ours fits its field");

/* What a password is compared with when there is nothing to compare it with: it costs what one of
 * ours costs (SECRET_MEMORY_OCTETS, SECRET_PASSES) and no password is known for it. */
static const char nobody[VERIFIER_MAX + 1] =
	"$argon2id$v=19$m=19456,t=2,p=1$cG9zdGVybiBub2JvZHkhIQ$"
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
_Static_assert(SECRET_MEMORY_OCTETS == 19456u * 1024 && SECRET_PASSES == 2,
	       "nobody costs as much as everybody");

void secret_init(void)
{
	int result = sodium_init();

	assert(result >= 0);
}

enum error_code secret_check_password(struct bytes password, struct error *error)
{
	if (password.length == 0)
		return error_set(error, ERROR_DATA, "the password is empty");
	if (password.length > PASSWORD_MAX)
		return error_set(error, ERROR_DATA, "the password is longer than %d octets",
				 PASSWORD_MAX);
	for (size_t i = 0; i < password.length; i++) {
		char octet = password.data[i];

		if (octet == '\0' || octet == '\r' || octet == '\n')
			return error_set(error, ERROR_DATA,
					 "the password holds a NUL or a line end, which POP3 "
					 "cannot carry");
	}
	return ERROR_NONE;
}

enum error_code secret_hash(struct bytes password, char verifier_out[VERIFIER_MAX + 1],
			    struct error *error)
{
	char made[crypto_pwhash_STRBYTES];
	enum error_code code = secret_check_password(password, error);

	*verifier_out = '\0';
	if (code != ERROR_NONE)
		return code;
	if (crypto_pwhash_str_alg(made, password.data, password.length, SECRET_PASSES,
				  SECRET_MEMORY_OCTETS, crypto_pwhash_ALG_ARGON2ID13) != 0)
		return error_set(error, ERROR_TEMPORARY,
				 "no memory to hash a password (%u MiB are needed)",
				 SECRET_MEMORY_OCTETS / (1024 * 1024));
	memcpy(verifier_out, made, sizeof(made));
	return ERROR_NONE;
}

/* ---- reading a PHC string ---- */

static bool take_literal(struct bytes *rest, struct bytes literal)
{
	if (!bytes_start_with(*rest, literal))
		return false;
	*rest = bytes_skip(*rest, literal.length);
	return true;
}

/* Everything up to `stop`, which is taken too, or to the end where stop is NUL. */
static struct bytes take_until(struct bytes *rest, char stop)
{
	const char *found = rest->length && stop ? memchr(rest->data, stop, rest->length) : NULL;
	struct bytes field = found ? bytes_first(*rest, (size_t)(found - rest->data)) : *rest;

	*rest = bytes_skip(*rest, field.length + (found ? 1 : 0));
	return field;
}

/* libsodium refuses a leading zero, so we do. */
static bool take_number(struct bytes *rest, struct bytes key, char stop, uint64_t *number_out)
{
	struct bytes digits;

	if (!take_literal(rest, key))
		return false;
	digits = take_until(rest, stop);
	return digits.length > 0 && digits.data[0] != '0' &&
	       number_parse(digits, UINT32_MAX, number_out);
}

static bool is_base64(struct bytes text, size_t octets_min)
{
	unsigned char decoded[FIELD_MAX];
	size_t octets = 0;

	return sodium_base642bin(decoded, sizeof(decoded), text.data, text.length, NULL, &octets,
				 NULL, sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0 &&
	       octets >= octets_min;
}

static const char *verifier_fault(struct bytes verifier)
{
	uint64_t memory_kib, passes, lanes;

	if (verifier.length > VERIFIER_MAX)
		return "it is longer than 255 octets";
	if (!take_literal(&verifier, BYTES("$argon2id$")))
		return "it does not begin with $argon2id$";
	if (!take_literal(&verifier, BYTES("v=19$")))
		return "its version is not v=19";
	if (!take_number(&verifier, BYTES("m="), ',', &memory_kib) ||
	    !take_number(&verifier, BYTES("t="), ',', &passes) ||
	    !take_number(&verifier, BYTES("p="), '$', &lanes))
		return "its parameters are not m=…,t=…,p=…";
	if (memory_kib > SECRET_MEMORY_MAX / 1024)
		return "it asks for more than 256 MiB of memory";
	if (passes > SECRET_PASSES_MAX)
		return "it asks for more than 16 passes";
	if (lanes > LANES_MAX)
		return "it asks for more than 16 lanes";
	if (memory_kib < 8 * lanes)
		return "it asks for less memory than argon2 can do with (8 KiB a lane)";
	if (!is_base64(take_until(&verifier, '$'), SALT_MIN))
		return "its salt is not 8 to 64 octets in base64";
	if (!is_base64(verifier, HASH_MIN))
		return "its hash is not 16 to 64 octets in base64";
	return NULL;
}

enum error_code secret_check_verifier(struct bytes verifier, struct error *error)
{
	const char *fault = verifier_fault(verifier);

	if (!fault)
		return ERROR_NONE;
	return error_set(error, ERROR_DATA, "not a verifier that can be used: %s", fault);
}

/* ---- comparing ---- */

/* A verifier of one lane and a salt of libsodium's length, as those that we make: it can be
 * computed anew, and then a failure is lack of memory and nothing else. */
struct plain_verifier {
	uint64_t memory_kib, passes;
	unsigned char salt[crypto_pwhash_SALTBYTES];
	unsigned char hash[FIELD_MAX];
	size_t hash_octets;
};

static bool take_base64(struct bytes text, unsigned char *out, size_t room, size_t *octets_out)
{
	return sodium_base642bin(out, room, text.data, text.length, NULL, octets_out, NULL,
				 sodium_base64_VARIANT_ORIGINAL_NO_PADDING) == 0;
}

static bool read_plain(const char *verifier, struct plain_verifier *plain_out)
{
	struct bytes rest = bytes_of(verifier);
	uint64_t lanes;
	size_t salt_octets;

	return take_literal(&rest, BYTES("$argon2id$v=19$")) &&
	       take_number(&rest, BYTES("m="), ',', &plain_out->memory_kib) &&
	       take_number(&rest, BYTES("t="), ',', &plain_out->passes) &&
	       take_number(&rest, BYTES("p="), '$', &lanes) && lanes == 1 &&
	       take_base64(take_until(&rest, '$'), plain_out->salt, sizeof(plain_out->salt),
			   &salt_octets) &&
	       salt_octets == sizeof(plain_out->salt) &&
	       take_base64(rest, plain_out->hash, sizeof(plain_out->hash), &plain_out->hash_octets);
}

static enum error_code compare_plain(const struct plain_verifier *plain, struct bytes password)
{
	unsigned char made[FIELD_MAX];
	bool same;

	if (crypto_pwhash(made, plain->hash_octets, password.data, password.length, plain->salt,
			  plain->passes, (size_t)plain->memory_kib * 1024,
			  crypto_pwhash_ALG_ARGON2ID13) != 0)
		return ERROR_TEMPORARY;
	same = sodium_memcmp(made, plain->hash, plain->hash_octets) == 0;
	sodium_memzero(made, sizeof(made));
	return same ? ERROR_NONE : ERROR_DENIED;
}

/* Of any other verifier libsodium answers the same for a hash that differs and for memory that it
 * did not get; a user must not be told for the latter that his password is wrong. Is the memory it
 * asks for there? A mapping alone says little where the kernel promises more than it has, so the
 * pages are asked for too; a kernel before 5.14 does not know that question. */
static bool memory_is_there(const char *verifier)
{
	bool there;
	uint64_t memory_kib = 0;
	struct bytes rest = bytes_of(verifier);

	if (!take_literal(&rest, BYTES("$argon2id$v=19$")) ||
	    !take_number(&rest, BYTES("m="), ',', &memory_kib))
		return true;
	void *memory = mmap(NULL, (size_t)memory_kib * 1024, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return false;
	there = madvise(memory, (size_t)memory_kib * 1024, MADV_POPULATE_WRITE) == 0 ||
		errno == EINVAL;
	munmap(memory, (size_t)memory_kib * 1024);
	return there;
}

enum error_code secret_verify(const char *verifier, struct bytes password)
{
	bool usable = verifier && !verifier_fault(bytes_of(verifier)) &&
		      secret_check_password(password, NULL) == ERROR_NONE;
	const char *against = usable ? verifier : nobody;
	struct bytes tried = password.length > 0 ? password : BYTES("");
	struct plain_verifier plain;
	enum error_code code;

	if (read_plain(against, &plain))
		code = compare_plain(&plain, tried);
	else if (crypto_pwhash_str_verify(against, tried.data, tried.length) == 0)
		code = ERROR_NONE;
	else
		code = memory_is_there(against) ? ERROR_DENIED : ERROR_TEMPORARY;
	return code == ERROR_NONE && !usable ? ERROR_DENIED : code;
}

void secret_wipe(void *data, size_t size)
{
	sodium_memzero(data, size);
}

/* ---- remembered successes ---- */

struct secret_cache {
	uint8_t key[crypto_generichash_KEYBYTES];
	size_t sets;
	size_t victim;                     /* which entry of a full set gives way next */
	uint8_t (*entries)[DIGEST_OCTETS]; /* sets * SET_ENTRIES; zeroes where nothing stands */
};

struct secret_cache *secret_cache_new(size_t entries)
{
	struct secret_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->sets = (entries + SET_ENTRIES - 1) / SET_ENTRIES;
	if (cache->sets == 0)
		cache->sets = 1;
	cache->entries = calloc(cache->sets * SET_ENTRIES, DIGEST_OCTETS);
	if (!cache->entries) {
		free(cache);
		return NULL;
	}
	randombytes_buf(cache->key, sizeof(cache->key));
	return cache;
}

void secret_cache_free(struct secret_cache *cache)
{
	if (!cache)
		return;
	secret_wipe(cache->entries, cache->sets * SET_ENTRIES * DIGEST_OCTETS);
	free(cache->entries);
	secret_wipe(cache, sizeof(*cache));
	free(cache);
}

/* Both texts go in with their length, so that no two questions have the same octets. */
static void digest_text(crypto_generichash_state *state, struct bytes text)
{
	uint64_t length = text.length;

	crypto_generichash_update(state, (const uint8_t *)&length, sizeof(length));
	crypto_generichash_update(state, (const uint8_t *)text.data, text.length);
}

static uint8_t (*cache_set(struct secret_cache *cache, uint64_t account, const char *verifier,
			   struct bytes password, uint8_t digest_out[DIGEST_OCTETS]))[DIGEST_OCTETS]
{
	crypto_generichash_state state;
	uint64_t set;

	crypto_generichash_init(&state, cache->key, sizeof(cache->key), DIGEST_OCTETS);
	crypto_generichash_update(&state, (const uint8_t *)&account, sizeof(account));
	digest_text(&state, bytes_of(verifier));
	digest_text(&state, password);
	crypto_generichash_final(&state, digest_out, DIGEST_OCTETS);
	secret_wipe(&state, sizeof(state));
	memcpy(&set, digest_out, sizeof(set));
	return cache->entries + (set % cache->sets) * SET_ENTRIES;
}

bool secret_cache_has(struct secret_cache *cache, uint64_t account, const char *verifier,
		      struct bytes password)
{
	uint8_t digest[DIGEST_OCTETS];
	uint8_t(*set)[DIGEST_OCTETS] = cache_set(cache, account, verifier, password, digest);

	for (size_t i = 0; i < SET_ENTRIES; i++) {
		if (sodium_memcmp(set[i], digest, DIGEST_OCTETS) == 0)
			return true;
	}
	return false;
}

void secret_cache_add(struct secret_cache *cache, uint64_t account, const char *verifier,
		      struct bytes password)
{
	uint8_t digest[DIGEST_OCTETS];
	uint8_t(*set)[DIGEST_OCTETS] = cache_set(cache, account, verifier, password, digest);

	for (size_t i = 0; i < SET_ENTRIES; i++) {
		if (sodium_memcmp(set[i], digest, DIGEST_OCTETS) == 0)
			return;
		if (sodium_is_zero(set[i], DIGEST_OCTETS)) {
			memcpy(set[i], digest, DIGEST_OCTETS);
			return;
		}
	}
	memcpy(set[cache->victim++ % SET_ENTRIES], digest, DIGEST_OCTETS);
}
