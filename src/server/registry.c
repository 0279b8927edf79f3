/*
 * registry: sessions in hash tables by (worker, session), by account, and by probe under way.
 *
 * Guarantees: a contestant is told exactly once, unless its worker was forgotten; memory that runs
 * out is answered with what is safe: the newcomer is refused. The tables are keyed with a random
 * number, so that no choice of account numbers makes them slow. Must not know sockets or locks.
 */
#include "server/registry.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

#define SLOTS_FIRST 64

/* ---- tables ---- */

struct node {
	struct node *next;
	uint64_t hash;
	struct entry *entry;
};

struct table {
	struct node **slots;
	size_t slot_count; /* a power of two, or 0 */
	size_t count;
};

static struct node **slot_of(const struct table *table, uint64_t hash)
{
	return &table->slots[hash & (table->slot_count - 1)];
}

/* Without memory for a bigger one the table stays as it is: slower, not wrong. */
static bool table_grow(struct table *table)
{
	size_t wanted = table->slot_count ? table->slot_count * 2 : SLOTS_FIRST;
	struct table bigger = {calloc(wanted, sizeof(struct node *)), wanted, table->count};
	if (!bigger.slots)
		return table->slot_count > 0;
	for (size_t i = 0; i < table->slot_count; i++) {
		struct node *next;
		for (struct node *node = table->slots[i]; node; node = next) {
			struct node **slot = slot_of(&bigger, node->hash);
			next = node->next;
			node->next = *slot;
			*slot = node;
		}
	}
	free(table->slots);
	*table = bigger;
	return true;
}

static bool table_make_room(struct table *table)
{
	return table->count < table->slot_count || table_grow(table);
}

/* After table_make_room(). */
static void table_add(struct table *table, struct node *node, uint64_t hash, struct entry *entry)
{
	struct node **slot = slot_of(table, hash);
	node->hash = hash;
	node->entry = entry;
	node->next = *slot;
	*slot = node;
	table->count++;
}

static void table_remove(struct table *table, struct node *node)
{
	struct node **at = slot_of(table, node->hash);
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	table->count--;
}

static struct node *table_first(const struct table *table, uint64_t hash)
{
	return table->slot_count ? *slot_of(table, hash) : NULL;
}

/* ---- the registry ---- */

struct waiting {
	struct waiting *next;
	struct contestant contestant;
	enum contest_outcome outcome; /* once it is known */
};

struct waiting_list {
	struct waiting *first;
	struct waiting **last_next; /* NULL stands for &first */
};

struct entry {
	struct node by_session, by_account, by_probe;
	size_t position; /* in registry->all */
	uint64_t age;    /* the newer, the higher */
	uint32_t worker;
	uint64_t probe; /* 0: no contest */
	uint64_t probe_end_ms;
	struct waiting_list waiting;
	struct message_session session;
};

struct registry {
	uint64_t key[2];
	uint64_t last_probe, last_age;
	struct table by_session, by_account, by_probe;
	struct entry **all;
	size_t count, capacity;
	struct waiting_list answers;
};

/* A keyed mix of two numbers in the manner of MurmurHash's finaliser. */
static uint64_t hash_of(const struct registry *registry, uint64_t a, uint64_t b)
{
	uint64_t mixed = registry->key[0];
	const uint64_t parts[] = {a, b, registry->key[1]};
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		mixed ^= parts[i];
		mixed *= 0xff51afd7ed558ccdULL;
		mixed ^= mixed >> 32;
	}
	return mixed;
}

static void list_append(struct waiting_list *list, struct waiting *waiting)
{
	struct waiting **end = list->last_next ? list->last_next : &list->first;
	waiting->next = NULL;
	*end = waiting;
	list->last_next = &waiting->next;
}

static struct waiting *list_take(struct waiting_list *list)
{
	struct waiting *first = list->first;
	if (first) {
		list->first = first->next;
		if (!list->first)
			list->last_next = NULL;
	}
	return first;
}

