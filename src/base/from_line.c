/*
 * from_line: reads an mbox From line, as mildly as other programs write it.
 *
 * Guarantees: touches no octet outside of the line; a date is a real one or none.
 *
 * Must not know: where lines come from.
 */
#include "base/from_line.h"

#include <string.h>
#include <time.h>

#include "base/number.h"

#define WORDS_MAX 32 /* words looked at; a From line has about 7 */

struct words {
	struct bytes list[WORDS_MAX];
	size_t count;
};

bool from_line_begins(struct bytes line)
{
	return bytes_start_with(line, BYTES("From "));
}

static struct words split(struct bytes text)
{
	struct words words = {.count = 0};
	size_t begin = 0;

	for (size_t i = 0; i <= text.length && words.count < WORDS_MAX; i++) {
		if (i < text.length && text.data[i] != ' ' && text.data[i] != '\t' &&
		    text.data[i] != '\r' && text.data[i] != '\n')
			continue;
		if (i > begin)
			words.list[words.count++] = (struct bytes){text.data + begin, i - begin};
		begin = i + 1;
	}
	return words;
}

/* The number of a three-letter name, or -1. */
static int name_index(struct bytes word, const char *names)
{
	if (word.length != 3)
		return -1;
	for (int i = 0; names[i * 3]; i++) {
		if (memcmp(word.data, names + i * 3, 3) == 0)
			return i;
	}
	return -1;
}

static bool take_number(struct bytes word, uint64_t least, uint64_t most, int *number_out)
{
	uint64_t number;

	if (word.length > 4 || !number_parse(word, most, &number) || number < least)
		return false;
	*number_out = (int)number;
	return true;
}

/* hh:mm or hh:mm:ss. */
static bool take_time(struct bytes word, struct tm *parts)
{
	if ((word.length != 5 && word.length != 8) || word.data[2] != ':')
		return false;
	if (!take_number(bytes_first(word, 2), 0, 23, &parts->tm_hour) ||
	    !take_number(bytes_first(bytes_skip(word, 3), 2), 0, 59, &parts->tm_min))
		return false;
	return word.length == 5 ||
	       (word.data[5] == ':' && take_number(bytes_skip(word, 6), 0, 60, &parts->tm_sec));
}

/* +hhmm or -hhmm as seconds east of UTC. */
static bool take_zone(struct bytes word, int64_t *offset_seconds_out)
{
	int hours, minutes;

	if (word.length != 5 || (word.data[0] != '+' && word.data[0] != '-') ||
	    !take_number(bytes_first(bytes_skip(word, 1), 2), 0, 23, &hours) ||
	    !take_number(bytes_skip(word, 3), 0, 59, &minutes))
		return false;
	*offset_seconds_out = (hours * 60 + minutes) * 60 * (word.data[0] == '-' ? -1 : 1);
	return true;
}

static bool is_zone_name(struct bytes word)
{
	for (size_t i = 0; i < word.length; i++) {
		if (word.data[i] < 'A' || word.data[i] > 'Z')
			return false;
	}
	return word.length >= 1 && word.length <= 5;
}

/* The words from `first` on as a date. */
static bool take_date(const struct words *words, size_t first, int64_t *unix_seconds_out)
{
	const struct bytes *word = words->list + first;
	size_t left = words->count - first, year = 4;
	struct tm parts = {.tm_isdst = 0};
	int64_t offset_seconds = 0;
	int number, day;

	if (left < 5 || name_index(word[0], "SunMonTueWedThuFriSat") < 0)
		return false;
	parts.tm_mon = name_index(word[1], "JanFebMarAprMayJunJulAugSepOctNovDec");
	if (parts.tm_mon < 0 || !take_number(word[2], 1, 31, &parts.tm_mday) ||
	    !take_time(word[3], &parts))
		return false;
	if (left > 5 && (take_zone(word[4], &offset_seconds) || is_zone_name(word[4])))
		year = 5;
	if (word[year].length != 4 || !take_number(word[year], 1970, 9999, &number))
		return false;
	if (year == 4 && left > 5)
		(void)take_zone(word[5], &offset_seconds);
	parts.tm_year = number - 1900;
	day = parts.tm_mday;
	*unix_seconds_out = (int64_t)timegm(&parts) - offset_seconds;
	return parts.tm_mday == day; /* else there was no 31st of this month */
}

/* One word is the sender. What has a control character or angle brackets inside is none. */
static struct bytes take_sender(const struct words *words, size_t count)
{
	struct bytes sender = words->list[0];

	if (count != 1)
		return (struct bytes){NULL, 0};
	if (sender.length >= 2 && sender.data[0] == '<' && sender.data[sender.length - 1] == '>')
		sender = (struct bytes){sender.data + 1, sender.length - 2};
	for (size_t i = 0; i < sender.length; i++) {
		if (sender.data[i] <= ' ' || sender.data[i] == 0x7f || sender.data[i] == '<' ||
		    sender.data[i] == '>')
			return (struct bytes){NULL, 0};
	}
	/* How a bounce is written where a From line needs a word. */
	if (bytes_equal_nocase(sender, BYTES("MAILER-DAEMON")) || bytes_equal(sender, BYTES("-")))
		return (struct bytes){NULL, 0};
	return sender;
}

struct from_line from_line_parse(struct bytes line)
{
	struct words words = split(bytes_skip(line, sizeof("From ") - 1));
	struct from_line from = {.dated = false};
	size_t first = 0;

	while (first < words.count && !from.dated) {
		from.dated = take_date(&words, first, &from.unix_seconds);
		if (!from.dated)
			first++;
	}
	if (!from.dated) /* then only an address is taken for a sender */
		first = words.count > 0 &&
			memchr(words.list[0].data, '@', words.list[0].length) != NULL;
	from.sender = take_sender(&words, first);
	return from;
}
