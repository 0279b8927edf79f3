/*
 * sandbox: children enter it and try what must fail and what must work. Each leaves by _exit():
 * LeakSanitizer cannot look from inside.
 */
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "base/test.h"
#include "net/loop.h"
#include "net/tls.h"

/* Two folders inside, one outside with a file; what a supervisor hands down besides. */
static struct folders {
	char root[64];
	int inside, other_inside, outside;
	int fresh_socket;     /* neither bound nor connected */
	int listener, client; /* a connection that waits to be accepted */
	int log;              /* a file outside, opened before */
} at;

static int open_folder(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", at.root, name);
	assert_int_equal(mkdir(path, 0700), 0);
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(folder >= 0);
	return folder;
}

static void make_connection(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	at.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	at.fresh_socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(at.listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(at.listener, 1), 0);
	assert_int_equal(getsockname(at.listener, (struct sockaddr *)&address, &length), 0);
	assert_int_equal(connect(at.client, (struct sockaddr *)&address, length), 0);
}

static int set_up(void **state)
{
	(void)state;
	snprintf(at.root, sizeof(at.root), "/tmp/sandbox_test.XXXXXX");
	assert_non_null(mkdtemp(at.root));
	at.inside = open_folder("inside");
	at.other_inside = open_folder("other");
	at.outside = open_folder("outside");
	close(openat(at.inside, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	at.log = openat(at.outside, "file", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(at.log >= 0);
	make_connection();
	return 0;
}

static int tear_down(void **state)
{
	static const char *const names[] = {"inside", "other", "outside"};
	const int all[] = {at.inside,   at.other_inside, at.outside,     at.log,
			   at.listener, at.client,       at.fresh_socket};
	(void)state;
	unlinkat(at.inside, "file", 0);
	unlinkat(at.outside, "file", 0);
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		close(all[i]);
	for (size_t i = 0; i < 3; i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s/%s", at.root, names[i]);
		assert_int_equal(rmdir(path), 0);
	}
	return rmdir(at.root);
}

/* ---- what is tried: 0, or errno ---- */

static int outcome(long result)
{
	return result < 0 ? errno : 0;
}

static int try_open(int folder, const char *name, int flags)
{
	int descriptor = openat(folder, name, flags | O_CLOEXEC, 0600);
	int result = outcome(descriptor);
	if (descriptor >= 0)
		close(descriptor);
	return result;
}

static int read_outside(void)
{
	return try_open(at.outside, "file", O_RDONLY);
}
static int read_password_file(void)
{
	return try_open(AT_FDCWD, "/etc/passwd", O_RDONLY);
}
static int read_through_parent(void)
{
	return try_open(at.inside, "../outside/file", O_RDONLY);
}
static int write_outside(void)
{
	return try_open(at.outside, "file", O_WRONLY);
}
static int create_outside(void)
{
	return try_open(at.outside, "new", O_WRONLY | O_CREAT);
}
static int list_outside(void)
{
	return try_open(at.outside, ".", O_RDONLY | O_DIRECTORY);
}
static int truncate_outside(void)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/outside/file", at.root);
	return outcome(truncate(path, 0));
}
static int rename_to_outside(void)
{
	return outcome(renameat(at.inside, "file", at.outside, "stolen"));
}
static int rename_from_outside(void)
{
	return outcome(renameat(at.outside, "file", at.inside, "stolen"));
}
static int link_from_outside(void)
{
	return outcome(linkat(at.outside, "file", at.inside, "stolen", 0));
}
static int remove_outside(void)
{
	return outcome(unlinkat(at.outside, "file", 0));
}
static int make_folder_outside(void)
{
	return outcome(mkdirat(at.outside, "new", 0700));
}
static int make_symbolic_link(void)
{
	return outcome(symlinkat("/etc/passwd", at.inside, "link"));
}
static int make_fifo(void)
{
	return outcome(mkfifoat(at.inside, "fifo", 0600));
}
static int execute(void)
{
	char *const arguments[] = {(char *)"/bin/true", NULL};
	return outcome(execve(arguments[0], arguments, arguments + 1));
}
static int start_process(void)
{
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	return outcome(child);
}
static int make_socket(void)
{
	return outcome(socket(AF_INET, SOCK_STREAM, 0));
}
static int make_socket_pair(void)
{
	int ends[2];
	return outcome(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}
static int use_socket(int (*call)(int, const struct sockaddr *, socklen_t))
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return outcome(call(at.fresh_socket, (struct sockaddr *)&address, sizeof(address)));
}
static int connect_socket(void)
{
	return use_socket(connect);
}
static int bind_socket(void)
{
	return use_socket(bind);
}
static int read_memory(void)
{
	char octet;
	struct iovec here = {&octet, 1}, there = {&octet, 1};
	return outcome(process_vm_readv(getppid(), &here, 1, &there, 1, 0));
}
static int write_memory(void)
{
	char octet = 0;
	struct iovec here = {&octet, 1}, there = {&octet, 1};
	return outcome(process_vm_writev(getppid(), &here, 1, &there, 1, 0));
}
/* Signal 0 is none: that there is no such process may be known. */
static int signal_parent(void)
{
	return kill(INT32_MAX, 0) == 0 || errno == ESRCH ? outcome(kill(getppid(), SIGCONT)) : 0;
}
static int set_user(void)
{
	return outcome(setuid(getuid()));
}

/* ---- what must work ---- */

static int change_a_maildrop(void)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int file = openat(at.inside, "mbox.new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool ok = file >= 0 && fcntl(file, F_OFD_SETLK, &lock) == 0 &&
		  pwrite(file, "message", 7, 0) == 7 && ftruncate(file, 4) == 0 &&
		  posix_fallocate(file, 0, 4096) == 0 && fsync(file) == 0 &&
		  renameat(at.inside, "mbox.new", at.inside, "mbox") == 0 &&
		  fsync(at.inside) == 0 && try_open(at.inside, "mbox", O_RDWR | O_TRUNC) == 0 &&
		  unlinkat(at.inside, "mbox", 0) == 0;
	return ok ? 0 : errno;
}
static int use_unnamed_file(void)
{
	int file = openat(at.inside, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return outcome(file < 0 ? -1 : write(file, "spool", 5));
}
static int make_and_remove_folders(void)
{
	bool ok = mkdirat(at.inside, "new", 0700) == 0 &&
		  try_open(at.inside, "new/file", O_WRONLY | O_CREAT) == 0 &&
		  linkat(at.inside, "new/file", at.inside, "new/copy", 0) == 0 &&
		  unlinkat(at.inside, "new/copy", 0) == 0 &&
		  unlinkat(at.inside, "new/file", 0) == 0 &&
		  try_open(at.inside, "new", O_RDONLY | O_DIRECTORY) == 0 &&
		  unlinkat(at.inside, "new", AT_REMOVEDIR) == 0;
	return ok ? 0 : errno;
}
static int use_the_other_folder(void)
{
	bool ok = try_open(at.other_inside, "index", O_WRONLY | O_CREAT) == 0 &&
		  renameat(at.other_inside, "index", at.inside, "index") == 0 &&
		  unlinkat(at.inside, "index", 0) == 0;
	return ok ? 0 : errno;
}
static int write_log(void)
{
	return outcome(write(at.log, "line\n", 5));
}
static int accept_connection(void)
{
	char octets[4];
	int server = accept4(at.listener, NULL, NULL, SOCK_CLOEXEC);
	bool ok = server >= 0 && send(server, "+OK", 3, MSG_NOSIGNAL) == 3 &&
		  recv(at.client, octets, sizeof(octets), 0) == 3;
	return ok ? 0 : errno;
}
static int count_signals;
static void count_signal(int number)
{
	(void)number;
	count_signals++;
}
static int signal_itself(void)
{
	signal(SIGUSR1, count_signal);
	return raise(SIGUSR1) == 0 && count_signals == 1 ? 0 : EINVAL;
}
static void do_nothing(void *context)
{
	(void)context;
}
static void stop(void *context)
{
	loop_stop(context);
}
static int run_a_loop_with_jobs(void)
{
	struct loop *loop = loop_open(2);
	struct loop_timer *timer = NULL;
	if (!loop || !loop_signal(loop, SIGTERM, stop, loop) ||
	    !loop_timer(loop, &timer, 0, do_nothing, NULL) ||
	    !loop_job(loop, do_nothing, stop, loop))
		return ENOMEM;
	loop_run(loop);
	loop_timer_stop(&timer);
	loop_close(loop);
	return 0;
}
static int make_keys(void)
{
	struct buffer certificate, key;
	struct tls *tls;
	if (tls_make_self_signed("mail.example.org", &certificate, &key, NULL) != ERROR_NONE ||
	    tls_server_new(buffer_bytes(&certificate), buffer_bytes(&key), &tls, NULL) !=
		    ERROR_NONE)
		return EINVAL;
	return 0;
}

enum { CHILD_FINE, CHILD_WRONG, CHILD_NOT_IN };

/* Calls with plain arguments; most would fail anyway with these, but with another error. */
static const struct refusal {
	const char *name;
	long call;
	long arguments[4];
	int expected;
} refusals[] = {
	{"socket", SYS_socket, {AF_INET, SOCK_STREAM}, EPERM},
	{"unix socket", SYS_socket, {AF_UNIX, SOCK_STREAM}, EPERM},
	{"listen", SYS_listen, {-1, 1}, EPERM},
	{"execveat", SYS_execveat, {-1}, EPERM},
	{"ptrace", SYS_ptrace, {PTRACE_ATTACH, 1}, EPERM},
	{"be traced", SYS_ptrace, {PTRACE_TRACEME}, EPERM},
	{"tkill", SYS_tkill, {-1}, EPERM},
	{"pidfd_open", SYS_pidfd_open, {-1}, EPERM},
	{"setuid", SYS_setuid, {-1}, EPERM},
	{"setgroups", SYS_setgroups, {0}, EPERM},
	{"chroot", SYS_chroot, {0}, EPERM},
	{"unshare", SYS_unshare, {CLONE_NEWUSER}, EPERM},
	{"setns", SYS_setns, {-1}, EPERM},
	{"mount", SYS_mount, {0}, EPERM},
	{"open_by_handle_at", SYS_open_by_handle_at, {-1}, EPERM},
	{"bpf", SYS_bpf, {-1}, EPERM},
	{"perf_event_open", SYS_perf_event_open, {0}, EPERM},
	{"userfaultfd", SYS_userfaultfd, {-1}, EPERM},
	{"keyctl", SYS_keyctl, {0}, EPERM},
	{"finit_module", SYS_finit_module, {-1}, EPERM},
	{"personality", SYS_personality, {ADDR_NO_RANDOMIZE}, EPERM},
	{"io_uring_setup", SYS_io_uring_setup, {1}, ENOSYS},
	{"clone3", SYS_clone3, {0}, ENOSYS},
	{"clone with a name space", SYS_clone, {CLONE_NEWUSER | SIGCHLD}, EPERM},
	{"clone a thread with one", SYS_clone, {CLONE_NEWNET | CLONE_THREAD}, EPERM},
	{"TIOCSTI", SYS_ioctl, {-1, TIOCSTI}, EPERM},
	{"PR_SET_PDEATHSIG", SYS_prctl, {PR_SET_PDEATHSIG}, EPERM},
	{"PR_SET_DUMPABLE", SYS_prctl, {PR_SET_DUMPABLE, 1}, EPERM},
};

/* In one child: no call does anything. */
static void try_refusals(void)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(*refusals); i++) {
		const long *arguments = refusals[i].arguments;
		int result = outcome(syscall(refusals[i].call, arguments[0], arguments[1],
					     arguments[2], arguments[3], 0));
		if (result != refusals[i].expected) {
			print_error("row \"%s\": %s\n", refusals[i].name, strerrorname_np(result));
			_exit(CHILD_WRONG);
		}
	}
	_exit(CHILD_FINE);
}

#define WORKS    0
#define BY_RULES (-1) /* Landlock: EACCES, or EXDEV for a rename into a place with other rights */

static const struct attempt {
	const char *name;
	int (*attempt)(void);
	int expected;
} attempts[] = {
	{"read outside", read_outside, BY_RULES},
	{"read /etc/passwd", read_password_file, BY_RULES},
	{"read through ..", read_through_parent, BY_RULES},
	{"write outside", write_outside, BY_RULES},
	{"create outside", create_outside, BY_RULES},
	{"list outside", list_outside, BY_RULES},
	{"truncate outside", truncate_outside, BY_RULES},
	{"rename to outside", rename_to_outside, BY_RULES},
	{"rename from outside", rename_from_outside, BY_RULES},
	{"link from outside", link_from_outside, BY_RULES},
	{"remove outside", remove_outside, BY_RULES},
	{"make a folder outside", make_folder_outside, BY_RULES},
	{"make a symbolic link", make_symbolic_link, BY_RULES},
	{"make a FIFO", make_fifo, BY_RULES},
	{"execve", execute, EPERM},
	{"fork", start_process, EPERM},
	{"socketpair", make_socket_pair, EPERM},
	{"connect", connect_socket, EPERM},
	{"bind", bind_socket, EPERM},
	{"process_vm_readv", read_memory, EPERM},
	{"process_vm_writev", write_memory, EPERM},
	{"kill", signal_parent, EPERM},
	{"change a maildrop", change_a_maildrop, WORKS},
	{"unnamed file", use_unnamed_file, WORKS},
	{"folders", make_and_remove_folders, WORKS},
	{"the other folder", use_the_other_folder, WORKS},
	{"log", write_log, WORKS},
	{"accept", accept_connection, WORKS},
	{"signal to itself", signal_itself, WORKS},
	{"loop, jobs and threads", run_a_loop_with_jobs, WORKS},
	{"TLS", make_keys, WORKS},
};

static bool as_expected(int expected, int result, bool landlock)
{
	if (expected == BY_RULES)
		return !landlock || result == EACCES || result == EXDEV || result == EPERM;
	return result == expected;
}

static enum error_code enter_worker(bool *landlock_out, struct error *error)
{
	const int folders[] = {at.inside, at.other_inside};
	return sandbox_enter_worker(folders, 2, landlock_out, error);
}

static enum error_code enter_auth(bool *landlock_out, struct error *error)
{
	return sandbox_enter_auth(at.inside, landlock_out, error);
}

static void try_one(enum error_code (*enter)(bool *, struct error *), const struct attempt *attempt)
{
	struct error error;
	bool landlock;
	if (enter(&landlock, &error) != ERROR_NONE) {
		print_error("%s\n", error.text);
		_exit(CHILD_NOT_IN);
	}
	if (!attempt)
		try_refusals();
	int result = attempt->attempt();
	if (as_expected(attempt->expected, result, landlock))
		_exit(CHILD_FINE);
	print_error("row \"%s\": %s\n", attempt->name, strerrorname_np(result));
	_exit(CHILD_WRONG);
}

static int wait_for(pid_t child)
{
	int status = 0;
	test_check(child > 0 && waitpid(child, &status, 0) == child);
	test_check(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void try_all(enum error_code (*enter)(bool *, struct error *), bool two_folders)
{
	for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
		if (!two_folders && attempts[i].attempt == use_the_other_folder)
			continue;
		test_row(attempts[i].name);
		pid_t child = fork();
		if (child == 0)
			try_one(enter, &attempts[i]);
		test_check(wait_for(child) == CHILD_FINE);
	}
}

static void refuse_all(enum error_code (*enter)(bool *, struct error *))
{
	test_row("system calls");
	pid_t child = fork();
	if (child == 0)
		try_one(enter, NULL);
	test_check(wait_for(child) == CHILD_FINE);
}

static void test_worker(void **state)
{
	(void)state;
	refuse_all(enter_worker);
	try_all(enter_worker, true);
}

static void test_auth(void **state)
{
	(void)state;
	refuse_all(enter_auth);
	try_all(enter_auth, false);
}

/* The rows must be able to fail: outside, as whoever runs the tests, these calls work. */
static void test_the_same_works_outside(void **state)
{
	static int (*const rows[])(void) = {
		read_outside,     read_through_parent, write_outside, truncate_outside,
		make_socket_pair, start_process,       signal_parent, set_user,
		write_log,        change_a_maildrop,   make_socket,   bind_socket};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		pid_t child = fork();
		if (child == 0)
			_exit(rows[i]());
		assert_int_equal(wait_for(child), 0);
	}
}

/* ---- user and parent ---- */

static void become(uid_t uid, gid_t gid)
{
	struct error error;
	if (sandbox_drop_user(uid, gid, &error) != ERROR_NONE)
		_exit(error.code == ERROR_CONFIG ? 2 : 3);
	bool gone = getuid() == uid && geteuid() == uid && getgid() == gid && getegid() == gid &&
		    getgroups(0, NULL) == 1 && setuid(0) != 0 && setgid(0) != 0 &&
		    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
		    prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
	_exit(gone ? 0 : 1);
}

static void test_drop_user(void **state)
{
	static const struct {
		const char *name;
		uid_t uid;
		gid_t gid;
		int as_root, as_user; /* exit statuses of become() */
	} rows[] = {
		{"a user", 65534, 65534, 0, 3},
		{"root", 0, 65534, 2, 2},
		{"root's group", 65534, 0, 2, 2},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		test_row(rows[i].name);
		pid_t child = fork();
		if (child == 0)
			become(rows[i].uid, rows[i].gid);
		test_check(wait_for(child) == (getuid() == 0 ? rows[i].as_root : rows[i].as_user));
	}
}

/* Says "followed" and then only waits: its end of the pipe closes when it dies. */
static void follow(pid_t parent, int pipe_end)
{
	struct error error;
	if (sandbox_follow_parent(parent, &error) != ERROR_NONE)
		_exit(1);
	if (write(pipe_end, "f", 1) == 1)
		for (;;)
			pause();
	_exit(1);
}

static void test_death_of_the_parent(void **state)
{
	(void)state;
	int ends[2];
	char octet;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid_t parent = fork();
	if (parent == 0) {
		pid_t self = getpid();
		if (fork() == 0)
			follow(self, ends[1]);
		for (;;)
			pause();
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &octet, 1), 1);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(read(ends[0], &octet, 1), 0); /* waits until the grandchild is gone */
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	close(ends[0]);
}

static void test_parent_is_gone_already(void **state)
{
	(void)state;
	pid_t child = fork();
	if (child == 0) {
		struct error error;
		pid_t nobody = getpid(); /* certainly not its own parent */
		_exit(sandbox_follow_parent(nobody, &error) == ERROR_UNAVAILABLE ? 0 : 1);
	}
	assert_int_equal(wait_for(child), 0);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test_setup_teardown(test_the_same_works_outside, set_up, tear_down),
	cmocka_unit_test_setup_teardown(test_worker, set_up, tear_down),
	cmocka_unit_test_setup_teardown(test_auth, set_up, tear_down),
	cmocka_unit_test(test_drop_user),
	cmocka_unit_test(test_death_of_the_parent),
	cmocka_unit_test(test_parent_is_gone_already),
};

TEST_MAIN(tests)
