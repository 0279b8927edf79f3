/*
 * limits: the limits of Postern, in one place, with their reasons. Each that a peer can reach has a
 * test one below, at, and one above it. A limit of one file's own making (how often something is
 * tried, how much is read at a time) stands in that file.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* ---- names ---- */
#define LOCAL_PART_MAX	 64  /* RFC 5321 section 4.5.3.1.1 */
#define DOMAIN_MAX	 253 /* RFC 1035 section 2.3.4: 255 octets on the wire are 253 as text */
#define ACCOUNT_NAME_MAX 318 /* local part, '@', domain */
#define MAILDROP_PATH_MAX 383 /* DOMAIN/USER below a mail root, or a path chosen by --path */
#define MAIL_ROOTS_MAX	 8   /* descriptors handed to every worker */
#define UID_MAX		 70  /* RFC 1939 section 7: a unique-id has 1 to 70 octets */
#define PASSWORD_MAX	 1000 /* longer than any passphrase; bounds the messages to auth */
#define VERIFIER_MAX	 255 /* argon2id PHC strings have about 100 octets */

/* ---- passwords ---- */
#define SECRET_MEMORY_OCTETS (19u * 1024 * 1024) /* OWASP's first recommendation for argon2id, */
#define SECRET_PASSES	     2u			 /* of verifiers that we make */
#define SECRET_MEMORY_MAX    (256u * 1024 * 1024) /* of imported ones: a row must not take */
#define SECRET_PASSES_MAX    16u		  /* the machine down */
#define SECRET_CACHE_ENTRIES 16384 /* passwords remembered as right: 32 octets each */

/* ---- POP3 ---- */
#define POP3_LINE_MAX	     512  /* RFC 2449 section 4: 255 with CRLF; generous for other senders */
#define POP3_PASS_LINE_MAX   1100 /* "PASS " and 1,000 octets of password, CRLF, and room */
#define POP3_SASL_LINE_MAX   12288 /* as RFC 4954 section 4 has it; RFC 5034 names no figure */
#define POP3_REPLY_MAX	     512  /* RFC 2449 section 4 */
#define POP3_BAD_COMMANDS_MAX 3	  /* before login; a browser or a scanner, not a mail program */
#define POP3_BAD_COMMANDS_LOGGED_IN_MAX 20
#define POP3_LISTING_BLOCK   64	  /* entries asked for at a time: bounds output held in memory */
#define POP3_LOGIN_TIMEOUT_MS (60 * 1000)     /* from connect to login */
#define POP3_IDLE_TIMEOUT_MS (10 * 60 * 1000) /* RFC 1939 section 3: at least 10 minutes */
#define POP3_LOGIN_TRIES_MAX 3

/* ---- LMTP and SMTP ---- */
#define SMTP_LINE_MAX	    1000 /* RFC 5321 section 4.5.3.1.4 says 512; extensions add to it */
#define SMTP_PATH_MAX	    256	 /* RFC 5321 section 4.5.3.1.3 */
#define SMTP_RECIPIENTS_MAX 100	 /* RFC 5321 section 4.5.3.1.8: at least 100 */
#define SMTP_BAD_COMMANDS_MAX 20
#define SMTP_COMMANDS_MAX   1000 /* between two messages; one of 100 recipients needs 104 */
#define SMTP_TIMEOUT_MS	    (5 * 60 * 1000) /* RFC 5321 section 4.5.3.2.7 */
#define SMTP_SESSION_MAX_MS (60 * 60 * 1000) /* else slow octets hold a slot for ever */
#define MESSAGE_OCTETS_MAX  (256ULL * 1024 * 1024) /* announced by SIZE; refused above */
#define DRAFT_MEMORY_MAX    (64 * 1024) /* a larger message goes to an unnamed file */
#define DELIVERY_WAIT_MS    30000	/* for a locked maildrop; then 451 */

/* ---- socketmap ---- */
#define SOCKETMAP_REQUEST_MAX 4096 /* Postfix takes no longer address line than 2048 octets */
#define SOCKETMAP_ANSWER_MAX  1000 /* a name, or a reason */
#define SOCKETMAP_TIMEOUT_MS  (5 * 60 * 1000) /* Postfix closes an idle one after seconds */

