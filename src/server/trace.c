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
static struct bytes clean(struct bytes text, char *room, size_t room_octets)
{
	size_t length = text.length < room_octets ? text.length : room_octets;

	for (size_t i = 0; i < length; i++) {
		char c = text.data[i];
		bool good = c > 0x20 && c < 0x7F && c != '<' && c != '>' && c != '(' && c != ')' &&
			    c != '\\' && c != ';';

		room[i] = good ? c : '?';
	}
	return (struct bytes){room, length};
}

static const char *protocol(const struct trace *trace)
{
	if (trace->lmtp)
		return trace->tls ? "LMTPS" : "LMTP"; /* RFC 3848 */
	return trace->tls ? "ESMTPS" : "ESMTP";
}

bool trace_print(const struct trace *trace, struct buffer *headers)
{
	char sender_room[SMTP_PATH_MAX], recipient_room[ACCOUNT_NAME_MAX],
		helo_room[DOMAIN_MAX + 2];
	char date[CLOCK_DATE_OCTETS];
	struct bytes sender = clean(trace->sender, sender_room, sizeof(sender_room));
	struct bytes recipient = clean(trace->recipient, recipient_room, sizeof(recipient_room));
	struct bytes helo = clean(trace->helo, helo_room, sizeof(helo_room));

	if (helo.length == 0)
		helo = BYTES("unknown");
	return buffer_print(headers,
			    "Return-Path: <%.*s>\n"
			    "Delivered-To: %.*s\n"
			    "Received: from %.*s (%.*s)\n"
			    "\tby %.*s with %s id %.*s;\n"
			    "\t%s\n",
			    (int)sender.length, sender.data, (int)recipient.length, recipient.data,
			    (int)helo.length, helo.data, (int)trace->peer.length, trace->peer.data,
			    (int)trace->host.length, trace->host.data, protocol(trace),
			    (int)trace->session.length, trace->session.data,
			    clock_date_rfc5322(trace->unix_seconds, date));
}