static void list_free(struct waiting_list *list)
{
	struct waiting *waiting;
	while ((waiting = list_take(list)))
		free(waiting);
}

static void list_forget_worker(struct waiting_list *list, uint32_t worker)
{
	struct waiting_list kept = {0};
	struct waiting *waiting;
	while ((waiting = list_take(list))) {
		if (waiting->contestant.worker == worker)
			free(waiting);
		else
			list_append(&kept, waiting);
	}
	*list = kept; /* last_next lies in a node, or is NULL */
}

struct registry *registry_new(void)
{
	struct registry *registry = calloc(1, sizeof(*registry));
	if (!registry)
		return NULL;
	random_octets(registry->key, sizeof(registry->key));
	/* A worker may answer what an auth before us has asked: no number is used twice. */
	random_octets(&registry->last_probe, sizeof(registry->last_probe));
	registry->last_probe >>= 8;
	return registry;
}

void registry_free(struct registry *registry)
{
	if (!registry)
		return;
	for (size_t i = 0; i < registry->count; i++) {
		list_free(&registry->all[i]->waiting);
		free(registry->all[i]);
	}
	list_free(&registry->answers);
	free(registry->all);
	free(registry->by_session.slots);
	free(registry->by_account.slots);
	free(registry->by_probe.slots);
	free(registry);
}

/* ---- sessions ---- */

static struct entry *find_session(const struct registry *registry, uint32_t worker,
				  uint64_t session)
{
	uint64_t hash = hash_of(registry, worker, session);
	for (struct node *node = table_first(&registry->by_session, hash); node; node = node->next)
		if (node->entry->worker == worker && node->entry->session.session == session)
			return node->entry;
	return NULL;
}

/* The newest one that was announced: while a maildrop changes hands two sessions may claim it, and
 * the newer has the lock. */
static struct entry *find_account(const struct registry *registry, uint64_t account)
{
	uint64_t hash = hash_of(registry, account, 0);
	struct entry *newest = NULL;
	for (struct node *node = table_first(&registry->by_account, hash); node; node = node->next)
		if (node->entry->session.account == account &&
		    (!newest || node->entry->age > newest->age))
			newest = node->entry;
	return newest;
}

static bool make_room(struct registry *registry)
{
	if (registry->count == registry->capacity) {
		size_t wanted = registry->capacity ? registry->capacity * 2 : SLOTS_FIRST;
		struct entry **bigger = realloc(registry->all, wanted * sizeof(*bigger));
		if (!bigger)
			return false;
		registry->all = bigger;
		registry->capacity = wanted;
	}
	return table_make_room(&registry->by_session) && table_make_room(&registry->by_account);
}

bool registry_open(struct registry *registry, uint32_t worker,
		   const struct message_session *session)
{
	if (find_session(registry, worker, session->session) || !make_room(registry))
		return false;
	struct entry *entry = calloc(1, sizeof(*entry));
	if (!entry)
		return false;
	entry->worker = worker;
	entry->session = *session;
	entry->age = ++registry->last_age;
	entry->position = registry->count;
	registry->all[registry->count++] = entry;
	table_add(&registry->by_session, &entry->by_session,
		  hash_of(registry, worker, session->session), entry);
	table_add(&registry->by_account, &entry->by_account, hash_of(registry, session->account, 0),
		  entry);
	return true;
}

static void end_contest(struct registry *registry, struct entry *entry,
			enum contest_outcome outcome)
{
	struct waiting *waiting;
	if (entry->probe == 0)
		return;
	table_remove(&registry->by_probe, &entry->by_probe);
	entry->probe = 0;
	while ((waiting = list_take(&entry->waiting))) {
		waiting->outcome = outcome;
		list_append(&registry->answers, waiting);
	}
}

static void remove_entry(struct registry *registry, struct entry *entry)
{
	end_contest(registry, entry, CONTEST_FREE);
	table_remove(&registry->by_session, &entry->by_session);
	table_remove(&registry->by_account, &entry->by_account);
	registry->all[entry->position] = registry->all[--registry->count];
	registry->all[entry->position]->position = entry->position;
	free(entry);
}

