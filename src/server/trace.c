/*
 * trace: prints the trace headers.
 *
 * Guarantees: each header is one field whatever the peer said: no octet of it can end a line, a
 * comment or a path. Must not know: where the message goes.
 */
#include "server/trace.h"

#include "base/clock.h"
#include "base/limits.h"

/* Printable ASCII only, for our headers are read by programs that know nothing else; RFC 5321
 * section 4.4 has the peer's words in a path or beside a comment, which these octets would end. */
static bool is_clean(char c)
{
	return c > 0x20 && c < 0x7F && c != '<' && c != '>' && c != '(' && c != ')' && c != '\\' &&
	       c != ';';
}

static struct bytes clean(struct bytes text, char *room, size_t room_octets)
{
	size_t length = text.length < room_octets ? text.length : room_octets;

	for (size_t i = 0; i < length; i++)
		room[i] = is_clean(text.data[i]) ? text.data[i] : '?';
	return (struct bytes){room, length};
}

/* The same of an address: a quoted local part is kept as it came (RFC 5321 section 4.4: the return
 * path is preserved), because inside quotes printable octets end nothing. One whose quotes do not
 * close is no address, and is cleaned whole. */
static struct bytes clean_address(struct bytes text, char *room, size_t room_octets)
{
	size_t quoted = 0;

	if (text.length > 1 && text.data[0] == '"' && text.length <= room_octets)
		for (quoted = 1; quoted < text.length && text.data[quoted] != '"'; quoted++)
			if (text.data[quoted] == '\\')
				quoted++;
	if (quoted == 0 || quoted >= text.length)
		return clean(text, room, room_octets);
	for (size_t i = 0; i <= quoted; i++)
		room[i] = text.data[i] >= 0x20 && text.data[i] < 0x7F ? text.data[i] : '?';
	text = clean(bytes_skip(text, quoted + 1), room + quoted + 1, room_octets - quoted - 1);
	return (struct bytes){room, quoted + 1 + text.length};
}

/* RFC 3848; RFC 5321 section 4.4 for the last */
static const char *protocol(const struct trace *trace)
{
	if (trace->lmtp)
		return trace->tls ? "LMTPS" : "LMTP";
	if (trace->extended)
		return trace->tls ? "ESMTPS" : "ESMTP";
	return "SMTP";
}

/* "([192.0.2.1])", as RFC 5321 section 4.4 has it in TCP-info, and without the port; what is no
 * address stands in a comment. */
static bool print_peer(struct bytes peer, struct buffer *headers)
{
	size_t length = peer.length;

	if (bytes_start_with(peer, BYTES("unix:")) || peer.length == 0)
		return buffer_print(headers, " (%.*s)", (int)peer.length, peer.data);
	while (length > 0 && peer.data[length - 1] != ':')
		length--;
	peer = bytes_first(peer, length > 0 ? length - 1 : peer.length);
	if (peer.data[0] == '[')
		return buffer_print(headers, " ([IPv6:%.*s)", (int)peer.length - 1, peer.data + 1);
	return buffer_print(headers, " ([%.*s])", (int)peer.length, peer.data);
}

static bool print_only_address(struct bytes address, struct buffer *headers)
{
	char room[SMTP_PATH_MAX];

	if (address.length == 0)
		return true;
	address = clean_address(address, room, sizeof(room));
	return buffer_print(headers, "\n\tfor <%.*s>", (int)address.length, address.data);
}

static bool print_received(const struct trace *trace, struct buffer *headers)
{
	char helo_room[DOMAIN_MAX + 2], date[CLOCK_DATE_OCTETS];
	struct bytes helo = clean(trace->helo, helo_room, sizeof(helo_room));

	if (helo.length == 0)
		helo = BYTES("unknown");
	return buffer_print(headers, "Received: from %.*s", (int)helo.length, helo.data) &&
	       print_peer(trace->peer, headers) &&
	       buffer_print(headers, "\n\tby %.*s with %s id %.*s", (int)trace->host.length,
			    trace->host.data, protocol(trace), (int)trace->session.length,
			    trace->session.data) &&
	       print_only_address(trace->only_address, headers) &&
	       buffer_print(headers, ";\n\t%s\n", clock_date_rfc5322(trace->unix_seconds, date));
}

bool trace_print(const struct trace *trace, struct buffer *headers)
{
	char sender_room[SMTP_PATH_MAX], recipient_room[ACCOUNT_NAME_MAX];
	struct bytes sender = clean_address(trace->sender, sender_room, sizeof(sender_room));
	struct bytes recipient = clean(trace->recipient, recipient_room, sizeof(recipient_room));

	return buffer_print(headers,
			    "Return-Path: <%.*s>\n"
			    "Delivered-To: %.*s\n",
			    (int)sender.length, sender.data, (int)recipient.length,
			    recipient.data) &&
	       print_received(trace, headers);
}
