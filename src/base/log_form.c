/*
 * log_form: see log_form.h.
 *
 * Guarantees: an octet from outside never ends a field, a line or a string of JSON; what is written
 * fits its room and is well-formed even when it was cut. Must not know where it goes.
 */
#include "base/log_form.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define SEPARATOR     '\x1f' /* between values while they are printed; no value of ours has it */
#define FORMAT_OCTETS 512
#define CUT           "..."
#define TAIL_OCTETS   8 /* room for what ends a line that was cut */

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {"error", "warning", "info", "debug"};

	return (unsigned)level < sizeof(names) / sizeof(names[0]) ? names[level] : "error";
}

/* ---- fields ---- */

/* Where the word ends that begins here: at a space outside of quotes. */
static size_t word_length(const char *format)
{
	bool quoted = false;
	size_t length = 0;

	while (format[length] && (quoted || format[length] != ' '))
		quoted ^= format[length++] == '"';
	return length;
}

static bool is_number_format(struct bytes value)
{
	return value.length >= 2 && value.data[0] == '%' &&
	       strspn(value.data + 1, "lzh") == value.length - 2 &&
	       strchr("diu", value.data[value.length - 1]);
}

/* The value's part of the word; the key goes to the field. */
static struct bytes begin_field(struct log_value *field, struct bytes word)
{
	size_t key = strspn(word.data, "abcdefghijklmnopqrstuvwxyz_0123456789");
	struct bytes value = word;

	memset(field, 0, sizeof(*field));
	if (key > 0 && key < LOG_KEY_OCTETS && key < word.length && word.data[key] == '=')
		value = bytes_skip(word, key + 1);
	else
		key = 0;
	(void)snprintf(field->key, sizeof(field->key), "%.*s", key ? (int)key : 4,
		       key ? word.data : "text");
	field->is_number = is_number_format(value);
	field->is_quoted =
		value.length >= 2 && value.data[0] == '"' && value.data[value.length - 1] == '"';
	return field->is_quoted ? (struct bytes){value.data + 1, value.length - 2} : value;
}

/* The formats of all values, a separator behind each. False when there are too many. */
static bool take_apart(struct log_record *record, const char *format, char rewritten[FORMAT_OCTETS])
{
	size_t length = 0;

	record->field_count = 0;
	for (format += strspn(format, " "); *format; format += strspn(format, " ")) {
		struct bytes word = {format, word_length(format)}, value;

		if (record->field_count == LOG_FIELDS_MAX)
			return false;
		value = begin_field(&record->fields[record->field_count++], word);
		if (length + value.length + 2 > FORMAT_OCTETS)
			return false;
		memcpy(rewritten + length, value.data, value.length);
		length += value.length;
		rewritten[length++] = SEPARATOR;
		format += word.length;
	}
	rewritten[length] = '\0';
	return true;
}

/* What log_field() made has its quotes already. */
static void end_field(struct log_value *field, struct bytes text)
{
	if (!field->is_quoted && text.length > 0 && text.data[0] == '"') {
		field->is_quoted = true;
		text = bytes_skip(text, 1);
		if (text.length > 0 && text.data[text.length - 1] == '"')
			text.length--;
	}
	field->text = text;
}

/* One field for everything: its separators cannot be trusted. */
static void make_one(struct log_record *record, size_t length)
{
	record->field_count = 1;
	record->fields[0] = (struct log_value){
		.key = "text", .is_quoted = true, .text = {record->values, length}};
}

static size_t count_of(const char *text, size_t length, char wanted)
{
	size_t count = 0;

	for (size_t i = 0; i < length; i++)
		count += text[i] == wanted;
	return count;
}

