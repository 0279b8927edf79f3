/*
 * message: what the processes of one server say to each other.
 *
 * Fixed binary structs with lengths, never text that must be parsed: one message is one packet of a
 * SOCK_SEQPACKET socket (so a message is whole or absent), begins with a struct message_header, and
 * has exactly the size of its type. Each answer carries the `request` number of its question, which
 * is unique for the asking process. All processes are one program of one build: no byte order, no
 * versions.
 *
 * message_check() accepts a received packet or says it is not one: type known, size right, every
 * length within its array, every enumeration known, strings ended. A process that gets a bad
 * message from another treats that process as broken: it closes the channel and (the supervisor)
 * restarts it. Descriptors travel beside a message (SCM_RIGHTS), only from the supervisor downward,
 * and their number is fixed by the type.
 *
 * Who speaks to whom:
 *     supervisor - auth, supervisor - worker   one channel each, made at the child's start
 *     auth - worker                            one channel each, handed out by the supervisor, anew
 *                                              when either was restarted
 *     postern status - auth                    ROOT/run/control.sock
 */
#ifndef SERVER_MESSAGE_H
#define SERVER_MESSAGE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/limits.h"
#include "net/network.h"
#include "store/store.h"

enum message_type {
	/* supervisor -> child */
	MESSAGE_CONFIGURE = 1, /* first, to each child; with the descriptors of its folders */
	MESSAGE_LISTENER,      /* -> worker: a listening socket */
	MESSAGE_TLS,           /* -> worker: certificate and key, in parts */
	MESSAGE_TICKETS,       /* -> worker: ticket keys */
	MESSAGE_PEER,          /* -> auth, worker: the channel between them */
	MESSAGE_DRAIN,         /* -> worker: accept no more, end as told */

	/* child -> supervisor */
	MESSAGE_READY, /* configured, sandboxed, serving */

	/* worker -> auth */
	MESSAGE_LOGIN,    /* a login and its password -> LOGGED_IN */
	MESSAGE_RESOLVE,  /* a recipient -> RESOLVED */
	MESSAGE_SESSION,  /* a session has its maildrop, or has ended */
	MESSAGE_CONTEST,  /* the maildrop is locked: who has it? -> CONTESTED */
	MESSAGE_PROBED,   /* answers PROBE */
	MESSAGE_COUNTERS, /* answers COUNT */

	/* auth -> worker */
	MESSAGE_LOGGED_IN,
	MESSAGE_RESOLVED,
	MESSAGE_CONTESTED,
	MESSAGE_PROBE, /* see whether this session's peer is alive; if not, roll back and end it */
	MESSAGE_COUNT,

	/* control socket */
	MESSAGE_STATUS,         /* command -> auth */
	MESSAGE_STATUS_PROCESS, /* auth -> command: one for each worker, with its counters */
	MESSAGE_STATUS_SESSION, /* auth -> command: one for each session */
	MESSAGE_STATUS_END,

	/* numbers are kept, so what is new stands here: files of system users (server/broker.h) */
	MESSAGE_BROKER,   /* supervisor -> worker: the socket for the next two */
	MESSAGE_BORROW,   /* worker -> supervisor: open or remove one -> BORROWED */
	MESSAGE_BORROWED, /* with the open file, if there is one */

	MESSAGE_PING,   /* supervisor -> child -> PONG, at once */
	MESSAGE_PONG,   /* child -> supervisor */
	MESSAGE_MEET,   /* worker -> supervisor: has lost auth, asks for another PEER */
	MESSAGE_ABOUT,  /* supervisor -> auth -> command: what status tells of the server */
	MESSAGE_END,    /* auth -> worker: end this session, with a word to its peer */
	MESSAGE_KICK,   /* command -> auth: end sessions -> KICKED */
	MESSAGE_KICKED, /* auth -> command */
	MESSAGE_RULES,  /* supervisor -> auth: of logins, at its start and at each reload */
	MESSAGE_TYPES
};

struct message_header {
	uint32_t type;
	uint32_t size; /* of the whole message */
	uint64_t request;
};

struct message_text { /* octets with a length: names, passwords */
	uint32_t length;
	char octets[ACCOUNT_NAME_MAX + 2];
};

enum process_role {
	PROCESS_AUTH = 1,
	PROCESS_WORKER,
	PROCESS_ENDED /* in STATUS_PROCESS only: the workers that are no more, all in one */
};

/* Descriptors: auth: accounts/, control socket. worker: index/, journal/, uids/, run/locks/, then
 * mail roots. */