/* ---- store ---- */
#define FROM_LINE_MAX	   512		 /* octets of a From line of the own mbox, LF included */
#define MESSAGES_MAX	   4000000000ULL /* message numbers are 32-bit */
#define STORE_READ_OCTETS  (256 * 1024)	 /* one job's read; small enough to share the disk */
#define STORE_WRITE_OCTETS (128 * 1024)	/* collected for one write of a delivery */
#define WRITE_AGAIN_MAX (4 * 1024 * 1024) /* recovery rewrites at most this of an mbox's end */
#define JOURNAL_PIECE_OCTETS (1024 * 1024)	   /* data one step of a full-disk removal may log */
#define JOURNAL_LARGE_PIECE_OCTETS (4 * 1024 * 1024) /* the same where there is room */
#define JOURNAL_HEADER_OCTETS 4096		   /* more than any disk's atomic unit */

/* ---- server ---- */
#define WORKERS_MAX	   64
#define WORKER_NUMBERS	   (4 * WORKERS_MAX) /* old ones stay after a reload until they are empty */
#define LISTENERS_MAX	   32
#define CONFIG_OCTETS_MAX  (64 * 1024) /* of postern.conf */
#define CHANNEL_QUEUE_MAX  (2 * SESSIONS_MAX) /* a new auth is told of all sessions */
#define CONTROL_CLIENTS_MAX 16 /* of the control socket; root and the owner alone may use it */
#define ACCEPT_LATER_SESSIONS 256 /* for each so many a worker accepts a millisecond later, */
#define ACCEPT_LATER_MAX_MS 8	/* so that the emptier one is first; at most this much */
#define SESSIONS_MAX	   20000 /* a worker's; more are told [SYS/TEMP] and closed */
#define SLOTS_LMTP_SHARE   8 /* of a worker's: one in so many is for LMTP alone, */
#define SLOTS_LMTP_MIN	   8 /* at least this many, so that no stranger shuts out our MTA */
#define LOGIN_QUEUE_MAX	   1024	 /* logins that wait for a hash; more are told [SYS/TEMP] */
#define PENALTIES_MAX	   16384 /* addresses whose failed logins are remembered: 2 MiB */
#define PENALTY_FIRST_MS   2000	 /* how long an address that has failed waits for an answer; */
#define PENALTY_MAX_MS	   15000 /* doubled by each new guess up to this */
#define PENALTY_FORGET_MS  (15 * 60 * 1000)
#define PENALTY_HELD_MAX   8	 /* answers held back for one address, however many connections it has */
#define PENALIZED_MAX	   4096 /* answers held back at a time; more are [SYS/TEMP] at once */
#define PROBE_MS	   3000	 /* how long a session is probed when another login wants its maildrop */
#define PROBE_ANSWER_MS	   (PROBE_MS + 1500) /* a worker silent for longer hangs */
#define CONTEST_PATIENCE_MS 5000 /* a holder that yields closes its maildrop within this */
#define AUTH_ANSWER_MS	   60000 /* of auth: LOGIN_QUEUE_MAX hashes take less; then [SYS/TEMP] */
#define READY_MS	   10000 /* for a new worker of a reload; then the old ones go on */
#define DRAIN_MS	   30000 /* SIGTERM: how long a running answer may take */
#define DRAIN_AGAIN_MS 1000 /* a second SIGTERM after that ends everything at once */
#define CONNECTIONS_PER_ADDRESS 256 /* of a worker, unless the operator says another number */
#define OUTPUT_OCTETS_MAX  (64 * 1024) /* waiting for a slow peer, a connection */

/* ---- peers, for each worker: a server of N workers grants up to N times as much ---- */
#define PEER_CONNECTIONS_MAX 20 /* of one uid at an LMTP socket: `postern deliver` */
#define PEER_LOOKUPS_MAX     200 /* of one uid at a socketmap socket: a process of Postfix has one */
#define USER_MEGABYTES	     4096 /* handed in by one uid, unless the operator says another number: */
#define PEER_OCTETS_MS	     (60ULL * 60 * 1000) /* at once, and then within this time */
#define USER_MEGABYTES_MOST  (1024 * 1024)
#define PEER_USERS_MAX	     256 /* uids at a time */
#define TRUSTED_NETWORKS_MAX 32
#define TRUSTED_USERS_MAX    16
#define MESSAGE_OCTETS_LEAST 65536 /* RFC 5321 section 4.5.3.1.7: the lowest limit to be set */

#endif
