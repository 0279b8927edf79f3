/*
 * password: asks for a password on the terminal, or reads it from a file.
 *
 * Guarantees: a password is never shown, never left in freed memory, and never taken from an
 * argument; the terminal's echo is given back also when the user interrupts.
 *
 * Must not know: accounts.
 */
#include "cli/password.h"

#include <signal.h>
#include <stdio.h>
#include <termios.h>
#include <unistd.h>

#include "accounts/secret.h"
#include "cli/input.h"

static void cut_line_end(struct buffer *buffer)
{
	if (buffer->length > 0 && buffer->data[buffer->length - 1] == '\n')
		buffer->length--;
	if (buffer->length > 0 && buffer->data[buffer->length - 1] == '\r')
		buffer->length--;
}

/* ---- the terminal ---- */

static int terminal = -1;
static struct termios terminal_before;

/* Only what a signal handler may do; then the signal does what it always does. */
static void give_echo_back(int number)
{
	tcsetattr(terminal, TCSANOW, &terminal_before);
	signal(number, SIG_DFL);
	raise(number);
}

static void on_signals(void (*handler)(int))
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], handler);
}

static bool hide_echo(void)
{
	struct termios quiet = terminal_before;

	on_signals(give_echo_back);
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	return tcsetattr(terminal, TCSAFLUSH, &quiet) == 0;
}

static void show_echo(void)
{
	tcsetattr(terminal, TCSAFLUSH, &terminal_before);
	on_signals(SIG_DFL);
}

static enum error_code ask(const char *question, const char *account, struct buffer *answer,
			   struct error *error)
{
	char octet = '\0';
	ssize_t count;

	dprintf(terminal, "%s for %s: ", question, account);
	while ((count = read(terminal, &octet, 1)) == 1 && octet != '\n') {
		if (!buffer_append(answer, (struct bytes){&octet, 1}))
			break;
	}
	dprintf(terminal, "\n");
	octet = '\0';
	if (count == 1)
		return ERROR_NONE;
	return error_set(error, ERROR_NO_INPUT, "no password was typed");
}

static enum error_code ask_twice(const char *account, struct buffer *password, struct error *error)
{
	struct buffer again;
	enum error_code code;

	buffer_init(&again, password->max);
	code = ask("password", account, password, error);
	if (code == ERROR_NONE)
		code = secret_check_password(buffer_bytes(password), error);
	if (code == ERROR_NONE)
		code = ask("once more", account, &again, error);
	if (code == ERROR_NONE && !bytes_equal(buffer_bytes(password), buffer_bytes(&again)))
		code = error_set(error, ERROR_DATA, "the two passwords differ; nothing was done");
	buffer_wipe(&again);
	buffer_free(&again);
	return code;
}

static enum error_code ask_on_terminal(const char *account, struct buffer *password,
				       struct error *error)
{
	enum error_code code;

	terminal = input_open_terminal();
	if (terminal < 0)
		return error_set(error, ERROR_USAGE,
				 "there is no terminal to ask for the password on: give "
				 "--password-file FILE, or - to read it from standard input");
	if (tcgetattr(terminal, &terminal_before) == 0 && hide_echo())
		code = ask_twice(account, password, error);
	else
		code = error_set(error, ERROR_SYSTEM, "the terminal cannot hide what is typed");
	show_echo();
	close(terminal);
	return code;
}

enum error_code password_read(const char *file, const char *account, struct buffer *password,
			      struct error *error)
{
	enum error_code code;

	if (!file)
		return ask_on_terminal(account, password, error);
	code = input_read(file, password, error);
	if (code != ERROR_NONE)
		return code;
	cut_line_end(password);
	return secret_check_password(buffer_bytes(password), error);
}
