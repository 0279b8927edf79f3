/*
 * tls: which pairs are accepted, which clients are let in, and that tickets travel between
 * processes.
 */
#include "net/tls.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/test.h"
#include "net/test_peer.h"

#define POP3 "\x04pop3"

struct session {
	struct link *link;
	SSL *client;
};

static struct session begin(struct tls *tls, const struct client_options *options)
{
	int server, client;
	tcp_pair("127.0.0.1:0", &server, &client);
	struct session session = {link_new(server), client_new(client, options)};
	assert_non_null(session.link);
	assert_true(link_start_tls(session.link, tls, "pop3"));
	return session;
}

static void end(struct session *session)
{
	close(SSL_get_fd(session->client));
	SSL_free(session->client);
	link_free(session->link);
}

static void test_versions_and_alpn(void **state)
{
	static const struct {
		const char *name;
		struct client_options options;
		enum link_result result;
		const char *alpn; /* agreed on */
	} rows[] = {
		{"TLS 1.3, no ALPN", {.version = TLS1_3_VERSION}, LINK_OK, ""},
		{"TLS 1.2, no ALPN", {.version = TLS1_2_VERSION}, LINK_OK, ""},
		{"TLS 1.1", {.version = TLS1_1_VERSION}, LINK_BROKEN, ""},
		{"pop3", {.alpn = POP3}, LINK_OK, "pop3"},
		{"pop3 in TLS 1.2", {.version = TLS1_2_VERSION, .alpn = POP3}, LINK_OK, "pop3"},
		{"pop3 second", {.alpn = "\x04imap" POP3}, LINK_OK, "pop3"},
		{"another", {.alpn = "\x04imap"}, LINK_BROKEN, ""},
		{"another in TLS 1.2",
		 {.version = TLS1_2_VERSION, .alpn = "\x08http/1.1"},
		 LINK_BROKEN,
		 ""},
		{"longer name", {.alpn = "\x05pop3s"}, LINK_BROKEN, ""},
		{"shorter name", {.alpn = "\x03pop"}, LINK_BROKEN, ""},
		{"other case", {.alpn = "\x04POP3"}, LINK_BROKEN, ""},
	};
	(void)state;
	struct tls *tls = make_tls();
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const unsigned char *alpn = NULL;
		unsigned length = 0;
		test_row(rows[i].name);
		struct session session = begin(tls, &rows[i].options);
		test_check(shake_hands(session.link, session.client) == rows[i].result);
		SSL_get0_alpn_selected(session.client, &alpn, &length);
		test_equal_bytes(((struct bytes){(const char *)alpn, length}),
				 bytes_of(rows[i].alpn));
		test_check((*link_problem(session.link) != '\0') == (rows[i].result != LINK_OK));
		end(&session);
	}
	tls_free(tls);
}

/* ---- tickets ---- */

/* One session to its end; TLS 1.3 sends its tickets with the first octets. */
static bool resumes(struct tls *tls, int version, SSL_SESSION **ticket)
{
	char octet;
	size_t count;
	int result;
	struct client_options options = {.version = version, .session = ticket};
	struct session session = begin(tls, &options);
	test_check(shake_hands(session.link, session.client) == LINK_OK);
	test_check(link_write(session.link, BYTES("+"), &count) == LINK_OK && count == 1);
	do
		result = SSL_read(session.client, &octet, 1);
	while (result != 1 && client_waits(session.client, result));
	test_check(result == 1 && octet == '+');
	bool resumed = SSL_session_reused(session.client) == 1;
	SSL_shutdown(session.client); /* or the client takes its session for spoilt */
	end(&session);
	return resumed;
}

static void test_tickets_travel_between_processes(void **state)
{
	static const uint8_t a[TLS_TICKET_KEY_OCTETS] = {'a'}, b[TLS_TICKET_KEY_OCTETS] = {'b'},
			     c[TLS_TICKET_KEY_OCTETS] = {'c'};
	static const struct {
		const char *name;
		const uint8_t *current, *previous; /* of the second worker; the first has a and b */
		bool resumed;
	} rows[] = {
		{"same keys", a, b, true},
		{"rotated once", c, a, true},
		{"rotated twice", b, c, false},
		{"never told", NULL, NULL, false},
	};
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(*rows); i++) {
		SSL_SESSION *ticket = NULL;
		size_t row = i / 2;
		test_row(rows[row].name);
		struct tls *first = make_tls(), *second = make_tls();
		tls_set_ticket_keys(first, a, b);
		if (rows[row].current)
			tls_set_ticket_keys(second, rows[row].current, rows[row].previous);
		test_check(!resumes(first, versions[i % 2], &ticket));
		test_check(ticket != NULL);
		test_check(resumes(second, versions[i % 2], &ticket) == rows[row].resumed);
		SSL_SESSION_free(ticket);
		tls_free(first);
		tls_free(second);
	}
}

