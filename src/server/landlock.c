/*
 * landlock: every right the kernel's version knows is taken away but those given back below the
 * directories; what an older kernel does not know it does not guard, and seccomp stands before it.
 * Must not know what the directories are.
 */
#include "server/landlock.h"

#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/landlock.h>

#define RIGHT(bit) (UINT64_C(1) << (bit))

enum { /* rights about files, by number of their bit */
       EXECUTE,
       WRITE_FILE,
       READ_FILE,
       READ_DIRECTORY,
       REMOVE_DIRECTORY,
       REMOVE_FILE,
       MAKE_CHARACTER,
       MAKE_DIRECTORY,
       MAKE_REGULAR,
       MAKE_SOCKET,
       MAKE_FIFO,
       MAKE_BLOCK,
       MAKE_SYMBOLIC_LINK,
       REFER,
       TRUNCATE,
       IOCTL_DEVICE
};

#define GIVEN_BACK                                                                                 \
	(RIGHT(WRITE_FILE) | RIGHT(READ_FILE) | RIGHT(READ_DIRECTORY) | RIGHT(REMOVE_DIRECTORY) |  \
	 RIGHT(REMOVE_FILE) | RIGHT(MAKE_DIRECTORY) | RIGHT(MAKE_REGULAR) | RIGHT(REFER) |         \
	 RIGHT(TRUNCATE))

#define NETWORK_ALL (RIGHT(0) | RIGHT(1)) /* bind and connect of TCP */
#define SCOPE_ALL   (RIGHT(0) | RIGHT(1)) /* abstract sockets and signals */

struct ruleset { /* struct landlock_ruleset_attr as of version 6 */
	uint64_t files;
	uint64_t network;
	uint64_t scope;
};

/* By version of the interface: how much of the struct it takes, how many rights about files it
 * has. */
static const struct version {
	size_t octets;
	unsigned file_rights;
	uint64_t network, scope;
} versions[] = {
	{0, 0, 0, 0},
	{8, MAKE_SYMBOLIC_LINK + 1, 0, 0},
	{8, REFER + 1, 0, 0},
	{8, TRUNCATE + 1, 0, 0},
	{16, TRUNCATE + 1, NETWORK_ALL, 0},
	{16, IOCTL_DEVICE + 1, NETWORK_ALL, 0},
	{24, IOCTL_DEVICE + 1, NETWORK_ALL, SCOPE_ALL},
};
#define VERSION_THAT_MOVES 2 /* it has REFER */
#define VERSION_NEWEST     ((long)(sizeof(versions) / sizeof(*versions)) - 1)

static bool add_directory(int ruleset, int directory, uint64_t rights)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = directory};
	return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
}

static bool restrict_to(int ruleset, const int *directories, size_t count, uint64_t rights)
{
	for (size_t i = 0; i < count; i++)
		if (!add_directory(ruleset, directories[i], rights))
			return false;
	return syscall(SYS_landlock_restrict_self, ruleset, 0) == 0;
}

long landlock_version(void)
{
	long known = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	return known > 0 ? known : 0; /* not built in (ENOSYS), or not switched on (EOPNOTSUPP) */
}

enum error_code landlock_enter(long known, const int *directories, size_t count, bool moves,
			       bool *there_out, struct error *error)
{
	*there_out = known >= (moves ? VERSION_THAT_MOVES : 1);
	if (!*there_out)
		return ERROR_NONE;
	const struct version *version = &versions[known < VERSION_NEWEST ? known : VERSION_NEWEST];
	struct ruleset rules = {.files = RIGHT(version->file_rights) - 1,
				.network = version->network,
				.scope = version->scope};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &rules, version->octets, 0);
	if (ruleset < 0)
		return error_set_errno(error, -errno, "Landlock: making a set of rules");
	bool ok = restrict_to(ruleset, directories, count, rules.files & GIVEN_BACK);
	int problem = errno;
	close(ruleset);
	return ok ? ERROR_NONE : error_set_errno(error, -problem, "Landlock: entering");
}
