/*
 * test_maildir: a Maildir in a scene, and what other programs do to it. For tests only.
 */
#ifndef STORE_TEST_MAILDIR_H
#define STORE_TEST_MAILDIR_H

#include <fcntl.h>

#include "store/test_scene.h"

#define MAILDIR "mail/example.org/alice/"

static inline void maildir_path(const struct scene *scene, const char *name, char path[400])
{
	snprintf(path, 400, "%s/" MAILDIR "%s", scene->path, name);
}

/* As another program delivers: the Maildir is there. */
static inline void maildir_put(const struct scene *scene, const char *name, struct bytes content)
{
	char path[400];
	maildir_path(scene, name, path);
	int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(descriptor >= 0);
	assert_int_equal(write(descriptor, content.data, content.length), content.length);
	close(descriptor);
}

static inline void maildir_make(const struct scene *scene)
{
	static const char *const folders[] = {"", "/alice", "/alice/tmp", "/alice/new",
					      "/alice/cur"};
	for (size_t i = 0; i < 5; i++) {
		char path[400];
		snprintf(path, sizeof path, "%s/mail/example.org%s", scene->path, folders[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
}

static inline void maildir_rename(const struct scene *scene, const char *from, const char *to)
{
	char old[400], new[400];
	maildir_path(scene, from, old);
	maildir_path(scene, to, new);
	assert_int_equal(rename(old, new), 0);
}

static inline void maildir_unlink(const struct scene *scene, const char *name)
{
	char path[400];
	maildir_path(scene, name, path);
	assert_int_equal(unlink(path), 0);
}

static inline size_t maildir_count(const struct scene *scene, const char *folder)
{
	char path[400];
	size_t count = 0;
	maildir_path(scene, folder, path);
	DIR *stream = opendir(path);
	assert_non_null(stream);
	for (struct dirent *entry; (entry = readdir(stream)) != NULL;)
		count += entry->d_name[0] != '.';
	closedir(stream);
	return count;
}

/* The n-th message's unique-id, which is its file's name until another program changes that. */
static inline void maildir_uid(const struct scene *scene, uint32_t number, char uid[UID_MAX + 1])
{
	struct maildrop *maildrop = scene_open(scene);
	memcpy(uid, scene_entry(maildrop, number).uid, UID_MAX + 1);
	maildrop_close(maildrop);
}

static inline size_t maildir_findings(const struct scene *scene, const char *wanted)
{
	struct findings findings;
	struct error error = {0};
	size_t found = 0;
	assert_int_equal(store_verify(&scene->root, &scene->place, &findings, &error), STORE_OK);
	for (size_t i = 0; i < findings.count; i++)
		found += strstr(findings.list[i].text, wanted) != NULL;
	if (wanted[0] != '\0' && found != findings.count)
		for (size_t i = 0; i < findings.count; i++)
			print_message("finding: %s: %s\n", findings.list[i].file,
				      findings.list[i].text);
	findings_free(&findings);
	return found;
}

static inline void maildir_repair_scene(const struct scene *scene)
{
	struct findings findings;
	struct error error = {0};
	assert_int_equal(store_repair(&scene->root, &scene->place, &findings, &error), STORE_OK);
	findings_free(&findings);
}

static inline void maildir_forget_index(const struct scene *scene)
{
	char path[160];
	scene_index_file(scene, path);
	assert_int_equal(unlink(path), 0);
}

static inline enum store_result maildir_read_first(struct maildrop *maildrop, uint32_t number,
						   enum error_code *code_out)
{
	char octets[4096];
	size_t length;
	struct error error = {0};
	enum store_result result =
		maildrop_read(maildrop, number, 0, false, octets, sizeof octets, &length, &error);
	*code_out = error.code;
	return result;
}

#endif
