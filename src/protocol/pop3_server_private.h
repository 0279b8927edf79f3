/*
 * pop3_server_private: what the engine (pop3_server.c) and its commands (pop3_commands.c) share.
 * Nobody else includes it, but their tests for the size of the struct.
 */
#ifndef PROTOCOL_POP3_SERVER_PRIVATE_H
#define PROTOCOL_POP3_SERVER_PRIVATE_H

#include "protocol/line.h"
#include "protocol/pop3_server.h"

#define POP3_OUTPUT_DRAINED (OUTPUT_OCTETS_MAX / 2) /* below it more may be emitted */

enum pop3_stage {
	POP3_STAGE_COMMAND, /* between commands: feed takes octets */
	POP3_STAGE_READY,   /* an event waits to be pulled */
	POP3_STAGE_OPEN,    /* it was pulled, its answer is awaited */
	POP3_STAGE_BODY,    /* the owner is sending a body */
	POP3_STAGE_DRAIN,   /* a listing waits until output has drained */
	POP3_STAGE_CLOSED
};

/* What a command makes of one entry that it asked for. */
typedef void pop3_entry_handler(struct pop3_server *server, uint32_t number,
				const struct pop3_entry *entry);

/* An idle session holds this struct and nothing else: keep it small. */
struct pop3_server {
	const struct pop3_server_options *options;
	struct line_reader line;
	struct buffer output;
	struct bytes user;     /* kept.h: given by USER, until a login was tried */
	struct bytes argument; /* kept.h: of the open event: the password, PLAIN's message, APOP's
				  digest, or the word of XTRY */
	struct bytes
		challenge;  /* kept.h: the timestamp of the greeting until login; empty: no APOP */
	const char *reason; /* why it was closed */
	uint8_t *deleted;   /* a bit a message; NULL while none was ever marked */
	pop3_entry_handler *on_entry; /* of the open TABLE event */
	uint64_t octets;              /* of the messages not marked as deleted */
	uint64_t octets_at_login;
	uint64_t lines; /* of the open BODY event */
	uint32_t messages;
	uint32_t deleted_count;
	uint32_t first; /* message of the open event, or the first one of a block */
	uint32_t count;
	enum pop3_stage stage;
	enum pop3_event_kind event; /* from READY on */
	uint8_t state;              /* enum pop3_state */
	uint8_t login_tries;
	uint8_t bad_commands; /* one behind the other */
	uint8_t mechanism;    /* enum pop3_mechanism of the open event */
	bool login_allowed;
	bool stls_possible;
	bool exchange; /* AUTH waits for the next line */
	bool listing;  /* a multi-line answer made of TABLE events is under way */
	bool begun;    /* its first line was emitted */
	bool top;      /* the open BODY event is that of TOP */
	bool quit;
};

/* Emits one status line. `code` and `text` may be NULL. */
void pop3_reply_ok(struct pop3_server *server, const char *text);
void pop3_reply_error(struct pop3_server *server, const char *code, const char *text);

/* Emits what the format makes; where memory has run out the session is closed instead. */
void pop3_emit(struct pop3_server *server, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

void pop3_emit_bytes(struct pop3_server *server, struct bytes octets);

/* Refuses what is no command, or has not the form of one; too many of them end the session. */
void pop3_reply_bad(struct pop3_server *server, const char *text);

/* Nothing more is emitted or taken; the next event is CLOSE. */
void pop3_close(struct pop3_server *server, const char *reason);

/* What the peer said before it logged in or began TLS is wiped. */
void pop3_forget(struct pop3_server *server);

/* Has next() hand out an event. */
void pop3_ask(struct pop3_server *server, enum pop3_event_kind event);

/* Asks for the entry of one message. */
void pop3_ask_entry(struct pop3_server *server, uint32_t number, pop3_entry_handler *on_entry);

/* Asks for the entries of all messages not marked as deleted, block by block, and ends the answer
 * with a dot. */
void pop3_ask_listing(struct pop3_server *server, pop3_entry_handler *on_entry);

bool pop3_is_deleted(const struct pop3_server *server, uint32_t number);

#define POP3_ARGUMENTS_MAX 2

struct pop3_arguments {
	struct bytes list[POP3_ARGUMENTS_MAX];
	size_t count;
	uint32_t number; /* of the message, where the row asks for one; 0 without argument */
};

typedef void pop3_command_handler(struct pop3_server *server,
				  const struct pop3_arguments *arguments);

/* ---- pop3_commands.c ---- */

/* Does what a complete line says. */
void pop3_command_run(struct pop3_server *server, struct bytes line);

/* ---- pop3_auth.c: the commands of the AUTHORIZATION state ---- */

pop3_command_handler pop3_run_user, pop3_run_pass, pop3_run_apop, pop3_run_auth, pop3_run_stls;

/* A line of the exchange that AUTH has begun. */
void pop3_exchange_line(struct pop3_server *server, struct bytes line);

/* The exchange is over, whatever came of it. */
void pop3_exchange_end(struct pop3_server *server);

/* What the open AUTHENTICATE event asks. */
void pop3_fill_login(const struct pop3_server *server, struct pop3_event *event_out);

#endif