void registry_close(struct registry *registry, uint32_t worker, uint64_t session)
{
	struct entry *entry = find_session(registry, worker, session);
	if (entry)
		remove_entry(registry, entry);
}

void registry_forget_worker(struct registry *registry, uint32_t worker)
{
	for (size_t i = registry->count; i > 0; i--) {
		struct entry *entry = registry->all[i - 1];
		list_forget_worker(&entry->waiting, worker);
		if (entry->worker == worker)
			remove_entry(registry, entry);
	}
	list_forget_worker(&registry->answers, worker);
}

bool registry_next_session(const struct registry *registry, size_t *cursor,
			   struct message_status_session *session_out)
{
	if (*cursor >= registry->count)
		return false;
	const struct entry *entry = registry->all[(*cursor)++];
	const struct message_session *session = &entry->session;
	message_init(session_out, MESSAGE_STATUS_SESSION, 0);
	session_out->session = session->session;
	session_out->account = session->account;
	session_out->worker = entry->worker;
	session_out->tls = session->tls;
	session_out->since_unix_seconds = session->since_unix_seconds;
	memcpy(session_out->peer, session->peer, sizeof(session_out->peer));
	memcpy(session_out->name, session->name, sizeof(session_out->name));
	return true;
}

size_t registry_count(const struct registry *registry)
{
	return registry->count;
}

/* ---- contests ---- */

enum registry_contest registry_contest(struct registry *registry, uint64_t account,
				       struct contestant newcomer, uint64_t end_ms,
				       uint32_t *worker_out, uint64_t *session_out,
				       uint64_t *probe_out)
{
	struct entry *entry = find_account(registry, account);
	if (!entry || !table_make_room(&registry->by_probe))
		return REGISTRY_NOBODY;
	struct waiting *waiting = calloc(1, sizeof(*waiting));
	if (!waiting)
		return REGISTRY_NOBODY;
	waiting->contestant = newcomer;
	list_append(&entry->waiting, waiting);
	if (entry->probe != 0)
		return REGISTRY_JOINED;
	entry->probe = ++registry->last_probe;
	entry->probe_end_ms = end_ms;
	table_add(&registry->by_probe, &entry->by_probe, hash_of(registry, entry->probe, 0), entry);
	*worker_out = entry->worker;
	*session_out = entry->session.session;
	*probe_out = entry->probe;
	return REGISTRY_ASK;
}

/* An answer to a contest that is over, or from a worker that was not asked, is nobody's. */
void registry_probed(struct registry *registry, uint32_t worker, uint64_t probe,
		     enum contest_outcome outcome)
{
	uint64_t hash = hash_of(registry, probe, 0);
	for (struct node *node = table_first(&registry->by_probe, hash); node; node = node->next) {
		if (node->entry->probe == probe && node->entry->worker == worker) {
			end_contest(registry, node->entry, outcome);
			return;
		}
	}
}

/* The table is as large as the most contests there ever were at a time, and looked through only
 * while there are some. */
bool registry_expire(struct registry *registry, uint64_t now_ms)
{
	struct table *table = &registry->by_probe;
	for (size_t i = 0; i < table->slot_count && table->count > 0; i++) {
		struct node *next;
		for (struct node *node = table->slots[i]; node; node = next) {
			next = node->next;
			if (node->entry->probe_end_ms <= now_ms)
				end_contest(registry, node->entry, CONTEST_ALIVE);
		}
	}
	return table->count > 0;
}

bool registry_next_answer(struct registry *registry, struct contestant *contestant_out,
			  enum contest_outcome *outcome_out)
{
	struct waiting *waiting = list_take(&registry->answers);
	if (!waiting)
		return false;
	*contestant_out = waiting->contestant;
	*outcome_out = waiting->outcome;
	free(waiting);
	return true;
}
