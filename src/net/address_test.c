/*
 * address: what is an address, how it is printed, and what listening does to the file system.
 */
#include "net/address.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/test.h"

static void test_parse_and_print(void **state)
{
	static const struct {
		const char *text;
		const char *printed; /* NULL: refused */
		bool loopback;
	} rows[] = {
		{"127.0.0.1:110", "127.0.0.1:110", true},
		{"127.255.0.9:0", "127.255.0.9:0", true},
		{"192.0.2.1:65535", "192.0.2.1:65535", false},
		{"0.0.0.0:25", "0.0.0.0:25", false},
		{"[::1]:995", "[::1]:995", true},
		{"[2001:db8::25]:110", "[2001:db8::25]:110", false},
		{"[::ffff:127.0.0.1]:110", "127.0.0.1:110", true},
		{"[::ffff:192.0.2.1]:110", "192.0.2.1:110", false},
		{":110", ":110", false},
		{"[::]:110", ":110", false},
		{"unix:/run/x", "unix:/run/x", true},
		{"unix:x", "unix:x", true},
		{"", NULL, false},
		{":", NULL, false},
		{"110", NULL, false},
		{"127.0.0.1", NULL, false},
		{"127.0.0.1:", NULL, false},
		{"127.0.0.1:65536", NULL, false},
		{"127.0.0.1:-1", NULL, false},
		{"127.0.0.1:+1", NULL, false},
		{"127.0.0.1: 1", NULL, false},
		{"127.0.0.1:1x", NULL, false},
		{"127.0.0:1", NULL, false},
		{"256.0.0.1:1", NULL, false},
		{"::1:110", NULL, false},
		{"[::1]110", NULL, false},
		{"[::1:110", NULL, false},
		{"[]:110", NULL, false},
		{"[:110", NULL, false},
		{"[127.0.0.1]:110", NULL, false},
		{"localhost:110", NULL, false},
		{"unix:", NULL, false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct address address;
		struct error error = {0};
		char room[ADDRESS_OCTETS];
		test_row(rows[i].text);
		enum error_code code = address_parse(bytes_of(rows[i].text), &address, &error);
		test_check(code == (rows[i].printed ? ERROR_NONE : ERROR_CONFIG));
		test_check(error.code == code);
		if (rows[i].printed) {
			test_equal_bytes(bytes_of(address_print(&address, room)),
					 bytes_of(rows[i].printed));
			test_check(address_is_loopback(&address) == rows[i].loopback);
		}
	}
}

static void test_unix_path_length(void **state)
{
	static const struct {
		const char *name;
		size_t length;
		enum error_code code;
	} rows[] = {
		{"one below", 106, ERROR_NONE},
		{"at the limit", 107, ERROR_NONE},
		{"one above", 108, ERROR_CONFIG},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct address address;
		char text[200] = "unix:";
		test_row(rows[i].name);
		memset(text + 5, 'a', rows[i].length);
		test_check(address_parse((struct bytes){text, 5 + rows[i].length}, &address,
					 NULL) == rows[i].code);
	}
	struct address address;
	assert_int_equal(address_parse(BYTES("unix:a\0b"), &address, NULL), ERROR_CONFIG);
}

struct folder {
	char name[64];
	char socket[96];
	struct address address;
};

static void make_folder(struct folder *folder)
{
	char text[128];
	snprintf(folder->name, sizeof(folder->name), "/tmp/address_test.XXXXXX");
	assert_non_null(mkdtemp(folder->name));
	snprintf(folder->socket, sizeof(folder->socket), "%s/socket", folder->name);
	snprintf(text, sizeof(text), "unix:%s", folder->socket);
	assert_int_equal(address_parse(bytes_of(text), &folder->address, NULL), ERROR_NONE);
}

static void remove_folder(struct folder *folder)
{
	unlink(folder->socket);
	assert_int_equal(rmdir(folder->name), 0);
}

static void test_mode_of_a_socket_file(void **state)
{
	static const struct {
		const char *name;
		mode_t mask;
		unsigned mode;
	} rows[] = {
		{"private", 022, 0600},
		{"private, no mask", 0, 0600},
		{"for all", 022, 0666},
		{"for all, hard mask", 077, 0666},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct folder folder;
		struct stat status;
		test_row(rows[i].name);
		make_folder(&folder);
		mode_t old = umask(rows[i].mask);
		int listener = address_listen(&folder.address, rows[i].mode, NULL);
		umask(old);
		test_check(listener >= 0);
		test_check(stat(folder.socket, &status) == 0);
		test_check((status.st_mode & 07777) == rows[i].mode);
		test_check((fcntl(listener, F_GETFD) & FD_CLOEXEC) != 0);
		test_check((fcntl(listener, F_GETFL) & O_NONBLOCK) != 0);
		close(listener);
		remove_folder(&folder);
	}
}

static void test_old_socket_is_replaced_a_living_one_not(void **state)
{
	(void)state;
	struct folder folder;
	struct error error;
	make_folder(&folder);
	int first = address_listen(&folder.address, 0600, &error);
	assert_true(first >= 0);
	assert_int_equal(address_listen(&folder.address, 0600, &error), -1);
	assert_int_equal(error.code, ERROR_IN_USE);
	close(first); /* its file stays, as after a crash */
	assert_int_equal(address_connect(&folder.address, 1000, &error), -1);
	assert_int_equal(error.code, ERROR_UNAVAILABLE);
	int second = address_listen(&folder.address, 0600, &error);
	assert_true(second >= 0);
	int client = address_connect(&folder.address, 1000, &error);
	assert_true(client >= 0);
	close(client);
	close(second);
	remove_folder(&folder);
}

static void test_other_files_are_never_removed(void **state)
{
	(void)state;
	struct folder folder;
	struct error error;
	make_folder(&folder);
	int file = open(folder.socket, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
	assert_int_equal(address_listen(&folder.address, 0600, &error), -1);
	assert_int_equal(error.code, ERROR_CONFIG);
	assert_int_equal(access(folder.socket, F_OK), 0);
	remove_folder(&folder);
}

/* Containers often go without. */
static bool has_ip6(void)
{
	struct address address;
	address_parse(BYTES("[::1]:0"), &address, NULL);
	int listener = address_listen(&address, 0, NULL);
	close(listener);
	return listener >= 0;
}

static void test_port_in_use_and_free(void **state)
{
	static const char *const rows[] = {"127.0.0.1:0", "[::1]:0", ":0"};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct address address, bound;
		struct error error;
		test_row(rows[i]);
		if (rows[i][0] == '[' && !has_ip6())
			continue;
		test_check(address_parse(bytes_of(rows[i]), &address, NULL) == ERROR_NONE);
		int listener = address_listen(&address, 0, &error);
		test_check(listener >= 0);
		test_check(address_of_socket(listener, &bound));
		test_check(address_listen(&bound, 0, &error) == -1 && error.code == ERROR_CONFIG);
		int client = address_connect(&bound, 1000, &error);
		test_check(client >= 0);
		close(client);
		close(listener);
		test_check(address_connect(&bound, 1000, &error) == -1);
		test_check(error.code == ERROR_UNAVAILABLE);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_parse_and_print),
	cmocka_unit_test(test_unix_path_length),
	cmocka_unit_test(test_mode_of_a_socket_file),
	cmocka_unit_test(test_old_socket_is_replaced_a_living_one_not),
	cmocka_unit_test(test_other_files_are_never_removed),
	cmocka_unit_test(test_port_in_use_and_free),
};

TEST_MAIN(tests)
