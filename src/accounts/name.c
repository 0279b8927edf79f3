/*
 * name: account names, checked once at the door, and the path of a maildrop made from one.
 *
 * A name that passed account_name_normalise() holds no octet that means something to a file
 * system, a log line or SQL: it is `local@domain`, lower case, printable ASCII. account_path() is
 * injective: two names never share a maildrop.
 *
 * Must not know: the database, the disk.
 */
#include "accounts/directory.h"

#include <assert.h>
#include <string.h>

#define LABEL_MAX 63 /* RFC 1035 section 2.3.4 */

static bool is_letter_or_digit(char octet)
{
	return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
	       (octet >= '0' && octet <= '9');
}

/* RFC 5321 section 4.1.2: Dot-string = Atom *("." Atom); atext is RFC 5322 section 3.2.3. */
static bool is_atom_octet(char octet)
{
	return is_letter_or_digit(octet) || (octet && strchr("!#$%&'*+-/=?^_`{|}~", octet));
}

static const char *local_part_fault(struct bytes local)
{
	bool dot_before = true;

	if (local.length == 0)
		return "the part before '@' is empty";
	if (local.length > LOCAL_PART_MAX)
		return "the part before '@' is longer than 64 octets";
	for (size_t i = 0; i < local.length; i++) {
		bool dot = local.data[i] == '.';

		if (dot && dot_before)
			return "a dot stands first or beside another";
		if (!dot && !is_atom_octet(local.data[i]))
			return "the part before '@' may have letters, digits and "
			       ".!#$%&'*+-/=?^_`{|}~ "
			       "only";
		dot_before = dot;
	}
	return dot_before ? "a dot stands right before the '@'" : NULL;
}

static const char *label_fault(struct bytes label)
{
	if (label.length == 0)
		return "a part of the domain is empty";
	if (label.length > LABEL_MAX)
		return "a part of the domain is longer than 63 octets";
	if (label.data[0] == '-' || label.data[label.length - 1] == '-')
		return "a part of the domain begins or ends with a hyphen";
	for (size_t i = 0; i < label.length; i++) {
		if (!is_letter_or_digit(label.data[i]) && label.data[i] != '-')
			return "the domain may have letters, digits, hyphens and dots only";
	}
	return NULL;
}

static const char *domain_fault(struct bytes domain)
{
	size_t begin = 0;

	if (domain.length == 0)
		return "there is no domain behind the '@'";
	if (domain.length > DOMAIN_MAX)
		return "the domain is longer than 253 octets";
	for (size_t i = 0; i <= domain.length; i++) {
		const char *fault;

		if (i < domain.length && domain.data[i] != '.')
			continue;
		fault = label_fault((struct bytes){domain.data + begin, i - begin});
		if (fault)
			return fault;
		begin = i + 1;
	}
	return NULL;
}

static char *append_lower(char *end, struct bytes text)
{
	for (size_t i = 0; i < text.length; i++) {
		char octet = text.data[i];

		*end++ = octet >= 'A' && octet <= 'Z' ? (char)(octet - 'A' + 'a') : octet;
	}
	return end;
}

static enum error_code refuse(struct error *error, struct bytes given, const char *fault)
{
	char room[120]; /* enough to know it again */

	return error_set(error, ERROR_DATA, "%s is not a name for an account: %s",
			 error_escape(given, room, sizeof(room)), fault);
}

enum error_code account_name_normalise(struct bytes given, const char *default_domain,
				       char name_out[ACCOUNT_NAME_MAX + 1], struct error *error)
{
	const char *at = given.length > 0 ? memchr(given.data, '@', given.length) : NULL;
	struct bytes local = given, domain = bytes_of(default_domain);
	const char *fault;
	char *end = name_out;

	*name_out = '\0';
	if (at) {
		local = bytes_first(given, (size_t)(at - given.data));
		domain = bytes_skip(given, local.length + 1);
	}
	fault = local_part_fault(local);
	if (!fault && !at && domain.length == 0)
		fault = "it has no domain (user@domain), and there is no default domain yet";
	if (!fault)
		fault = domain_fault(domain);
	if (fault)
		return refuse(error, given, fault);
	end = append_lower(end, local);
	*end++ = '@';
	end = append_lower(end, domain);
	assert(end <= name_out + ACCOUNT_NAME_MAX);
	*end = '\0';
	return ERROR_NONE;
}

