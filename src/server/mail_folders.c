/*
 * mail_folders: see mail_folders.h.
 *
 * Guarantees: all of them or none. Must not know what lies in them.
 */
#include "server/mail_folders.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/mail_roots.h"

bool mail_folder_is_lent(const struct instance *instance, int descriptor)
{
	struct stat status;

	return descriptor >= 0 && fstat(descriptor, &status) == 0 && instance->as_root &&
	       status.st_uid != instance->mail_user.uid && status.st_uid != instance->auth_user.uid;
}

static enum error_code open_one(const struct instance *instance, const char *path, uint32_t number,
				struct mail_folders *folders, struct error *error)
{
	int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	folders->descriptors[number] = descriptor;
	if (descriptor < 0)
		return error_set_errno(error, -errno, "opening the mail root %.150s", path);
	if (mail_folder_is_lent(instance, descriptor))
		folders->lent |= 1U << number;
	return ERROR_NONE;
}

enum error_code mail_folders_open(const struct config *config, const struct instance *instance,
				  struct mail_folders *folders_out, struct error *error)
{
	static struct mail_roots roots;
	enum error_code code;

	folders_out->lent = 0;
	for (uint32_t i = 0; i < MAIL_ROOTS_MAX; i++)
		folders_out->descriptors[i] = -1;
	code = mail_roots_number(instance, config->root, config->mail_roots,
				 config->mail_root_count, &roots, error);
	for (uint32_t i = 1; i < roots.count && code == ERROR_NONE; i++)
		if (roots.path[i][0])
			code = open_one(instance, roots.path[i], i, folders_out, error);
	if (code != ERROR_NONE)
		mail_folders_close(folders_out);
	return code;
}

void mail_folders_close(struct mail_folders *folders)
{
	for (uint32_t i = 0; i < MAIL_ROOTS_MAX; i++) {
		if (folders->descriptors[i] >= 0)
			close(folders->descriptors[i]);
		folders->descriptors[i] = -1;
	}
}
