/*
 * maildir_test: a Maildir with other programs at it: files that are
 * moved, changed and removed under a session, names that are no messages; and what is read when.
 */
#include "store/uids.h"
#include "store/test_maildir.h"

#include "base/clock.h"
#include "store/maildir_name.h"

#define TEXT_A BYTES("Subject: a\n\nthe first\n")
#define TEXT_B BYTES("Subject: b\n\nFrom the second\n")
#define TEXT_C BYTES("Subject: c\n\nthe third\n")

static void begin_with_three(struct scene *scene)
{
	scene_begin(scene, STORE_MAILDIR);
	scene_deliver(scene, TEXT_A);
	scene_deliver(scene, TEXT_B);
	scene_deliver(scene, TEXT_C);
}

/* ---- what is delivered ---- */

static void a_delivery_is_a_file_that_others_read(void **state)
{
	struct scene scene;
	char uid[UID_MAX + 1], file[128], path[400], octets[64];
	struct stat status;
	(void)state;
	scene_begin(&scene, STORE_MAILDIR);
	scene_deliver(&scene, TEXT_B);
	maildir_uid(&scene, 1, uid);
	struct maildir_name name = maildir_name_parse(uid);
	assert_true(name.own && name.length == TEXT_B.length && name.octets == TEXT_B.length + 3);
	assert_int_equal(name.second, 1795312860);
	snprintf(file, sizeof file, "new/%s", uid);
	maildir_path(&scene, file, path);
	int descriptor = open(path, O_RDONLY);
	assert_true(descriptor >= 0);
	ssize_t length = read(descriptor, octets, sizeof octets);
	test_equal_bytes(((struct bytes){octets, (size_t)length}), TEXT_B);
	assert_int_equal(fstat(descriptor, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_nlink, 1);
	close(descriptor);
	assert_int_equal(maildir_count(&scene, "tmp"), 0);
	assert_int_equal(maildir_count(&scene, "cur"), 0);
	assert_int_equal(maildir_findings(&scene, ""), 0);
	scene_end(&scene);
}

static uint64_t stuck_clock(void)
{
	return 1795312860123;
}

static uint64_t clock_set_back(void)
{
	static uint64_t now = 1795312890000;
	return now -= 700;
}

/* More than are open at a time; and the order is that of arrival whatever the clock does. */
static void many_in_one_delivery_keep_their_order(void **state)
{
	uint64_t (*const clocks[])(void) = {stuck_clock, clock_set_back, NULL};
	(void)state;
	for (size_t c = 0; c < sizeof clocks / sizeof clocks[0]; c++) {
		struct scene scene;
		struct error error = {0};
		struct delivery *delivery;
		struct delivery_request requests[40];
		char text[32];
		scene_begin(&scene, STORE_MAILDIR);
		clock_set_for_tests(clocks[c]);
		for (int i = 0; i < 40; i++) {
			int length = snprintf(text, sizeof text, "Subject: %d\n", i);
			requests[i] = (struct delivery_request){
				.draft = scene_draft(&scene, (struct bytes){text, (size_t)length})};
		}
		for (int round = 0; round < 2; round++) {
			assert_int_equal(delivery_prepare(&scene.root, &scene.place, requests, 40,
							  &delivery, &error),
					 STORE_OK);
			assert_int_equal(maildir_count(&scene, "tmp"), 40);
			assert_int_equal(delivery_finish(delivery, true, &error), STORE_OK);
		}
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).messages, 80);
		for (int i = 0; i < 80; i++) {
			int length = snprintf(text, sizeof text, "Subject: %d\n", i % 40);
			scene_expect(maildrop, (uint32_t)i + 1,
				     (struct bytes){text, (size_t)length});
		}
		maildrop_close(maildrop);
		for (int i = 0; i < 40; i++)
			draft_free((struct draft *)(uintptr_t)requests[i].draft);
		clock_set_for_tests(NULL);
		scene_end(&scene);
	}
}

