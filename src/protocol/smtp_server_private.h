/*
 * smtp_server_private: what the engine (smtp_server.c) and its commands (smtp_commands.c) share.
 * Nobody else includes it.
 */
#ifndef PROTOCOL_SMTP_SERVER_PRIVATE_H
#define PROTOCOL_SMTP_SERVER_PRIVATE_H

#include "base/wire.h"
#include "protocol/line.h"
#include "protocol/smtp_server.h"

enum smtp_stage {
	SMTP_STAGE_COMMAND, /* between commands: feed takes lines */
	SMTP_STAGE_DATA,    /* feed takes octets of the message */
	SMTP_STAGE_READY,   /* an event waits to be pulled */
	SMTP_STAGE_OPEN,    /* it was pulled, its answer is awaited */
	SMTP_STAGE_CLOSED
};

struct smtp_server {
	const struct smtp_server_options *options;
	struct line_reader line;
	struct buffer output;

	/* kept.h */
	struct bytes helo;
	struct bytes sender;       /* with has_sender */
	struct bytes recipient;    /* of the open RECIPIENT event */
	struct bytes refusal_text; /* with refusal; may be empty */

	/* the message: only in DATA */
	struct wire_decoder decoder;
	struct wire_size size;
	char *decoded; /* SMTP_BODY_MAX octets; NULL outside DATA */
	size_t decoded_length;
	const char *refusal; /* the owner's: "452 4.3.1" */

	uint64_t declared_octets;
	uint32_t recipients; /* accepted */
	uint32_t answered;   /* of the open MESSAGE event */
	enum smtp_stage stage;
	enum smtp_event_kind event;
	uint16_t commands;    /* since the last message that was accepted */
	uint8_t bad_commands; /* one behind the other */
	bool has_sender;
	bool eight_bit;
	bool extended; /* the last greeting was EHLO or LHLO */
	bool offers_tls;
	bool rejects_bare_lf;
};

/* Emits "status text"; status is the code with its enhanced one, text may be NULL. */
void smtp_reply(struct smtp_server *server, const char *status, const char *text);

/* Emits what the format makes; where memory has run out the connection is closed instead. */
void smtp_emit(struct smtp_server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Refuses what has not the form of a command; too many of them end the connection. */
void smtp_reply_bad(struct smtp_server *server, const char *status, const char *text);

void smtp_reply_no_memory(struct smtp_server *server);

/* Nothing more is emitted or taken; the next event is CLOSE, behind an ABORT where one is due. */
void smtp_close(struct smtp_server *server);

/* Has next() hand out an event. */
void smtp_ask(struct smtp_server *server, enum smtp_event_kind event);

/* Forgets the transaction, and has the owner forget it if it knows of it. */
void smtp_abort(struct smtp_server *server);

/* Room for the message; false when memory has run out. */
bool smtp_prepare_data(struct smtp_server *server);

/* In smtp_commands.c: does what a complete line says. */
void smtp_command_run(struct smtp_server *server, struct bytes line);

#endif
