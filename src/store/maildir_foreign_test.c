/*
 * maildir_foreign_test: files that other programs put into a Maildir: every shape of line ends,
 * names, and what is known of them when they change.
 */
#include "store/test_maildir.h"

static const struct {
	const char *name;
	struct bytes in, out;
} foreign[] = {
	{"LF", BYTES("a\nb\n"), BYTES("a\nb\n")},
	{"CRLF", BYTES("a\r\nb\r\n"), BYTES("a\nb\n")},
	{"both", BYTES("a\r\nb\nc\r\n"), BYTES("a\nb\nc\n")},
	{"nothing", BYTES(""), BYTES("")},
	{"an LF", BYTES("\n"), BYTES("\n")},
	{"a CRLF", BYTES("\r\n"), BYTES("\n")},
	{"a CR", BYTES("\r"), BYTES("\r\n")},
	{"no last line end", BYTES("a\nb"), BYTES("a\nb\n")},
	{"no last line end, CRLF", BYTES("a\r\nb"), BYTES("a\nb\n")},
	{"CRs", BYTES("\r\r\n\ra\r\r\r\nb\r"), BYTES("\r\n\ra\r\r\nb\r\n")},
	{"NUL", BYTES("a\0b\r\n\0\n"), BYTES("a\0b\n\0\n")},
	{"dots", BYTES(".\r\n..\r\n"), BYTES(".\n..\n")},
	{"From", BYTES("From x\r\n>From y\n"), BYTES("From x\n>From y\n")},
};

static void foreign_files_of_every_shape(void **state)
{
	size_t count = sizeof foreign / sizeof foreign[0];
	(void)state;
	for (int round = 0; round < 2; round++) {
		struct scene scene;
		scene_begin(&scene, STORE_MAILDIR);
		maildir_make(&scene);
		for (size_t i = 0; i < count; i++) {
			char name[64];
			snprintf(name, sizeof name, "%s/17953128%02zu.x%s", round ? "cur" : "new",
				 i, round ? ":2,S" : "");
			maildir_put(&scene, name, foreign[i].in);
		}
		for (int opening = 0; opening < 2; opening++) {
			struct maildrop *maildrop = scene_open(&scene);
			assert_int_equal(maildrop_summary(maildrop).messages, count);
			for (size_t i = 0; i < count; i++) {
				test_row(foreign[i].name);
				scene_expect(maildrop, (uint32_t)i + 1, foreign[i].out);
			}
			maildrop_close(maildrop);
		}
		assert_int_equal(maildir_findings(&scene, ""), 0);
		scene_end(&scene);
	}
}

/* In pieces of each size around the ones where a CR, or the last line end, meets the border. */
static void a_large_foreign_file_in_pieces(void **state)
{
	static const char *const ends[] = {"", "\r\n", "\n", "\r", "\r\r\n"};
	(void)state;
	for (size_t e = 0; e < sizeof ends / sizeof ends[0]; e++) {
		struct scene scene;
		struct buffer in, out;
		scene_begin(&scene, STORE_MAILDIR);
		maildir_make(&scene);
		buffer_init(&in, 1 << 20);
		buffer_init(&out, 1 << 20);
		for (int i = 0; i < 3000; i++)
			buffer_print(&in, "%.*s%s", i % 13, "0123456789abc", i % 3 ? "\r\n" : "\r");
		buffer_append(&in, bytes_of(ends[e]));
		maildir_put(&scene, "new/1795312860.x", buffer_bytes(&in));
		for (size_t i = 0; i < in.length; i++)
			if (in.data[i] != '\r' || i + 1 == in.length || in.data[i + 1] != '\n')
				buffer_append(&out, (struct bytes){in.data + i, 1});
		if (out.data[out.length - 1] != '\n')
			buffer_append(&out, BYTES("\n"));
		struct maildrop *maildrop = scene_open(&scene);
		for (size_t size = 4096; size < 4110; size++) {
			struct buffer read;
			assert_int_equal(scene_read(maildrop, 1, size, &read), STORE_OK);
			test_equal_bytes(buffer_bytes(&read), buffer_bytes(&out));
			buffer_free(&read);
		}
		scene_expect(maildrop, 1, buffer_bytes(&out));
		maildrop_close(maildrop);
		buffer_free(&in);
		buffer_free(&out);
		scene_end(&scene);
	}
}