static void mail_of_long_ago_goes_to_its_place(void **state)
{
	struct scene scene;
	struct error error = {0};
	struct delivery *delivery;
	(void)state;
	begin_with_three(&scene);
	struct delivery_request request = {.draft = scene_draft(&scene, BYTES("old\n")),
					   .received_unix_seconds = 1000000000};
	assert_int_equal(
		delivery_prepare(&scene.root, &scene.place, &request, 1, &delivery, &error),
		STORE_OK);
	assert_int_equal(delivery_finish(delivery, true, &error), STORE_OK);
	draft_free((struct draft *)(uintptr_t)request.draft);
	scene_deliver(&scene, BYTES("new\n"));
	struct maildrop *maildrop = scene_open(&scene);
	scene_expect(maildrop, 1, BYTES("old\n"));
	scene_expect(maildrop, 2, TEXT_A);
	scene_expect(maildrop, 5, BYTES("new\n"));
	maildrop_close(maildrop);
	scene_end(&scene);
}

/* ---- what is no message ---- */

static void what_is_no_file_is_not_shown(void **state)
{
	struct scene scene;
	char path[400];
	(void)state;
	begin_with_three(&scene);
	maildir_path(&scene, "new/fifo", path);
	assert_int_equal(mkfifo(path, 0600), 0);
	maildir_path(&scene, "new/folder", path);
	assert_int_equal(mkdir(path, 0700), 0);
	maildir_path(&scene, "cur/link", path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	maildir_put(&scene, "new/.hidden", BYTES("a\n"));
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 3);
	maildrop_close(maildrop);
	assert_int_equal(maildir_findings(&scene, "is no file"), 3);
	maildir_repair_scene(&scene);
	assert_int_equal(maildir_findings(&scene, ""), 0);
	maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 3);
	maildrop_close(maildrop);
	scene_end(&scene);
}

static void what_is_no_maildir_is_refused(void **state)
{
	static const char *const links[] = {"", "new"};
	struct scene scene;
	struct error error = {0};
	struct maildrop *maildrop;
	char path[400];
	(void)state;
	scene_begin(&scene, STORE_MBOX);
	scene_deliver(&scene, TEXT_A);
	scene.place.kind = STORE_MAILDIR;
	assert_int_equal(maildrop_open(&scene.root, &scene.place, 0, &maildrop, &error), STORE_IO);
	assert_int_equal(scene_try_deliver(&scene, TEXT_A, (struct bytes){0}, "", true), STORE_IO);
	scene_end(&scene);
	for (size_t i = 0; i < 2; i++) {
		scene_begin(&scene, STORE_MAILDIR);
		scene_deliver(&scene, TEXT_A);
		maildir_path(&scene, links[i], path);
		if (i == 0)
			path[strlen(path) - 1] = '\0';
		else
			maildir_put(&scene, "new/.keep", BYTES(""));
		char aside[420];
		snprintf(aside, sizeof aside, "%s.aside", path);
		assert_int_equal(rename(path, aside), 0);
		assert_int_equal(symlink(aside, path), 0);
		assert_int_equal(maildrop_open(&scene.root, &scene.place, 0, &maildrop, &error),
				 STORE_IO);
		assert_int_equal(scene_try_deliver(&scene, TEXT_A, (struct bytes){0}, "", true),
				 STORE_IO);
		scene_end(&scene);
	}
}

static void missing_folders_are_made(void **state)
{
	static const char *const folders[] = {"tmp", "new", "cur"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct scene scene;
		char path[400];
		scene_begin(&scene, STORE_MAILDIR);
		maildir_make(&scene);
		maildir_path(&scene, folders[i], path);
		assert_int_equal(rmdir(path), 0);
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).messages, 0);
		maildrop_close(maildrop);
		assert_int_equal(access(path, F_OK), -1); /* who looks makes nothing */
		scene_deliver(&scene, TEXT_A);
		maildrop = scene_open(&scene);
		scene_expect(maildrop, 1, TEXT_A);
		maildrop_close(maildrop);
		scene_end(&scene);
	}
}