#define WORKER_FOLDERS 4 /* without the mail roots */
struct message_configure {
	struct message_header header;
	uint32_t role;
	uint32_t number; /* of the worker, from 0; unique among the living ones */
	uint32_t mail_roots;
	uint32_t mail_root_numbers[MAIL_ROOTS_MAX]; /* of each, in ascending order */
	uint32_t drop_user; /* 1: become uid/gid below, and for auth chroot to accounts/ */
	uint32_t uid, gid;
	uint32_t apop;      /* 1: offered, to accounts that consent */
	uint32_t owner_uid; /* whose instance it is: may use the control socket */
	uint32_t allow_plaintext;
	uint32_t log_level;
	uint32_t message_octets_max;
	uint32_t megabytes_per_user;
	uint32_t connections_per_address; /* 0: any number */
	uint32_t trusted_count;
	struct network trusted[TRUSTED_NETWORKS_MAX];
	uint32_t trusted_user_count;
	uint32_t trusted_users[TRUSTED_USERS_MAX]; /* uids */
	uint32_t log_target, log_format;
	char host[DOMAIN_MAX + 3];
};

enum listener_kind {
	LISTENER_POP3 = 1,
	LISTENER_POP3S,
	LISTENER_LMTP,
	LISTENER_SMTP,
	LISTENER_SOCKETMAP /* Postfix's socketmap_table(5): which recipients exist */
};

struct message_listener {
	struct message_header header;
	uint32_t kind;
	uint32_t last; /* 1: this was the last one, serve now */
};

#define TLS_PART_OCTETS 16384
#define TLS_PEM_MAX     (256 * 1024)
struct message_tls {
	struct message_header header;
	uint32_t key;  /* 0: certificate, 1: key */
	uint32_t last; /* 1: the pair is complete, take it into use */
	uint32_t length;
	char octets[TLS_PART_OCTETS];
};

struct message_tickets {
	struct message_header header;
	uint8_t current[80], previous[80];
};

struct message_peer {
	struct message_header header;
	uint32_t worker; /* its number */
	uint32_t pid;    /* its process id, for status */
};

struct message_drain {
	struct message_header header;
	uint32_t at_once; /* 1 (SIGTERM): idle sessions are told and closed, answers may finish;
			     0 (SIGHUP): sessions go on to their end */
};

/* The mail roots whose files the broker opens, as bits by number. */
struct message_broker {
	struct message_header header;
	uint32_t mail_roots;
};

enum borrow_action { BORROW_OPEN = 1, BORROW_UNLINK };

struct message_borrow {
	struct message_header header;
	uint32_t action;
	uint32_t mail_root;
	uint32_t flags; /* OPEN: enum file_flags */
	char name[MAILDROP_PATH_MAX + 1];
};

struct message_borrowed {
	struct message_header header;
	int32_t result;  /* 0 or a negative errno */
	uint32_t opened; /* 1: a descriptor travels beside it */
};

struct message_ready {
	struct message_header header;
};

enum mechanism {
	MECHANISM_USER,  /* USER and PASS */
	MECHANISM_PLAIN, /* AUTH PLAIN */
	MECHANISM_APOP,  /* `password` is the digest, in hexadecimal digits */
	MECHANISMS
};

struct message_ping {
	struct message_header header;
};

struct message_pong {
	struct message_header header;
	uint32_t sessions; /* that auth knows; of a worker 0 */
};

struct message_meet {
	struct message_header header;
	uint32_t pid; /* of the auth whose channel has closed, 0: unknown */
};

#define ABOUT_ADDRESS_OCTETS 128
struct message_about {
	struct message_header header;
	int64_t started_unix_seconds;
	int64_t certificate_expires_unix_seconds; /* 0: unknown */
	char version[32];
	uint32_t listener_count;
	struct {
		uint32_t kind;
		char address[ABOUT_ADDRESS_OCTETS];
	} listeners[LISTENERS_MAX];
};

/* What CONFIGURE said of them may have changed: auth lives on when workers are replaced. */
struct message_rules {
	struct message_header header;
	uint32_t apop; /* 1: offered, to accounts that consent */
	uint32_t trusted_count;
	struct network trusted[TRUSTED_NETWORKS_MAX]; /* without penalties */
};

struct message_login {
	struct message_header header;
	uint64_t session;
	uint32_t mechanism;
	uint32_t tls; /* 1: it came inside TLS */
	char peer[64];
	struct message_text name;
	struct message_text authorize; /* PLAIN: whose maildrop; empty: that of the name */
	struct message_text challenge; /* APOP: what the digest was made over */
	uint32_t password_length;
	char password[PASSWORD_MAX];
};