/* The octets on the wire are the room that the server reads with. */
static void what_fits_is_checked_in_the_first_read(void **state)
{
	static const struct bytes bodies[] = {
		BYTES("\r\n"), BYTES("\n"), BYTES(""), BYTES("\r"), BYTES("\r\n\r\n\n"),
	};
	(void)state;
	for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
		struct scene scene;
		struct error error = {0};
		char *octets = malloc(8192);
		size_t length;
		scene_begin(&scene, STORE_MAILDIR);
		maildir_make(&scene);
		memset(octets, 'x', 5000);
		memcpy(octets + 5000, bodies[i].data, bodies[i].length);
		maildir_put(&scene, "new/1.x", (struct bytes){octets, 5000 + bodies[i].length});
		struct maildrop *maildrop = scene_open(&scene);
		size_t size = scene_entry(maildrop, 1).octets;
		octets[0] = 'y'; /* of the same length, with another content */
		maildir_put(&scene, "new/1.x", (struct bytes){octets, 5000 + bodies[i].length});
		assert_int_equal(
			maildrop_read(maildrop, 1, 0, false, octets, size, &length, &error),
			STORE_IO);
		assert_int_equal(error.code, ERROR_DATA);
		maildrop_close(maildrop);
		free(octets);
		scene_end(&scene);
	}
}

#define LONG_NAME                                                                                  \
	"1795312863.M123456P12345V000000000000FD01I0000000000ABCDEF_0.a-long-host.example.org"

static void unique_ids_are_base_names(void **state)
{
	static const char *const names[][2] = {
		{"new/1795312861.M1P1.host,S=2", "1795312861.M1P1.host,S=2"},
		{"cur/1795312862.M1P1.host,S=2:2,RS", "1795312862.M1P1.host,S=2"},
		{"cur/" LONG_NAME ":2,", NULL},
		{"new/1795312864 blank", NULL},
	};
	struct scene scene;
	char uids[4][UID_MAX + 1];
	(void)state;
	scene_begin(&scene, STORE_MAILDIR);
	maildir_make(&scene);
	for (size_t i = 0; i < 4; i++)
		maildir_put(&scene, names[i][0], BYTES("a\n"));
	for (int round = 0; round < 2; round++) {
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).messages, 4);
		for (uint32_t i = 0; i < 4; i++) {
			struct maildrop_entry entry = scene_entry(maildrop, i + 1);
			if (names[i][1] != NULL)
				assert_string_equal(entry.uid, names[i][1]);
			else
				assert_int_equal(entry.uid_length, 32);
			if (round > 0)
				assert_string_equal(entry.uid, uids[i]);
			memcpy(uids[i], entry.uid, sizeof uids[i]);
		}
		maildrop_close(maildrop);
		maildir_forget_index(&scene);
		maildir_rename(&scene, round ? "cur/" LONG_NAME ":2,S" : "cur/" LONG_NAME ":2,",
			       round ? "new/" LONG_NAME : "cur/" LONG_NAME ":2,S");
	}
	scene_end(&scene);
}

static void a_changed_foreign_file_is_read_anew(void **state)
{
	static const struct bytes after[] = {BYTES("a\nlonger\n"), BYTES("b\n"), BYTES("")};
	(void)state;
	for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
		struct scene scene;
		enum error_code code;
		scene_begin(&scene, STORE_MAILDIR);
		maildir_make(&scene);
		maildir_put(&scene, "new/1.x", BYTES("a\n"));
		maildir_put(&scene, "new/2.x", BYTES("other\n"));
		struct maildrop *maildrop = scene_open(&scene);
		maildir_put(&scene, "new/1.x", after[i]);
		assert_int_equal(maildir_findings(&scene, "was changed by another program"), 1);
		assert_int_equal(maildir_read_first(maildrop, 1, &code), STORE_IO);
		assert_int_equal(code, ERROR_DATA);
		scene_expect(maildrop, 2, BYTES("other\n"));
		maildrop_close(maildrop);
		maildrop = scene_open(&scene);
		scene_expect(maildrop, 1, after[i]);
		maildrop_close(maildrop);
		assert_int_equal(maildir_findings(&scene, ""), 0);
		scene_end(&scene);
	}
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(foreign_files_of_every_shape),
	cmocka_unit_test(a_large_foreign_file_in_pieces),
	cmocka_unit_test(what_fits_is_checked_in_the_first_read),
	cmocka_unit_test(unique_ids_are_base_names),
	cmocka_unit_test(a_changed_foreign_file_is_read_anew),
};

TEST_MAIN(tests)