/* ---- under a session ---- */

static void files_that_move_are_found(void **state)
{
	struct scene scene;
	char uids[3][UID_MAX + 1], from[128], to[128];
	struct error error = {0};
	uint8_t deleted = 0x05;
	(void)state;
	begin_with_three(&scene);
	for (uint32_t i = 0; i < 3; i++)
		maildir_uid(&scene, i + 1, uids[i]);
	struct maildrop *maildrop = scene_open(&scene);
	for (int i = 0; i < 3; i++) {
		snprintf(from, sizeof from, "new/%.70s", uids[i]);
		snprintf(to, sizeof to, "cur/%.70s:2,S", uids[i]);
		maildir_rename(&scene, from, to);
	}
	scene_expect(maildrop, 2, TEXT_B);
	snprintf(from, sizeof from, "cur/%.70s:2,RS", uids[1]);
	snprintf(to, sizeof to, "cur/%.70s:2,S", uids[1]);
	maildir_rename(&scene, to, from);
	scene_expect(maildrop, 2, TEXT_B);
	scene_expect(maildrop, 3, TEXT_C);
	assert_int_equal(maildrop_update(maildrop, &deleted, &error), STORE_OK);
	maildrop_close(maildrop);
	assert_int_equal(maildir_count(&scene, "cur"), 1);
	maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 1);
	assert_string_equal(scene_entry(maildrop, 1).uid, uids[1]);
	scene_expect(maildrop, 1, TEXT_B);
	maildrop_close(maildrop);
	scene_end(&scene);
}

static void a_removed_file_fails_alone(void **state)
{
	struct scene scene;
	char uid[UID_MAX + 1], path[128];
	enum error_code code;
	struct error error = {0};
	uint8_t deleted = 0x03;
	(void)state;
	begin_with_three(&scene);
	maildir_uid(&scene, 2, uid);
	struct maildrop *maildrop = scene_open(&scene);
	snprintf(path, sizeof path, "new/%s", uid);
	maildir_unlink(&scene, path);
	assert_int_equal(maildir_read_first(maildrop, 2, &code), STORE_IO);
	assert_int_equal(code, ERROR_DATA);
	scene_expect(maildrop, 1, TEXT_A);
	scene_expect(maildrop, 3, TEXT_C);
	assert_int_equal(maildrop_update(maildrop, &deleted, &error), STORE_OK);
	maildrop_close(maildrop);
	maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 1);
	scene_expect(maildrop, 1, TEXT_C);
	maildrop_close(maildrop);
	scene_end(&scene);
}

/* One of ours is what its name says, or it is refused, until a repair gives it a name of its own.
 */
static void a_changed_file_of_ours_is_damaged(void **state)
{
	static const struct bytes after[] = {BYTES("Subject: b\n\nFrom the secone\n"), BYTES("x\n"),
					     BYTES("")};
	(void)state;
	for (size_t i = 0; i < sizeof after / sizeof after[0]; i++) {
		struct scene scene;
		char uid[UID_MAX + 1], path[128];
		enum error_code code;
		begin_with_three(&scene);
		maildir_uid(&scene, 2, uid);
		snprintf(path, sizeof path, "new/%s", uid);
		maildir_put(&scene, path, after[i]);
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildir_read_first(maildrop, 2, &code), STORE_IO);
		assert_int_equal(code, ERROR_DATA);
		maildrop_close(maildrop);
		for (int round = 0; round < 2; round++) {
			maildrop = scene_open(&scene);
			assert_true(scene_entry(maildrop, 2).damaged);
			assert_int_equal(scene_entry(maildrop, 2).octets, TEXT_B.length + 3);
			assert_int_equal(maildir_read_first(maildrop, 2, &code), STORE_IO);
			maildrop_close(maildrop);
		}
		assert_int_equal(maildir_findings(&scene, ""), 1);
		maildir_repair_scene(&scene);
		assert_int_equal(maildir_findings(&scene, ""), 0);
		maildrop = scene_open(&scene);
		scene_expect(maildrop, 2, after[i]);
		assert_string_not_equal(scene_entry(maildrop, 2).uid, uid);
		maildrop_close(maildrop);
		scene_end(&scene);
	}
}

