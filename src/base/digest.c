/*
 * digest: see digest.h. OpenSSL's; that it knows SHA-256 and that its context is sound are no
 * failures of the world, so they are asserted.
 */
#include "base/digest.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct digest {
	EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
	struct digest *digest = malloc(sizeof(*digest));

	if (digest == NULL)
		return NULL;
	digest->context = EVP_MD_CTX_new();
	/* The first use may still allocate; a later one does not. */
	if (digest->context != NULL && EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) == 1)
		return digest;
	digest_free(digest);
	return NULL;
}

void digest_free(struct digest *digest)
{
	if (digest != NULL)
		EVP_MD_CTX_free(digest->context);
	free(digest);
}

void digest_begin(struct digest *digest)
{
	int done = EVP_DigestInit_ex(digest->context, NULL, NULL);

	assert(done == 1);
	(void)done;
}

void digest_add(struct digest *digest, struct bytes octets)
{
	int done = EVP_DigestUpdate(digest->context, octets.data, octets.length);

	assert(done == 1);
	(void)done;
}

void digest_end(struct digest *digest, uint8_t out[DIGEST_OCTETS])
{
	unsigned length = 0;
	int done = EVP_DigestFinal_ex(digest->context, out, &length);

	assert(done == 1 && length == DIGEST_OCTETS);
	(void)done;
}

bool digest_of(struct bytes octets, uint8_t out[DIGEST_OCTETS])
{
	struct digest *digest = digest_new();

	if (digest == NULL)
		return false;
	digest_begin(digest);
	digest_add(digest, octets);
	digest_end(digest, out);
	digest_free(digest);
	return true;
}

void digest_hex(const uint8_t digest[DIGEST_OCTETS], size_t octets, char *out)
{
	static const char digits[] = "0123456789abcdef";

	assert(octets <= DIGEST_OCTETS);
	for (size_t i = 0; i < octets; i++) {
		out[2 * i] = digits[digest[i] >> 4];
		out[2 * i + 1] = digits[digest[i] & 15];
	}
	out[2 * octets] = '\0';
}
