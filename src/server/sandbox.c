/*
 * sandbox: user, parent, Landlock and seccomp, in the order that server/sandbox.h states.
 *
 * Guarantees: each function either did all it says or returns an error, after which the process
 * must end. Must not know what the process does afterwards. What seccomp refuses is a list, not a
 * white-list: the C library, OpenSSL, SQLite and the sanitizers may use any other call they like in
 * their next versions.
 */
#include "server/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <seccomp.h>

#include "server/landlock.h"

/* ---- root, user, parent ---- */

enum error_code sandbox_change_root(int directory, struct error *error)
{
	if (fchdir(directory) != 0 || chroot(".") != 0 || chdir("/") != 0)
		return error_set_errno(error, -errno, "changing the root directory");
	return ERROR_NONE;
}

static bool has_only(uid_t uid, gid_t gid)
{
	uid_t real_uid, effective_uid, saved_uid;
	gid_t real_gid, effective_gid, saved_gid;
	return getresuid(&real_uid, &effective_uid, &saved_uid) == 0 &&
	       getresgid(&real_gid, &effective_gid, &saved_gid) == 0 && real_uid == uid &&
	       effective_uid == uid && saved_uid == uid && real_gid == gid &&
	       effective_gid == gid && saved_gid == gid;
}

static bool way_back(void)
{
	return setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0 || setgroups(0, NULL) == 0;
}

static enum error_code give_up_privileges(struct error *error)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return error_set_errno(error, -errno, "giving up privileges");
	return ERROR_NONE;
}

enum error_code sandbox_drop_user(uid_t uid, gid_t gid, struct error *error)
{
	if (uid == 0 || gid == 0)
		return error_set(error, ERROR_CONFIG, "a child of the server must not run as root");
	if (setgroups(1, &gid) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return error_set_errno(error, -errno, "becoming uid %u, gid %u", (unsigned)uid,
				       (unsigned)gid);
	if (!has_only(uid, gid) || way_back())
		return error_set(error, ERROR_SYSTEM,
				 "uid %u could become root again; not going on", (unsigned)uid);
	return give_up_privileges(error);
}

enum error_code sandbox_follow_parent(pid_t parent, struct error *error)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
		return error_set_errno(error, -errno, "asking to end with the supervisor");
	if (getppid() != parent) /* it died before we asked */
		return error_set(error, ERROR_UNAVAILABLE, "the supervisor is gone");
	return ERROR_NONE;
}

/* ---- system calls ---- */

static const int refused[] = {
	/* sockets: those handed down suffice */
	SCMP_SYS(socket),
	SCMP_SYS(socketpair),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(listen),
	/* other programs and processes */
	SCMP_SYS(execve),
	SCMP_SYS(execveat),
	SCMP_SYS(fork),
	SCMP_SYS(vfork),
	SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev),
	SCMP_SYS(process_madvise),
	SCMP_SYS(kcmp),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_getfd),
	SCMP_SYS(pidfd_send_signal),
	SCMP_SYS(tkill),
	SCMP_SYS(rt_sigqueueinfo),
	SCMP_SYS(rt_tgsigqueueinfo),
	/* users and roots */
	SCMP_SYS(setuid),
	SCMP_SYS(setgid),
	SCMP_SYS(setreuid),
	SCMP_SYS(setregid),
	SCMP_SYS(setresuid),
	SCMP_SYS(setresgid),
	SCMP_SYS(setfsuid),
	SCMP_SYS(setfsgid),
	SCMP_SYS(setgroups),
	SCMP_SYS(capset),
	SCMP_SYS(chroot),
	SCMP_SYS(pivot_root),
	SCMP_SYS(unshare),
	SCMP_SYS(setns),
	SCMP_SYS(personality),
	/* file systems and files by handle, past the rules about names */
	SCMP_SYS(mount),
	SCMP_SYS(umount),
	SCMP_SYS(umount2),
	SCMP_SYS(move_mount),
	SCMP_SYS(open_tree),
	SCMP_SYS(mount_setattr),
	SCMP_SYS(fsopen),
	SCMP_SYS(fsconfig),
	SCMP_SYS(fsmount),
	SCMP_SYS(fspick),
	SCMP_SYS(open_by_handle_at),
	SCMP_SYS(quotactl),
	SCMP_SYS(swapon),
	SCMP_SYS(swapoff),
	SCMP_SYS(acct),
	SCMP_SYS(fanotify_init),
	/* the kernel itself, and the parts of it where most holes were found */
	SCMP_SYS(bpf),
	SCMP_SYS(perf_event_open),
	SCMP_SYS(userfaultfd),
	SCMP_SYS(keyctl),
	SCMP_SYS(add_key),
	SCMP_SYS(request_key),
	SCMP_SYS(init_module),
	SCMP_SYS(finit_module),
	SCMP_SYS(delete_module),
	SCMP_SYS(kexec_load),
	SCMP_SYS(kexec_file_load),
	SCMP_SYS(reboot),
	SCMP_SYS(settimeofday),
	SCMP_SYS(clock_settime),
	SCMP_SYS(clock_adjtime),
	SCMP_SYS(adjtimex),
	SCMP_SYS(sethostname),
	SCMP_SYS(setdomainname),
	SCMP_SYS(syslog),
	SCMP_SYS(vhangup),
	SCMP_SYS(iopl),
	SCMP_SYS(ioperm),
};