static void a_damaged_file_that_was_put_back_is_whole(void **state)
{
	struct scene scene;
	char uid[UID_MAX + 1], path[128];
	enum error_code code;
	(void)state;
	begin_with_three(&scene);
	maildir_uid(&scene, 2, uid);
	snprintf(path, sizeof path, "new/%s", uid);
	maildir_put(&scene, path, BYTES("damage\n"));
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildir_read_first(maildrop, 2, &code), STORE_IO);
	maildrop_close(maildrop);
	maildrop_close(scene_open(&scene));
	maildir_put(&scene, path, TEXT_B);
	assert_int_equal(maildir_findings(&scene, "whole again"), 1);
	maildir_repair_scene(&scene);
	maildrop = scene_open(&scene);
	scene_expect(maildrop, 2, TEXT_B);
	assert_string_equal(scene_entry(maildrop, 2).uid, uid);
	maildrop_close(maildrop);
	scene_end(&scene);
}

/* ---- what is read when ---- */

static void mail_is_read_once_or_never(void **state)
{
	struct scene scene;
	char *text = malloc(1000000);
	(void)state;
	scene_begin(&scene, STORE_MAILDIR);
	memset(text, 'x', 1000000);
	scene_deliver(&scene, (struct bytes){text, 1000000});
	maildir_put(&scene, "new/1.x", (struct bytes){text, 999999});
	maildrop_close(scene_open(&scene));
	for (int i = 0; i < 4; i++) {
		uint64_t before = file_octets_read();
		if (i == 2)
			scene_deliver(&scene, BYTES("a\n"));
		if (i == 3)
			maildir_rename(&scene, "new/1.x", "cur/1.x:2,S");
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).octets,
				 1000002 + 1000001 + (i > 1 ? 3 : 0));
		maildrop_close(maildrop);
		assert_true(file_octets_read() - before < 8192);
	}
	maildir_unlink(&scene, "cur/1.x:2,S");
	maildir_forget_index(&scene);
	uint64_t before = file_octets_read();
	maildrop_close(scene_open(&scene)); /* the names of ours say it all */
	assert_true(file_octets_read() - before < 8192);
	free(text);
	scene_end(&scene);
}

static void a_useless_index_is_made_anew(void **state)
{
	static const off_t places[] = {3, 20, 400, 800, 1200};
	(void)state;
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		struct scene scene;
		char index[160];
		begin_with_three(&scene);
		maildir_put(&scene, "new/9.x", BYTES("foreign\n"));
		maildrop_close(scene_open(&scene));
		scene_index_file(&scene, index);
		int descriptor = open(index, O_WRONLY);
		assert_int_equal(pwrite(descriptor, "~~~~", 4, places[i]), 4);
		close(descriptor);
		for (int opening = 0; opening < 2; opening++) {
			struct maildrop *maildrop = scene_open(&scene);
			assert_int_equal(maildrop_summary(maildrop).messages, 4);
			scene_expect(maildrop, 1, BYTES("foreign\n"));
			scene_expect(maildrop, 3, TEXT_B);
			maildrop_close(maildrop);
		}
		assert_int_equal(maildir_findings(&scene, ""), 0);
		scene_end(&scene);
	}
}

/* ---- beside it ---- */

