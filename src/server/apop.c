/*
 * apop: see apop.h. Must not know accounts.
 */
#include "server/apop.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#define MD5_OCTETS 16

static EVP_MD *md5;

void apop_init(void)
{
	md5 = EVP_MD_fetch(NULL, "MD5",
			   NULL); /* NULL where a policy forbids it: then nobody passes */
}

static bool make_digest(struct bytes challenge, struct bytes secret,
			unsigned char out[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *context = md5 ? EVP_MD_CTX_new() : NULL;
	bool made = context && EVP_DigestInit_ex(context, md5, NULL) == 1 &&
		    EVP_DigestUpdate(context, challenge.data, challenge.length) == 1 &&
		    EVP_DigestUpdate(context, secret.data, secret.length) == 1 &&
		    EVP_DigestFinal_ex(context, out, NULL) == 1;

	EVP_MD_CTX_free(context);
	return made;
}

bool apop_verify(struct bytes challenge, struct bytes secret, struct bytes digest)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char octets[EVP_MAX_MD_SIZE];
	char wanted[2 * MD5_OCTETS];
	bool right;

	if (digest.length != sizeof(wanted) || !make_digest(challenge, secret, octets))
		return false;
	for (size_t i = 0; i < MD5_OCTETS; i++) {
		wanted[2 * i] = digits[octets[i] >> 4];
		wanted[2 * i + 1] = digits[octets[i] & 15];
	}
	right = CRYPTO_memcmp(wanted, digest.data, sizeof(wanted)) == 0;
	OPENSSL_cleanse(octets, sizeof(octets));
	OPENSSL_cleanse(wanted, sizeof(wanted));
	return right;
}
