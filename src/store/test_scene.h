/*
 * test_scene: an instance's folders in a temporary directory, and the few steps all store tests
 * take. For tests only.
 */
#ifndef STORE_TEST_SCENE_H
#define STORE_TEST_SCENE_H

#include <dirent.h>
#include <ftw.h>
#include <sys/stat.h>

#include "base/test.h"
#include "base/wire.h"
#include "store/store.h"

struct scene {
	char path[64];
	struct store_root root;
	struct place place;
};

static inline struct file *scene_folder(const struct scene *scene, const char *name)
{
	char path[128];
	struct file *folder;
	snprintf(path, sizeof path, "%s/%s", scene->path, name);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(file_open_root(path, &folder), 0);
	return folder;
}

static inline void scene_begin_in(struct scene *scene, enum store_kind kind, const char *folder)
{
	static uint64_t account = 1;
	*scene = (struct scene){0};
	snprintf(scene->path, sizeof scene->path, "%s/postern-store-XXXXXX", folder);
	assert_non_null(mkdtemp(scene->path));
	scene->root.disk = disk_kernel();
	scene->root.mail[0] = scene_folder(scene, "mail");
	scene->root.index = scene_folder(scene, "index");
	scene->root.journal = scene_folder(scene, "journal");
	scene->root.uids = scene_folder(scene, "uids");
	scene->root.locks = scene_folder(scene, "locks");
	scene->place = (struct place){.account = account++, .generation = 1, .kind = kind};
	snprintf(scene->place.path, sizeof scene->place.path, "example.org/alice");
}

static inline void scene_begin(struct scene *scene, enum store_kind kind)
{
	scene_begin_in(scene, kind, "/tmp");
}

static inline int scene_unlink(const char *path, const struct stat *status, int flag,
			       struct FTW *walk)
{
	(void)status;
	(void)flag;
	(void)walk;
	return remove(path);
}

static inline void scene_end(struct scene *scene)
{
	file_close(scene->root.mail[0]);
	file_close(scene->root.index);
	file_close(scene->root.journal);
	file_close(scene->root.uids);
	file_close(scene->root.locks);
	assert_int_equal(nftw(scene->path, scene_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static inline void scene_file(const struct scene *scene, const char *name, char path[160])
{
	snprintf(path, 160, "%s/%s", scene->path, name);
}

static inline void scene_index_file(const struct scene *scene, char path[160])
{
	snprintf(path, 160, "%s/index/%llu", scene->path, (unsigned long long)scene->place.account);
}

static inline struct draft *scene_draft(const struct scene *scene, struct bytes text)
{
	struct error error = {0};
	struct draft *draft = draft_new(scene->root.mail[0], MESSAGE_OCTETS_MAX);
	assert_non_null(draft);
	for (struct bytes rest = text; rest.length > 0;) {
		struct bytes part = bytes_first(rest, 10007);
		assert_int_equal(draft_write(draft, part, &error), ERROR_NONE);
		rest = bytes_skip(rest, part.length);
	}
	assert_int_equal(draft_seal(draft, &error), ERROR_NONE);
	return draft;
}

static inline enum store_result scene_try_deliver(const struct scene *scene, struct bytes text,
						  struct bytes headers, const char *uid,
						  bool commit)
{
	struct error error = {0};
	struct delivery *delivery;
	struct draft *draft = scene_draft(scene, text);
	struct delivery_request request = {.draft = draft,
					   .headers = headers,
					   .sender = BYTES("bob@example.net"),
					   .uid = bytes_of(uid),
					   .received_unix_seconds = 1795312860};
	enum store_result result =
		delivery_prepare(&scene->root, &scene->place, &request, 1, &delivery, &error);
	if (result == STORE_OK)
		result = delivery_finish(delivery, commit, &error);
	draft_free(draft);
	return result;
}

static inline void scene_deliver(const struct scene *scene, struct bytes text)
{
	assert_int_equal(scene_try_deliver(scene, text, (struct bytes){0}, "", true), STORE_OK);
}

static inline struct maildrop *scene_open(const struct scene *scene)
{
	struct error error = {0};
	struct maildrop *maildrop;
	enum store_result result =
		maildrop_open(&scene->root, &scene->place, STORE_SESSION, &maildrop, &error);
	if (result != STORE_OK)
		fail_msg("row \"%s\": open: %d %s", test_row_name, result, error.text);
	return maildrop;
}

/* Reads a whole message in pieces of `size`; the caller frees out->data. */
static inline enum store_result scene_read(struct maildrop *maildrop, uint32_t number, size_t size,
					   struct buffer *out)
{
	struct error error = {0};
	char *piece = malloc(size);
	size_t length = 1;
	enum store_result result = STORE_OK;
	buffer_init(out, (size_t)1 << 30);
	while (result == STORE_OK && length > 0) {
		result = maildrop_read(maildrop, number, out->length, false, piece, size, &length,
				       &error);
		if (result == STORE_OK)
			assert_true(buffer_append(out, (struct bytes){piece, length}));
	}
	free(piece);
	return result;
}

static inline struct maildrop_entry scene_entry(struct maildrop *maildrop, uint32_t number)
{
	struct error error = {0};
	struct maildrop_entry entry;
	assert_int_equal(maildrop_table(maildrop, number, 1, false, &entry, &error), STORE_OK);
	return entry;
}

/* The message is there: its octets, and the size that is said of them. */
static inline void scene_expect(struct maildrop *maildrop, uint32_t number, struct bytes text)
{
	struct buffer read;
	struct wire_size size = {0};
	wire_size_add(&size, text);
	assert_int_equal(scene_entry(maildrop, number).octets, wire_size_octets(&size));
	assert_int_equal(scene_read(maildrop, number, 4096, &read), STORE_OK);
	test_equal_bytes(buffer_bytes(&read), text);
	buffer_free(&read);
}

#endif
