/*
 * mail_roots: see mail_roots.h.
 *
 * Guarantees: two commands at once never give one number to two paths; what was given out is on
 * stable storage. Must not know: who has which maildrop.
 */
#include "server/mail_roots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_NAME "mail-roots"

/* All that were ever given a number, by number; 0 is none of them. */
struct known {
	uint32_t count; /* the next number */
	struct bytes path[MAIL_ROOTS_MAX];
	struct buffer text;
};

static const char *path_fault(const char *path)
{
	if (path[0] != '/' || path[1] == '\0')
		return "it must be an absolute path, and not the root of the file system";
	for (const char *part = path; part; part = strchr(part + 1, '/')) {
		size_t length = strcspn(part + 1, "/");

		if (length == 0)
			return "a part of it is empty";
		if ((length == 1 && part[1] == '.') ||
		    (length == 2 && part[1] == '.' && part[2] == '.'))
			return "a part of it is \".\" or \"..\"";
	}
	return strchr(path, '\n') ? "it has a line end" : NULL;
}

/* Is `path` this folder, or within it? */
static bool is_within(const char *path, const char *folder)
{
	size_t length = strlen(folder);

	return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static bool overlap(const char *path, const char *other)
{
	return is_within(path, other) || is_within(other, path);
}

static enum error_code check(const struct mail_roots *roots, const char *root_path,
			     const char *path, struct error *error)
{
	const char *fault = path_fault(path);

	if (!fault && overlap(path, root_path))
		fault = "it and ROOT lie one in the other";
	for (uint32_t i = 1; i < MAIL_ROOTS_MAX && !fault; i++)
		if (roots->path[i][0] && overlap(path, roots->path[i]))
			fault = "it and another mail root are the same or lie one in the other";
	if (!fault)
		return ERROR_NONE;
	return error_set(error, ERROR_CONFIG, "mail-root %.150s: %s", path, fault);
}

/* ---- the file ---- */

static enum error_code read_known(const struct instance *instance, struct known *known,
				  struct error *error)
{
	struct error problem;
	enum error_code code = instance_read(instance->root, FILE_NAME, MAIL_ROOTS_MAX * PATH_MAX,
					     &known->text, &problem);
	struct bytes rest;

	known->count = 1;
	if (code == ERROR_NO_INPUT)
		return ERROR_NONE;
	if (code != ERROR_NONE)
		return error_set(error, code, "%s", problem.text);
	for (rest = buffer_bytes(&known->text); rest.length > 0;) {
		const char *end = memchr(rest.data, '\n', rest.length);
		size_t length = end ? (size_t)(end - rest.data) : 0;

		if (length == 0 || length >= PATH_MAX || known->count == MAIL_ROOTS_MAX ||
		    memchr(rest.data, '\0', length))
			return error_set(error, ERROR_CONFIG,
					 "ROOT/" FILE_NAME " is not as Postern wrote it (line %u)",
					 (unsigned)known->count);
		known->path[known->count++] = bytes_first(rest, length);
		rest = bytes_skip(rest, length + 1);
	}
	return ERROR_NONE;
}

static uint32_t number_of(const struct known *known, const char *path)
{
	uint32_t number = 1;

	while (number < known->count && !bytes_equal(known->path[number], bytes_of(path)))
		number++;
	return number;
}

/* A new one is known by the caller's text, which lives as long. */
static enum error_code give_number(struct known *known, const char *path, struct mail_roots *roots,
				   struct error *error)
{
	uint32_t number = number_of(known, path);

	if (number == MAIL_ROOTS_MAX)
		return error_set(error, ERROR_CONFIG,
				 "mail-root %.150s: there have been %d others in this instance, "
				 "which is the most",
				 path, MAIL_ROOTS_MAX - 1);
	(void)bytes_to_string(bytes_of(path), roots->path[number], PATH_MAX);
	if (number == known->count)
		known->path[known->count++] = bytes_of(roots->path[number]);
	if (number >= roots->count)
		roots->count = number + 1;
	return ERROR_NONE;
}

static enum error_code write_known(const struct instance *instance, const struct known *known,
				   struct error *error)
{
	struct buffer text;
	bool good = true;
	enum error_code code;

	buffer_init(&text, MAIL_ROOTS_MAX * PATH_MAX);
	for (uint32_t i = 1; i < known->count && good; i++)
		good = buffer_append(&text, known->path[i]) && buffer_append(&text, BYTES("\n"));
	code = good ? instance_write(instance->root, FILE_NAME, buffer_bytes(&text), 0644, error)
		    : error_set(error, ERROR_TEMPORARY, "no memory");
	buffer_free(&text);
	return code;
}

/* ---- all of them ---- */

static bool has_system_spools(const struct instance *instance)
{
	struct stat status;

	return instance->as_root && lstat(MAIL_ROOTS_SYSTEM, &status) == 0 &&
	       S_ISDIR(status.st_mode);
}

static enum error_code number_all(const struct instance *instance, const char *root_path,
				  const char (*configured)[PATH_MAX], size_t configured_count,
				  struct known *known, struct mail_roots *roots,
				  struct error *error)
{
	enum error_code code = read_known(instance, known, error);
	uint32_t before = known->count;

	for (size_t i = 0; i < configured_count && code == ERROR_NONE; i++) {
		code = check(roots, root_path, configured[i], error);
		if (code == ERROR_NONE)
			code = give_number(known, configured[i], roots, error);
	}
	if (code == ERROR_NONE && has_system_spools(instance) &&
	    check(roots, root_path, MAIL_ROOTS_SYSTEM, NULL) == ERROR_NONE)
		code = give_number(known, MAIL_ROOTS_SYSTEM, roots, error);
	if (code == ERROR_NONE && known->count > before)
		code = write_known(instance, known, error);
	return code;
}

enum error_code mail_roots_number(const struct instance *instance, const char *root_path,
				  const char (*configured)[PATH_MAX], size_t configured_count,
				  struct mail_roots *mail_roots_out, struct error *error)
{
	struct known known = {.count = 0};
	enum error_code code;

	memset(mail_roots_out, 0, sizeof(*mail_roots_out));
	mail_roots_out->count = 1;
	buffer_init(&known.text, MAIL_ROOTS_MAX * PATH_MAX);
	if (flock(instance->root, LOCK_EX) != 0)
		return error_set_errno(error, -errno, "locking ROOT");
	code = number_all(instance, root_path, configured, configured_count, &known, mail_roots_out,
			  error);
	(void)flock(instance->root, LOCK_UN);
	buffer_free(&known.text);
	return code;
}

bool mail_roots_find(const struct mail_roots *mail_roots, const char *root_path, const char *path,
		     uint32_t *number_out, const char **below_out)
{
	char first[PATH_MAX];
	int length = snprintf(first, sizeof(first), "%s/mail", root_path);

	for (uint32_t i = 0; i < mail_roots->count; i++) {
		const char *folder = i == 0 ? first : mail_roots->path[i];

		if (i == 0 && (length < 0 || length >= PATH_MAX))
			continue;
		if (!folder[0] || !is_within(path, folder) || path[strlen(folder)] == '\0')
			continue;
		*number_out = i;
		*below_out = path + strlen(folder) + 1;
		return true;
	}
	return false;
}