void log_record_fields(struct log_record *record, const char *format, va_list arguments)
{
	char rewritten[FORMAT_OCTETS];
	bool split = take_apart(record, format, rewritten);
	int printed = vsnprintf(record->values, sizeof(record->values), split ? rewritten : format,
				arguments);
	size_t length = printed < 0 ? 0 : (size_t)printed, at = 0;

	if (length >= sizeof(record->values)) {
		length = sizeof(record->values) - 1;
		memcpy(record->values + length - strlen(CUT), CUT, strlen(CUT));
	}
	if (!split || count_of(record->values, length, SEPARATOR) > record->field_count) {
		make_one(record, length);
		return;
	}
	for (size_t i = 0; i < record->field_count; i++) {
		struct bytes rest = {record->values + at, length - at};
		const char *end = memchr(rest.data, SEPARATOR, rest.length);
		size_t found = end ? (size_t)(end - rest.data) : rest.length;

		if (rest.length == 0) { /* it was cut before this one */
			record->field_count = i;
			return;
		}
		end_field(&record->fields[i], bytes_first(rest, found));
		at += found + (end ? 1 : 0);
	}
}

/* ---- putting together ---- */

struct line {
	char *octets;
	size_t length, max; /* what may be filled before the tail */
	bool cut;
};

/* Whole or not at all; nothing more after the first that does not fit. */
static void put(struct line *line, struct bytes octets)
{
	line->cut = line->cut || octets.length > line->max - line->length;
	if (line->cut)
		return;
	memcpy(line->octets + line->length, octets.data, octets.length);
	line->length += octets.length;
}

__attribute__((format(printf, 2, 3))) static void put_format(struct line *line, const char *format,
							     ...)
{
	char room[160];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(room, sizeof(room), format, arguments);
	va_end(arguments);
	if (length > 0)
		put(line, (struct bytes){room, (size_t)length < sizeof(room) ? (size_t)length
									     : sizeof(room) - 1});
}

/* Behind the end of a line that was cut; there is room for it. */
static void put_tail(struct line *line, const char *tail)
{
	memcpy(line->octets + line->length, tail, strlen(tail));
	line->length += strlen(tail);
}

static void put_value(struct line *line, struct bytes text, bool json)
{
	for (size_t i = 0; i < text.length && !line->cut; i++) {
		unsigned char octet = (unsigned char)text.data[i];

		if (octet < 0x20 || octet >= 0x7f || octet == '"')
			put_format(line, json ? "\\\\x%02x" : "\\x%02x", octet);
		else if (json && octet == '\\')
			put(line, BYTES("\\\\"));
		else
			put(line, (struct bytes){&text.data[i], 1});
	}
}

static bool needs_quotes(const struct log_value *field)
{
	if (field->is_quoted || field->text.length == 0)
		return true;
	for (size_t i = 0; i < field->text.length; i++)
		if (field->text.data[i] <= ' ' || field->text.data[i] == '"' ||
		    field->text.data[i] >= 0x7f)
			return true;
	return false;
}

/* "info login: session=… user="…" …" */
static void put_text(struct line *line, const struct log_record *record)
{
	put_format(line, "%s %s:", log_level_name(record->level), record->event);
	for (size_t i = 0; i < record->field_count && !line->cut; i++) {
		const struct log_value *field = &record->fields[i];
		bool quotes = needs_quotes(field);

		put_format(line, " %s=%s", field->key, quotes ? "\"" : "");
		if (line->cut)
			return;
		put_value(line, field->text, false);
		if (line->cut)
			put_tail(line, quotes ? CUT "\"" : CUT);
		else if (quotes)
			put_tail(line, "\"");
	}
}

static void put_date(struct line *line, int64_t unix_ms)
{
	time_t seconds = (time_t)(unix_ms / 1000);
	struct tm parts = {0};

	gmtime_r(&seconds, &parts);
	put_format(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
		   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
		   (int)(unix_ms % 1000));
}

static bool is_json_number(const struct log_value *field)
{
	struct bytes digits = field->text;

	if (!field->is_number || field->is_quoted)
		return false;
	if (digits.length > 1 && digits.data[0] == '-')
		digits = bytes_skip(digits, 1);
	for (size_t i = 0; i < digits.length; i++)
		if (digits.data[i] < '0' || digits.data[i] > '9')
			return false;
	return digits.length > 0;
}

static void put_json_field(struct line *line, const struct log_value *field)
{
	size_t before = line->length;

	put_format(line, ",\"%s\":", field->key);
	if (is_json_number(field)) {
		put(line, field->text);
		if (line->cut)
			line->length = before;
		return;
	}
	put(line, BYTES("\""));
	if (line->cut) {
		line->length = before;
		return;
	}
	put_value(line, field->text, true);
	put_tail(line, line->cut ? CUT "\"" : "\"");
}

