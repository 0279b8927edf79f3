/*
 * cmd_serve: `postern serve`: hands its words to server/config.h, and the result to the server.
 *
 * Must not know: any of the flags; they and their help are config's table.
 */
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/command.h"
#include "server/check.h"
#include "server/config.h"
#include "server/server.h"

static int print_help(void)
{
	printf("usage: postern serve [OPTION...]\n\n"
	       "Runs the server in the foreground. When it is ready it prints one line per "
	       "listener, then\n\"ready\". It logs to standard error. SIGTERM lets running answers "
	       "finish and ends it;\nSIGHUP reads configuration and certificates anew.\n\n"
	       "options, each also a key of ROOT/postern.conf, below a line [serve]:\n");
	config_help(stdout);
	printf("  %-24s %s\n", "--check", "test everything, list every error, and end (no key)");
	printf("\nexamples:\n"
	       "  postern serve\n"
	       "  postern serve --check\n"
	       "  postern --root ./var serve --pop3 127.0.0.1:1110 --lmtp 127.0.0.1:2424\n"
	       "  postern serve --pop3s :995 --tls-cert fullchain.pem --tls-key privkey.pem\n");
	return EX_OK;
}

/* All that a start would need, and all that is wrong with it. */
static int check(const struct config *config, struct problems *problems)
{
	check_all(config, problems, stdout);
	problems_print(problems, "postern serve: ", stderr);
	if (problems->count == 0)
		printf("everything is in order\n");
	return problems->count == 0 ? EX_OK : EX_CONFIG;
}

/* Takes the word out of argv. */
static bool take_word(int *argc, char **argv, const char *word)
{
	int kept = 1;

	for (int i = 1; i < *argc; i++)
		if (strcmp(argv[i], word) != 0)
			argv[kept++] = argv[i];
	if (kept == *argc)
		return false;
	*argc = kept;
	return true;
}

int cmd_serve(struct context *context, int argc, char **argv)
{
	static struct config config;
	static struct problems problems;
	struct error error;
	bool checking = take_word(&argc, argv, "--check");

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
			return print_help();
	}
	config_read(argc - 1, argv + 1, context->root, &config, &problems);
	if (checking)
		return check(&config, &problems);
	if (problems.count == 0)
		return server_run(&config, POSTERN_VERSION);
	problems_print(&problems, "postern serve: ", stderr);
	return error_meaning(problems_first(&problems, &error))->exit_code;
}