static void unique_ids_stay_without_the_index(void **state)
{
	struct scene scene;
	struct error error = {0};
	uint8_t deleted = 0x02;
	(void)state;
	scene_begin(&scene, STORE_MAILDIR);
	struct bytes none = {0};
	assert_int_equal(scene_try_deliver(&scene, TEXT_A, none, "id-1", true), STORE_OK);
	assert_int_equal(scene_try_deliver(&scene, TEXT_B, none, "id-2", true), STORE_OK);
	assert_int_equal(scene_try_deliver(&scene, TEXT_C, none, "id-3", false), STORE_OK);
	maildir_put(&scene, "new/id-4", BYTES("a name can be one too\n"));
	assert_int_equal(scene_try_deliver(&scene, TEXT_C, none, "id-4", true), STORE_EXISTS);
	maildir_forget_index(&scene);
	assert_int_equal(scene_try_deliver(&scene, TEXT_C, none, "id-2", true), STORE_EXISTS);
	struct maildrop *maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 3);
	assert_string_equal(scene_entry(maildrop, 2).uid, "id-1");
	assert_string_equal(scene_entry(maildrop, 3).uid, "id-2");
	assert_int_equal(maildrop_update(maildrop, &deleted, &error), STORE_OK);
	maildrop_close(maildrop);
	maildir_forget_index(&scene);
	maildrop = scene_open(&scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 2);
	assert_string_equal(scene_entry(maildrop, 2).uid, "id-2");
	maildrop_close(maildrop);
	assert_int_equal(maildir_findings(&scene, ""), 0);
	scene_end(&scene);
}

static void leftovers_of_ours_are_cleared(void **state)
{
	struct scene scene;
	(void)state;
	begin_with_three(&scene);
	for (int round = 0; round < 2; round++) {
		maildir_put(&scene, "tmp/1795312860.M500000R0123456789abcdef,S=1,W=1,C=00000000",
			    BYTES("half a mess"));
		maildir_put(&scene, "tmp/of-another-program", BYTES("half a mess"));
		assert_int_equal(maildir_findings(&scene, "was interrupted"), 1);
		if (round == 0)
			scene_deliver(&scene, TEXT_A);
		else
			maildrop_close(scene_open(&scene));
		assert_int_equal(maildir_findings(&scene, ""), 0);
		assert_int_equal(maildir_count(&scene, "tmp"), 1);
	}
	scene_end(&scene);
}

static void twins_are_one_message(void **state)
{
	(void)state;
	for (int same = 0; same < 2; same++) {
		struct scene scene;
		char uid[UID_MAX + 1], from[128], to[128], path[2][400];
		begin_with_three(&scene);
		maildir_uid(&scene, 2, uid);
		snprintf(from, sizeof from, "new/%s", uid);
		snprintf(to, sizeof to, "cur/%s:2,S", uid);
		maildir_path(&scene, from, path[0]);
		maildir_path(&scene, to, path[1]);
		if (same)
			assert_int_equal(link(path[0], path[1]), 0);
		else
			maildir_put(&scene, to, TEXT_B);
		struct maildrop *maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).messages, 3);
		scene_expect(maildrop, 2, TEXT_B);
		maildrop_close(maildrop);
		assert_int_equal(maildir_findings(&scene, "is there twice"), 1);
		maildir_repair_scene(&scene);
		assert_int_equal(maildir_findings(&scene, ""), 0);
		maildrop = scene_open(&scene);
		assert_int_equal(maildrop_summary(maildrop).messages, same ? 3 : 4);
		uint32_t kept = 0;
		for (uint32_t i = 2; i <= (same ? 2 : 3); i++) {
			scene_expect(maildrop, i, TEXT_B);
			kept += strcmp(scene_entry(maildrop, i).uid, uid) == 0;
		}
		assert_int_equal(kept, 1);
		maildrop_close(maildrop);
		scene_end(&scene);
	}
}