static void test_links_outlive_their_tls(void **state)
{
	(void)state;
	struct client_options options = {.alpn = POP3};
	struct tls *tls = make_tls();
	struct session session = begin(tls, &options);
	tls_free(tls);
	assert_int_equal(shake_hands(session.link, session.client), LINK_OK);
	end(&session);
}

/* ---- certificates ---- */

static X509 *read_certificate(const struct buffer *pem)
{
	BIO *in = BIO_new_mem_buf(pem->data, (int)pem->length);
	X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
	BIO_free(in);
	return certificate;
}

static void test_self_signed(void **state)
{
	static const struct {
		const char *host;
		bool made;
	} rows[] = {
		{"mail.example.org", true},
		{"a", true},
		{"aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff.example.org", true},
		{"192.0.2.7", true},
		{"2001:db8::7", true},
		{"", false},
		{"two words", false},
		{"a,DNS:b", false},
		{"a\nb", false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buffer certificate_pem, key_pem;
		struct error error = {0};
		test_row(rows[i].host);
		test_check(tls_make_self_signed(rows[i].host, &certificate_pem, &key_pem, &error) ==
			   (rows[i].made ? ERROR_NONE : ERROR_CONFIG));
		if (rows[i].made) {
			X509 *certificate = read_certificate(&certificate_pem);
			test_check(certificate != NULL);
			test_check(X509_check_host(certificate, rows[i].host, 0, 0, NULL) == 1 ||
				   X509_check_ip_asc(certificate, rows[i].host, 0) == 1);
			test_check(X509_check_host(certificate, "other.example", 0, 0, NULL) == 0);
			test_check(X509_cmp_current_time(X509_get0_notBefore(certificate)) < 0);
			test_check(X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0);
			X509_free(certificate);
		}
		buffer_free(&certificate_pem);
		buffer_free(&key_pem);
	}
}

static struct bytes encrypt_key(const struct buffer *pem, BIO *out)
{
	char *data;
	BIO *in = BIO_new_mem_buf(pem->data, (int)pem->length);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
	BIO_free(in);
	assert_int_equal(PEM_write_bio_PrivateKey(out, key, EVP_aes_128_cbc(), NULL, 0, NULL,
						  (void *)"secret"),
			 1);
	EVP_PKEY_free(key);
	long length = BIO_get_mem_data(out, &data);
	return (struct bytes){data, (size_t)length};
}

static void test_which_pairs_are_usable(void **state)
{
	(void)state;
	struct buffer certificate, key, other_certificate, other_key, chain;
	BIO *out = BIO_new(BIO_s_mem());
	tls_make_self_signed("a.example", &certificate, &key, NULL);
	tls_make_self_signed("b.example", &other_certificate, &other_key, NULL);
	buffer_init(&chain, 65536);
	buffer_append(&chain, buffer_bytes(&certificate));
	buffer_append(&chain, buffer_bytes(&other_certificate));
	struct bytes whole = buffer_bytes(&chain);
	const struct {
		const char *name;
		struct bytes certificate, key;
		enum error_code code;
	} rows[] = {
		{"a pair", buffer_bytes(&certificate), buffer_bytes(&key), ERROR_NONE},
		{"a chain", whole, buffer_bytes(&key), ERROR_NONE},
		{"half of the chain's second", bytes_first(whole, whole.length - 100),
		 buffer_bytes(&key), ERROR_CONFIG},
		{"foreign key", buffer_bytes(&certificate), buffer_bytes(&other_key), ERROR_CONFIG},
		{"nothing", BYTES(""), BYTES(""), ERROR_CONFIG},
		{"no key", buffer_bytes(&certificate), BYTES(""), ERROR_CONFIG},
		{"no certificate", BYTES(""), buffer_bytes(&key), ERROR_CONFIG},
		{"the wrong way round", buffer_bytes(&key), buffer_bytes(&certificate),
		 ERROR_CONFIG},
		{"key with a password", buffer_bytes(&certificate), encrypt_key(&key, out),
		 ERROR_CONFIG},
		{"rubbish", BYTES("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"),
		 buffer_bytes(&key), ERROR_CONFIG},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error error = {0};
		struct tls *tls;
		test_row(rows[i].name);
		test_check(tls_server_new(rows[i].certificate, rows[i].key, &tls, &error) ==
			   rows[i].code);
		test_check((tls != NULL) == (rows[i].code == ERROR_NONE));
		test_check((error.text[0] != '\0') == (rows[i].code != ERROR_NONE));
		tls_free(tls);
	}
	BIO_free(out);
	struct buffer *all[] = {&certificate, &key, &other_certificate, &other_key, &chain};
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		buffer_free(all[i]);
}

static int ignore_broken_pipes(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup(test_versions_and_alpn, ignore_broken_pipes),
	cmocka_unit_test(test_tickets_travel_between_processes),
	cmocka_unit_test(test_links_outlive_their_tls),
	cmocka_unit_test(test_self_signed),
	cmocka_unit_test(test_which_pairs_are_usable),
};

TEST_MAIN(tests)
