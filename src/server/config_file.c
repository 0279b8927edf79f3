/*
 * config_file: ROOT/postern.conf, line by line, through inih.
 *
 * inih tells only the first line that it does not understand, takes an over-long line for two and
 * an indented one for more of the value above. So it is given one line at a time.
 *
 * Guarantees: every line is understood or complained of. Must not know: the keys.
 */
#include "server/config_private.h"

#include <fcntl.h>
#include <string.h>

/* How Debian builds the library; upstream's default is a handler without the line. */
#define INI_HANDLER_LINENO 1
#include <ini.h>

#include "server/instance.h"

#define SECTION     "serve"
#define LINE_OCTETS 200 /* what inih takes in one piece, as Debian builds it */
#define TEXT_OCTETS (LINE_OCTETS + 16)

struct reader {
	struct config_source *source;
	bool in_section; /* the lines belong to SECTION */
	bool complained; /* about the section they belong to, or about the want of one */
	bool is_header;
};

/* 1 tells inih that the line was understood; problems are kept in the source. */
static int on_key(void *context, const char *section, const char *name, const char *value, int line)
{
	struct reader *reader = context;

	(void)line;
	if (reader->is_header) {
		reader->in_section = strcmp(section, SECTION) == 0;
	} else if (reader->in_section) {
		config_set(reader->source, name, value);
	} else if (!reader->complained) {
		config_complain(reader->source, "a key before the first [" SECTION "]", name);
		reader->complained = true;
	}
	return 1;
}

/* A header is followed by a key of ours, for which inih tells the section. */
static void read_line(struct reader *reader, const char *line)
{
	char text[TEXT_OCTETS];
	bool good;

	reader->is_header = line[strspn(line, " \t")] == '[';
	(void)snprintf(text, sizeof(text), "%s%s", line, reader->is_header ? "\nx=" : "");
	good = ini_parse_string(text, on_key, reader) == 0;
	reader->in_section = reader->in_section && (good || !reader->is_header);
	if (!good)
		config_complain(reader->source, "neither [section] nor key = value", line);
	else if (reader->is_header && !reader->in_section)
		config_complain(reader->source, "no such section; there is [" SECTION "]", line);
	if (reader->is_header)
		reader->complained = !reader->in_section;
}

static void read_text(struct reader *reader, struct bytes rest)
{
	while (rest.length > 0) {
		const char *end = memchr(rest.data, '\n', rest.length);
		size_t length = end ? (size_t)(end - rest.data) : rest.length;
		struct bytes octets = bytes_first(rest, length);
		char line[LINE_OCTETS];

		reader->source->line++;
		if (octets.length > 0 && octets.data[octets.length - 1] == '\r')
			octets.length--;
		if (octets.length > LINE_OCTETS - 2)
			config_complain(reader->source, "a line is too long",
					"more than 198 octets");
		else if (!bytes_to_string(octets, line, sizeof(line)))
			config_complain(reader->source, "not text", "a NUL octet");
		else
			read_line(reader, line);
		rest = bytes_skip(rest, length + (end ? 1 : 0));
	}
}

void config_read_file(struct config_source *source)
{
	struct reader reader = {.source = source};
	struct error error;
	struct buffer text;
	struct bytes octets;
	enum error_code code;

	buffer_init(&text, CONFIG_OCTETS_MAX);
	code = instance_read(AT_FDCWD, source->file, CONFIG_OCTETS_MAX, &text, &error);
	octets = buffer_bytes(&text);
	if (bytes_start_with(octets, BYTES("\xef\xbb\xbf"))) /* some editors begin so */
		octets = bytes_skip(octets, 3);
	if (code == ERROR_NONE)
		read_text(&reader, octets);
	else if (code != ERROR_NO_INPUT)
		(void)problems_add(source->problems, ERROR_CONFIG, "%s", error.text);
	buffer_free(&text);
}