static bool find_kept(void *context, const char *name)
{
	if (strncmp(name, "kept.", 5) == 0)
		snprintf(context, 64, "%s", name);
	return true;
}

/* A line that cannot be read goes, and is kept beside; those of the others stay. */
static void repair_keeps_what_it_takes_out(void **state)
{
	struct scene scene;
	struct file *file;
	struct file_status status;
	char name[64];
	struct bytes damage = BYTES("~"), none = {0};
	(void)state;
	scene_begin(&scene, STORE_MAILDIR);
	assert_int_equal(scene_try_deliver(&scene, TEXT_A, none, "id-1", true), STORE_OK);
	assert_int_equal(scene_try_deliver(&scene, TEXT_B, none, "id-2", true), STORE_OK);
	uids_label(uids_owner(&scene.place), name);
	assert_int_equal(file_open(scene.root.uids, name + strlen("uids/"), FILE_WRITE, &file), 0);
	assert_int_equal(file_write(file, &damage, 1, 3), 0);
	assert_int_equal(file_status(file, &status), 0);
	file_close(file);
	assert_int_equal(maildir_findings(&scene, "cannot be read"), 1);
	maildir_repair_scene(&scene);
	assert_int_equal(maildir_findings(&scene, ""), 0);
	assert_int_equal(file_list(scene.root.journal, find_kept, name), 0);
	assert_int_equal(file_open(scene.root.journal, name, FILE_READ, &file), 0);
	uint64_t octets = status.size_octets;
	assert_int_equal(file_status(file, &status), 0);
	assert_int_equal(status.size_octets, octets);
	file_close(file);
	struct maildrop *maildrop = scene_open(&scene);
	assert_string_equal(scene_entry(maildrop, 2).uid, "id-2");
	maildrop_close(maildrop);
	scene_end(&scene);
}

static void erasing_leaves_nothing(void **state)
{
	static const char *const folders[] = {"tmp", "new", "cur"};
	struct scene scene;
	struct error error = {0};
	char name[64], path[160];
	(void)state;
	begin_with_three(&scene);
	assert_int_equal(scene_try_deliver(&scene, TEXT_A, (struct bytes){0}, "id-1", true),
			 STORE_OK);
	maildir_put(&scene, "tmp/half", BYTES("x"));
	maildir_put(&scene, "cur/1.x:2,S", BYTES("x"));
	assert_int_equal(store_retire(&scene.root, &scene.place, STORE_ERASE, &error), STORE_OK);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(maildir_count(&scene, folders[i]), 0);
	scene_file(&scene, uids_label(uids_owner(&scene.place), name), path);
	assert_int_equal(access(path, F_OK), -1);
	scene_index_file(&scene, path);
	assert_int_equal(access(path, F_OK), -1);
	scene_end(&scene);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(a_delivery_is_a_file_that_others_read),
	cmocka_unit_test(many_in_one_delivery_keep_their_order),
	cmocka_unit_test(mail_of_long_ago_goes_to_its_place),
	cmocka_unit_test(what_is_no_file_is_not_shown),
	cmocka_unit_test(what_is_no_maildir_is_refused),
	cmocka_unit_test(missing_folders_are_made),
	cmocka_unit_test(files_that_move_are_found),
	cmocka_unit_test(a_removed_file_fails_alone),
	cmocka_unit_test(a_changed_file_of_ours_is_damaged),
	cmocka_unit_test(a_damaged_file_that_was_put_back_is_whole),
	cmocka_unit_test(mail_is_read_once_or_never),
	cmocka_unit_test(a_useless_index_is_made_anew),
	cmocka_unit_test(unique_ids_stay_without_the_index),
	cmocka_unit_test(leftovers_of_ours_are_cleared),
	cmocka_unit_test(twins_are_one_message),
	cmocka_unit_test(repair_keeps_what_it_takes_out),
	cmocka_unit_test(erasing_leaves_nothing),
};

TEST_MAIN(tests)
