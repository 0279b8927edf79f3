/*
 * smtp_address: strict parsing of SMTP paths, see smtp_address.h.
 *
 * Each function takes one rule of the grammar from the front of the text and returns false where
 * the text is something else; then nothing of the result is used. Must not know which command it is
 * for.
 */
#include "protocol/smtp_address.h"

#include <string.h>

static bool is_letter_or_digit(char octet)
{
	return (octet >= 'a' && octet <= 'z') || (octet >= 'A' && octet <= 'Z') ||
	       (octet >= '0' && octet <= '9');
}

/* atext of RFC 5322 section 3.2.3 */
static bool is_atom_octet(char octet)
{
	return is_letter_or_digit(octet) ||
	       (octet != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", octet) != NULL);
}

static bool is_domain_octet(char octet)
{
	return is_letter_or_digit(octet) || octet == '-' || octet == '_';
}

static bool starts_with(struct bytes text, char octet)
{
	return text.length > 0 && text.data[0] == octet;
}

static bool take_octet(struct bytes *text, char octet)
{
	if (!starts_with(*text, octet))
		return false;
	*text = bytes_skip(*text, 1);
	return true;
}

/* Words of the given octets with single dots between them. */
static bool take_dotted(struct bytes *text, bool (*is_part)(char octet))
{
	size_t length = 0;

	while (length < text->length) {
		bool dot = text->data[length] == '.';

		if (!dot && !is_part(text->data[length]))
			break;
		if (dot && (length == 0 || text->data[length - 1] == '.'))
			return false;
		length++;
	}
	if (length == 0 || text->data[length - 1] == '.')
		return false;
	*text = bytes_skip(*text, length);
	return true;
}

/* "[192.0.2.1]", "[IPv6:…]"; what is in it is nobody's concern here */
static bool take_literal(struct bytes *text)
{
	size_t length = 1;

	while (length < text->length && text->data[length] > ' ' && text->data[length] <= '~' &&
	       strchr("[]\\<>", text->data[length]) == NULL)
		length++;
	if (length < 2 || length >= text->length || text->data[length] != ']')
		return false;
	*text = bytes_skip(*text, length + 1);
	return true;
}

static bool take_domain(struct bytes *text)
{
	struct bytes before = *text;
	bool taken =
		starts_with(*text, '[') ? take_literal(text) : take_dotted(text, is_domain_octet);

	return taken && before.length - text->length <= DOMAIN_MAX;
}

/* "@one.example,@two.example:" */
static bool skip_route(struct bytes *text)
{
	if (!starts_with(*text, '@'))
		return true;
	do {
		if (!take_octet(text, '@') || !take_domain(text))
			return false;
	} while (take_octet(text, ','));
	return take_octet(text, ':');
}

static bool add(struct smtp_address *address, struct bytes text)
{
	if (text.length > SMTP_PATH_MAX - 2 - address->length)
		return false;
	memcpy(address->text + address->length, text.data, text.length);
	address->length += text.length;
	return true;
}

/* The content of a quoted string without its backslashes, and the length of its quoted form. */
static bool unquote(struct bytes text, struct smtp_address *content_out, size_t *length_out)
{
	size_t at = 1;

	content_out->length = 0;
	for (; at < text.length && text.data[at] != '"'; at++) {
		if (text.data[at] == '\\')
			at++;
		if (at >= text.length || text.data[at] < ' ' || text.data[at] > '~')
			return false;
		if (!add(content_out, (struct bytes){text.data + at, 1}))
			return false;
	}
	*length_out = at + 1;
	return at < text.length;
}

static bool take_quoted(struct bytes *text, struct smtp_address *address)
{
	struct smtp_address content;
	struct bytes plain, rest;
	size_t length;

	if (!unquote(*text, &content, &length))
		return false;
	plain = rest = (struct bytes){content.text, content.length};
	if (!take_dotted(&rest, is_atom_octet) || rest.length > 0)
		plain = bytes_first(*text, length);
	*text = bytes_skip(*text, length);
	return add(address, plain);
}

static bool take_local_part(struct bytes *text, struct smtp_address *address)
{
	struct bytes before = *text;

	if (starts_with(*text, '"'))
		return take_quoted(text, address);
	return take_dotted(text, is_atom_octet) &&
	       add(address, bytes_first(before, before.length - text->length));
}

bool smtp_address_parse(struct bytes *text, struct smtp_address *address_out)
{
	struct bytes domain;

	address_out->length = 0;
	if (!take_octet(text, '<'))
		return false;
	if (take_octet(text, '>'))
		return true;
	if (!skip_route(text) || !take_local_part(text, address_out))
		return false;
	domain = *text;
	if (take_octet(text, '@')) {
		if (!take_domain(text) ||
		    !add(address_out, bytes_first(domain, domain.length - text->length)))
			return false;
	}
	return take_octet(text, '>');
}