struct message_logged_in {
	struct message_header header;
	uint32_t outcome; /* enum error_code: NONE, DENIED, TEMPORARY */
	struct place place;
	char account[ACCOUNT_NAME_MAX + 2];
};

struct message_resolve {
	struct message_header header;
	struct message_text address;
};

struct message_resolved {
	struct message_header header;
	uint32_t outcome; /* NONE, NO_USER, NOT_LOCAL, DENIED (disabled), TEMPORARY */
	struct place place;
	char account[ACCOUNT_NAME_MAX + 2];
};

enum session_change { SESSION_OPENED = 1, SESSION_CLOSED = 2 };

struct message_session {
	struct message_header header;
	uint64_t session; /* unique for the worker's life */
	uint64_t account;
	uint32_t change;
	uint32_t tls;
	int64_t since_unix_seconds;
	char peer[64];
	char name[ACCOUNT_NAME_MAX + 2];
};

struct message_contest {
	struct message_header header;
	uint64_t account;
};

enum contest_outcome {
	CONTEST_FREE = 1, /* the holder is gone or has yielded: try the lock again */
	CONTEST_ALIVE,    /* the holder answers: [IN-USE] */
	CONTEST_UNKNOWN   /* nobody known holds it (a command line does): [IN-USE] */
};

struct message_contested {
	struct message_header header;
	uint32_t outcome;
};

struct message_probe {
	struct message_header header;
	uint64_t session;
};

struct message_probed {
	struct message_header header;
	uint32_t outcome; /* FREE or ALIVE */
};

struct message_count {
	struct message_header header;
};

struct message_end {
	struct message_header header;
	uint64_t session;
};

/* Since the worker's start. */
struct counters {
	uint64_t connections, logins, logins_failed, logins_in_use, take_overs;
	uint64_t messages_retrieved, octets_sent, messages_deleted;
	uint64_t messages_delivered, deliveries_deferred, deliveries_refused;
	uint64_t file_octets_read; /* all reads of the stores: mail and indexes */
	uint64_t connections_now, sessions_now;
};

struct message_counters {
	struct message_header header;
	struct counters counters;
};

struct message_status {
	struct message_header header;
};

struct message_status_process {
	struct message_header header;
	uint32_t role, number, pid;
	struct counters counters;
};

struct message_status_session {
	struct message_header header;
	uint64_t session, account;
	uint32_t worker, tls;
	int64_t since_unix_seconds;
	char peer[64];
	char name[ACCOUNT_NAME_MAX + 2];
};

struct message_status_end {
	struct message_header header;
	uint32_t sessions;
};

struct message_kick {
	struct message_header header;
	uint32_t all;               /* 1: every session, whatever the text says */
	struct message_text target; /* an account or an address of it, or WORKER.SESSION */
};

struct message_kicked {
	struct message_header header;
	uint32_t outcome;  /* NONE, NO_USER (neither an account nor a session), TEMPORARY */
	uint32_t sessions; /* told to end */
};

/* Any message, for receiving. */
union message {
	struct message_header header;
	struct message_configure configure;
	struct message_listener listener;
	struct message_tls tls;
	struct message_tickets tickets;
	struct message_peer peer;
	struct message_drain drain;
	struct message_broker broker;
	struct message_borrow borrow;
	struct message_borrowed borrowed;
	struct message_ready ready;
	struct message_ping ping;
	struct message_pong pong;
	struct message_meet meet;
	struct message_about about;
	struct message_rules rules;
	struct message_login login;
	struct message_logged_in logged_in;
	struct message_resolve resolve;
	struct message_resolved resolved;
	struct message_session session;
	struct message_contest contest;
	struct message_contested contested;
	struct message_probe probe;
	struct message_probed probed;
	struct message_count count;
	struct message_counters counters;
	struct message_status status;
	struct message_status_process status_process;
	struct message_status_session status_session;
	struct message_status_end status_end;
	struct message_end end;
	struct message_kick kick;
	struct message_kicked kicked;
};

#define MESSAGE_DESCRIPTORS_MAX (5 + MAIL_ROOTS_MAX)

/* As the log has it: "USER", "PLAIN", "APOP". */
const char *mechanism_name(uint32_t mechanism);

/* Fills in type and size; the caller sets the rest. Zeroes everything else. */
void message_init(void *message, enum message_type type, uint64_t request);

size_t message_size(enum message_type type); /* 0 for a number that is none */

/* Is this packet a message of ours? Touches no octet behind `size`. */
bool message_check(const union message *message, size_t size);

/* How many descriptors travel beside a message that passed message_check(). */
size_t message_descriptors(const union message *message);

#endif