static void put_json(struct line *line, const struct log_record *record)
{
	put(line, BYTES("{\"time\":\""));
	put_date(line, record->unix_ms);
	put_format(line, "\",\"process\":\"%s\",\"pid\":%ld,\"level\":\"%s\",\"event\":\"%s\"",
		   record->process, record->pid, log_level_name(record->level), record->event);
	for (size_t i = 0; i < record->field_count && !line->cut; i++)
		put_json_field(line, &record->fields[i]);
	put_tail(line, "}");
}

size_t log_write_text(const struct log_record *record, char octets[LOG_LINE_MAX])
{
	struct line line = {.octets = octets, .max = LOG_LINE_MAX - TAIL_OCTETS};

	put_date(&line, record->unix_ms);
	put_format(&line, " %s[%ld] ", record->process, record->pid);
	put_text(&line, record);
	put_tail(&line, "\n");
	return line.length;
}

size_t log_write_json(const struct log_record *record, char octets[LOG_JSON_MAX])
{
	struct line line = {.octets = octets, .max = LOG_JSON_MAX - TAIL_OCTETS};

	put_json(&line, record);
	put_tail(&line, "\n");
	return line.length;
}

static int severity(enum log_level level)
{
	static const int severities[] = {3, 4, 6, 7}; /* RFC 5424 section 6.2.1 */

	return (unsigned)level < 4 ? severities[level] : 3;
}

#define FACILITY_MAIL 2

/* The part that both loggers take as the text. */
static void put_message(struct line *line, const struct log_record *record, enum log_format format)
{
	size_t max = line->max;

	line->max = line->length + LOG_JSON_MAX - TAIL_OCTETS;
	if (format == LOG_AS_JSON)
		put_json(line, record);
	else
		put_text(line, record);
	line->max = max;
	line->cut = false;
}

size_t log_write_syslog(const struct log_record *record, enum log_format format,
			char datagram[LOG_DATAGRAM_MAX])
{
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct line line = {.octets = datagram, .max = LOG_DATAGRAM_MAX - TAIL_OCTETS};
	time_t seconds = (time_t)(record->unix_ms / 1000);
	struct tm parts = {0};

	localtime_r(&seconds, &parts);
	put_format(&line, "<%d>%s %2d %02d:%02d:%02d postern-%s[%ld]: ",
		   FACILITY_MAIL * 8 + severity(record->level), months[parts.tm_mon], parts.tm_mday,
		   parts.tm_hour, parts.tm_min, parts.tm_sec, record->process, record->pid);
	put_message(&line, record, format);
	return line.length;
}

static void put_journal_name(struct line *line, const char *key)
{
	put(line, BYTES("\nPOSTERN_"));
	for (size_t i = 0; key[i]; i++) {
		char upper = key[i] >= 'a' && key[i] <= 'z' ? (char)(key[i] - 'a' + 'A') : key[i];

		put(line, (struct bytes){&upper, 1});
	}
	put(line, BYTES("="));
}

size_t log_write_journal(const struct log_record *record, enum log_format format,
			 char datagram[LOG_DATAGRAM_MAX])
{
	struct line line = {.octets = datagram, .max = LOG_DATAGRAM_MAX - TAIL_OCTETS};

	put(&line, BYTES("MESSAGE="));
	put_message(&line, record, format);
	put_format(&line,
		   "\nPRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=postern\nSYSLOG_PID=%ld",
		   severity(record->level), FACILITY_MAIL, record->pid);
	put_format(&line, "\nPOSTERN_PROCESS=%s\nPOSTERN_EVENT=%s", record->process, record->event);
	for (size_t i = 0; i < record->field_count && !line.cut; i++) {
		size_t before = line.length;

		put_journal_name(&line, record->fields[i].key);
		put_value(&line, record->fields[i].text, false);
		if (line.cut)
			line.length = before;
	}
	put_tail(&line, "\n");
	return line.length;
}