/* "There is no such call": libraries fall back to an older one. The arguments of clone3 lie in
 * memory, where a filter cannot look at them. */
static const int absent[] = {
	SCMP_SYS(clone3),
	SCMP_SYS(io_uring_setup),
	SCMP_SYS(io_uring_enter),
	SCMP_SYS(io_uring_register),
};

static const unsigned long new_namespaces[] = {
	CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,    CLONE_NEWUSER,
	CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP,
};

/* A call this machine does not have (umount, fork on some) is refused well enough. */
static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int result = 0;
	for (size_t i = 0; i < count && result == 0; i++)
		result = seccomp_rule_add(filter, action, calls[i], 0);
	return result;
}

/* clone starts threads only, and in no name space of their own. */
static int refuse_processes(scmp_filter_ctx filter)
{
	int result = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
				      SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0));
	for (size_t i = 0; i < sizeof(new_namespaces) / sizeof(*new_namespaces) && result == 0; i++)
		result = seccomp_rule_add(
			filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
			SCMP_A0(SCMP_CMP_MASKED_EQ, new_namespaces[i], new_namespaces[i]));
	return result;
}

/* Signal 0 only asks whether a process is there, which tells a dotlock that was left behind. */
static int refuse_signals(scmp_filter_ctx filter)
{
	return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(kill), 1,
				SCMP_A1(SCMP_CMP_NE, 0, 0));
}

/* A descriptor of a terminal (our log's) must not type commands into it, and what was asked of the
 * kernel above stays asked. */
static int refuse_arguments(scmp_filter_ctx filter)
{
	static const struct {
		int call;
		unsigned argument;
		uint64_t value;
	} rows[] = {
		{SCMP_SYS(ioctl), 1, TIOCSTI},
		{SCMP_SYS(ioctl), 1, TIOCLINUX},
		{SCMP_SYS(prctl), 0, PR_SET_PDEATHSIG},
		{SCMP_SYS(prctl), 0, PR_SET_DUMPABLE},
	};
	int result = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows) && result == 0; i++)
		result = seccomp_rule_add(
			filter, SCMP_ACT_ERRNO(EPERM), rows[i].call, 1,
			SCMP_CMP(rows[i].argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, rows[i].value));
	return result;
}

/* Calls of another architecture (32-bit on 64-bit) would pass by: they end the process. */
static enum error_code enter_seccomp(struct error *error)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return error_set(error, ERROR_TEMPORARY, "seccomp: out of memory");
	int result = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (result == 0)
		result = add_all(filter, SCMP_ACT_ERRNO(EPERM), refused,
				 sizeof(refused) / sizeof(*refused));
	if (result == 0)
		result = add_all(filter, SCMP_ACT_ERRNO(ENOSYS), absent,
				 sizeof(absent) / sizeof(*absent));
	if (result == 0)
		result = refuse_processes(filter);
	if (result == 0)
		result = refuse_signals(filter);
	if (result == 0)
		result = refuse_arguments(filter);
	if (result == 0)
		result = seccomp_load(filter);
	seccomp_release(filter);
	if (result != 0)
		return error_set(error, ERROR_SYSTEM, "seccomp: %s", strerror(-result));
	return ERROR_NONE;
}

static enum error_code enter(const int *directories, size_t count, bool moves, bool *landlock_out,
			     struct error *error)
{
	*landlock_out = false;
	enum error_code code = give_up_privileges(error);
	if (code == ERROR_NONE)
		code = landlock_enter(landlock_version(), directories, count, moves, landlock_out,
				      error);
	if (code == ERROR_NONE)
		code = enter_seccomp(error);
	return code;
}

enum error_code sandbox_enter_worker(const int *directories, size_t count, bool *landlock_out,
				     struct error *error)
{
	return enter(directories, count, true, landlock_out, error);
}

enum error_code sandbox_enter_auth(int directory, bool *landlock_out, struct error *error)
{
	return enter(&directory, 1, false, landlock_out, error);
}