enum error_code account_domain_normalise(struct bytes given, char domain_out[DOMAIN_MAX + 1],
					 struct error *error)
{
	const char *fault = domain_fault(given);
	char room[120];

	*domain_out = '\0';
	if (fault)
		return error_set(error, ERROR_DATA, "%s is not a domain: %s",
				 error_escape(given, room, sizeof(room)), fault);
	*append_lower(domain_out, given) = '\0';
	return ERROR_NONE;
}

/* Names that begin with a dot are the stores' own (temporary files, and a Maildir's subfolders). */
/* Beside a spool lies its dotlock, which mail programs make and remove. */
static bool ends_as_dotlock(struct bytes path)
{
	struct bytes end = BYTES(".lock");

	return path.length >= end.length &&
	       bytes_equal(bytes_skip(path, path.length - end.length), end);
}

static const char *path_fault(struct bytes path)
{
	bool part_begins = true;

	if (path.length == 0)
		return "it is empty";
	if (path.length > MAILDROP_PATH_MAX)
		return "it is longer than 383 octets";
	for (size_t i = 0; i < path.length; i++) {
		if (path.data[i] < 0x21 || path.data[i] > 0x7e)
			return "it may have printable ASCII only, without spaces";
		if (part_begins && path.data[i] == '/')
			return i == 0 ? "it begins with a slash" : "a part of it is empty";
		if (part_begins && path.data[i] == '.')
			return "a part of it begins with a dot";
		part_begins = path.data[i] == '/';
	}
	if (ends_as_dotlock(path))
		return "it ends in .lock, as the lock file of another maildrop does";
	return part_begins ? "it ends with a slash" : NULL;
}

enum error_code account_path_check(struct bytes path, struct error *error)
{
	const char *fault = path_fault(path);
	char room[120];

	if (!fault)
		return ERROR_NONE;
	return error_set(error, ERROR_DATA, "%s is not a path for a maildrop: %s",
			 error_escape(path, room, sizeof(room)), fault);
}

static bool is_plain_in_path(char octet, bool first)
{
	if (octet == '.')
		return !first;
	return is_letter_or_digit(octet) || octet == '-' || octet == '_' || octet == '+';
}

/* Returns the end of what was written, NULL when it does not fit before `limit`. */
static char *append_escaped(char *end, const char *limit, struct bytes text)
{
	static const char digits[] = "0123456789ABCDEF";
	size_t dot = ends_as_dotlock(text) ? text.length - strlen(".lock") : text.length;

	for (size_t i = 0; i < text.length; i++) {
		unsigned char octet = (unsigned char)text.data[i];

		if (is_plain_in_path(text.data[i], i == 0) && i != dot) {
			if (limit - end < 1)
				return NULL;
			*end++ = text.data[i];
			continue;
		}
		if (limit - end < 3)
			return NULL;
		*end++ = '%';
		*end++ = digits[octet >> 4];
		*end++ = digits[octet & 15];
	}
	return end;
}

bool account_path(const char *name, char path_out[MAILDROP_PATH_MAX + 1])
{
	const char *limit = path_out + MAILDROP_PATH_MAX, *at = strrchr(name, '@');
	char *end = path_out;

	*path_out = '\0';
	if (!at || at == name || at[1] == '\0')
		return false;
	end = append_escaped(end, limit, bytes_of(at + 1));
	if (end && end < limit) {
		*end++ = '/';
		end = append_escaped(end, limit, (struct bytes){name, (size_t)(at - name)});
		if (end) {
			*end = '\0';
			return true;
		}
	}
	*path_out = '\0';
	return false;
}
