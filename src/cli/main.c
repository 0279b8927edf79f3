/*
 * main: the table of commands, and the options that stand before them.
 *
 * Must not know: what a command does. Each is one file, cmd_NAME.c.
 */
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/command.h"
#include "server/server.h"

static const struct command commands[] = {
	{"serve", cmd_serve, "run the server in the foreground"},
	{"account", cmd_account, "accounts, aliases and passwords"},
	{"deliver", cmd_deliver, "hand a message on standard input to the running server"},
	{"mailbox", cmd_mailbox, "look at a maildrop, check it, bring mail into it"},
	{"kick", cmd_kick, "end sessions of the running server"},
	{"status", cmd_status, "what the running server is doing"},
};

static const struct command_table table = {
	.about = "Postern is a POP3 mail system: it takes mail in by LMTP and SMTP, keeps it in "
		 "mbox "
		 "files,\nMaildirs or system spools, and hands it out over POP3.",
	.rows = commands,
	.count = sizeof(commands) / sizeof(commands[0]),
	.footer = "Everything of one Postern lies in one folder, its root: --root DIR before the "
		  "command, or\nPOSTERN_ROOT, or /var/lib/postern for root and "
		  "~/.local/share/postern for everybody else.\n\n"
		  "first steps:\n"
		  "  postern account add alice@example.org\n"
		  "  postern serve\n"
		  "  printf 'Subject: hello\\n\\nIt works.\\n' | postern deliver alice",
};

static const char *default_root(char room[PATH_MAX])
{
	const char *data = getenv("XDG_DATA_HOME"), *user = getenv("HOME");

	if (geteuid() == 0)
		return "/var/lib/postern";
	if (data && data[0] == '/')
		(void)snprintf(room, PATH_MAX, "%s/postern", data);
	else if (user && user[0] == '/')
		(void)snprintf(room, PATH_MAX, "%s/.local/share/postern", user);
	else
		return "/var/lib/postern";
	return room;
}

static void choose_root(struct context *context, const char *given, char room[PATH_MAX])
{
	const char *named = given ? given : getenv("POSTERN_ROOT");

	context->root_chosen = named && named[0];
	context->root = context->root_chosen ? named : default_root(room);
}

/* True: go on at argv[optind]. */
static bool parse_global(const struct context *context, int argc, char **argv,
			 const char **root_out, int *exit_code_out)
{
	static const struct option options[] = {
		{"root", required_argument, NULL, 'r'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},
		{NULL, 0, NULL, 0},
	};
	int letter;

	opterr = 0;
	while ((letter = getopt_long(argc, argv, "+:h", options, NULL)) != -1) {
		if (letter == 'r' && optarg[0]) {
			*root_out = optarg;
		} else if (letter == 'r') {
			*exit_code_out = command_fail_usage(context, "--root needs a folder");
			return false;
		} else if (letter == 'v') {
			printf("postern %s\n", POSTERN_VERSION);
			*exit_code_out = EX_OK;
			return false;
		} else if (letter != 'h') {
			const char *word =
				argv[optind - 1][0] == '-' ? argv[optind - 1] : argv[optind];

			*exit_code_out = command_fail_usage(
				context,
				letter == '?' ? "there is no option %s" : "%s needs a value", word);
			return false;
		} else {
			optind--; /* the table answers it */
			break;
		}
	}
	return true;
}

/* What the supervisor starts (server/server.h); no user's command. */
static bool is_child(int argc, char **argv, int *exit_code_out)
{
	uint64_t descriptor;

	if (argc != 3 || strcmp(argv[1], "--child") != 0 ||
	    !number_parse(bytes_of(argv[2]), INT_MAX, &descriptor))
		return false;
	*exit_code_out = server_child((int)descriptor);
	return true;
}

int main(int argc, char **argv)
{
	struct context context = {.root = NULL};
	const char *root = NULL;
	char room[PATH_MAX];
	int status;

	/* A file that may not grow is an error of the write (EFBIG), and no death; ours and our
	 * children's. */
	(void)signal(SIGXFSZ, SIG_IGN);
	if (is_child(argc, argv, &status) || !parse_global(&context, argc, argv, &root, &status))
		return status;
	choose_root(&context, root, room);
	status = command_dispatch(&context, &table, argc - optind + 1, argv + optind - 1);
	if (status == EX_OK && (fflush(stdout) != 0 || ferror(stdout))) {
		fprintf(stderr, "postern %s: standard output could not be written\n", context.name);
		return EX_IOERR;
	}
	return status;
}
