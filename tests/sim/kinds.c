/*
 * kinds: the list of them, and what they have in common.
 */
#include "kinds.h"

#include <string.h>

const struct world_kind *const world_kinds[] = {
	&world_mbox,
	&world_maildir,
	&world_spool,
};
const size_t world_kinds_count = sizeof(world_kinds) / sizeof(world_kinds[0]);

const char *world_common_role(const char *path, bool directory, bool unnamed)
{
	if (unnamed)
		return "draft";
	if (directory)
		return "directory";
	if (strncmp(path, "locks/", 6) == 0)
		return "lock";
	if (strncmp(path, "index/", 6) == 0)
		return strchr(path, '.') != NULL ? "temporary" : "index";
	if (strncmp(path, "journal/reserve.", 16) == 0)
		return "reserve";
	if (strncmp(path, "journal/aside.", 14) == 0 || strncmp(path, "journal/kept.", 13) == 0)
		return "aside";
	return NULL;
}
