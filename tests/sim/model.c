/*
 * model: the messages, and what must become of them.
 */
#include "model.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim_inode.h"

static struct message messages[MODEL_MESSAGES];

static const struct {
	const char *headers, *body;
} texts[MODEL_MESSAGES] = {
	{"Received: by 0\n", "Subject: plain\n\nHello.\n"},
	{"", "Subject: quoting\n\nFrom here\n>From there\n>>From \nFrom\n From x\n"},
	{"Received: by 2\n", "Subject: no end of line\n\nthe end"},
	{"Received: by 3, and no body\n", ""},
	{"", "Subject: a record in a message\n\n\nFrom a@b.c Sun Nov 22 02:01:00 2026 postern=1 "
	     "length=3 quoted=0 content=00000000 uid=x line=00000000\nabc\n\n"},
	{"Received: by 5\n", NULL}, /* large, see below */
	{"", "Subject: dots\n\n.\n..\n\n\n\n"},
	{"Received: by 7\nDelivered-To: x\n", "\n\n"},
	{"", "Subject: eight\n\n\303\251\377\200\n"},
	{"Received: by 9\n", NULL}, /* longer than a sector */
	{"Received: by 10\n",
	 "Subject: fresh\n\nafter a quiet\n"}, /* as long as the first fresh one */
	{"Received: by 11\n", NULL},
	{"Received: by 12\n", "Subject: fresh\n\nafter a crash\n"},
	{"Received: by 13\n", "Subject: fresh again\n\nafter another\nFrom it\n"},
	{"Received: by 14\n", "Subject: and again\n\nafter a third\n"},
	{"Received: by 15\n", "Subject: and again\n\nafter a fourth\n"},
};

/* Lines of different lengths, with a NUL in some. */
static char *make_body(size_t number, size_t length)
{
	char *body = sim_allocate(length);

	for (size_t i = 0; i < length; i++)
		body[i] = i % (40 + number) == 39 ? '\n' : (char)('0' + (i * 7 + number) % 75);
	body[length / 2] = '\0';
	memcpy(body + length / 3, "\nFrom \n", 7);
	return body;
}

static void make_message(size_t number)
{
	struct message *message = &messages[number];
	size_t large = number == MODEL_LARGE ? 9000 : 1500;
	const char *text = texts[number].body;
	bool made = text == NULL;

	message->headers = bytes_of(texts[number].headers);
	message->body = made ? (struct bytes){make_body(number, large), large} : bytes_of(text);
	size_t length = message->headers.length + message->body.length;
	char *stored = sim_allocate(length + 1);

	memcpy(stored, message->headers.data, message->headers.length);
	memcpy(stored + message->headers.length, message->body.data, message->body.length);
	if (message->body.length > 0 && stored[length - 1] != '\n')
		stored[length++] = '\n';
	message->stored = (struct bytes){stored, length};
	message->wire_octets = length;
	for (size_t i = 0; i < length; i++)
		message->wire_octets += stored[i] == '\n';
}

void model_make_messages(void)
{
	for (size_t i = 0; i < MODEL_MESSAGES; i++)
		make_message(i);
}

void model_free_messages(void)
{
	for (size_t i = 0; i < MODEL_MESSAGES; i++) {
		free((void *)(uintptr_t)messages[i].stored.data);
		if (texts[i].body == NULL)
			free((void *)(uintptr_t)messages[i].body.data);
	}
}

const struct message *model_message(size_t number)
{
	assert(number < MODEL_MESSAGES);
	return &messages[number];
}

struct model_entry *model_add(struct model *model, size_t drop, size_t message)
{
	struct model_drop *to = &model->drops[drop];

	assert(drop < model->drops_count && to->count < MODEL_ENTRIES_MAX);
	struct model_entry *entry = &to->entries[to->count++];

	*entry = (struct model_entry){.message = message, .now = MAYBE, .after_cut = MAYBE};
	return entry;
}

struct model_entry *model_move_to_end(struct model_drop *drop, struct model_entry *entry)
{
	struct model_entry moved = *entry, *last = &drop->entries[drop->count - 1];

	memmove(entry, entry + 1, (size_t)(last - entry) * sizeof(*entry));
	*last = moved;
	last->again = true;
	return last;
}

void model_cut(struct model *model)
{
	for (size_t drop = 0; drop < model->drops_count; drop++)
		for (size_t i = 0; i < model->drops[drop].count; i++)
			model->drops[drop].entries[i].now = model->drops[drop].entries[i].after_cut;
}

static uint64_t digest_entry(const struct model_entry *entry, bool power_cut)
{
	uint64_t states = (power_cut ? 0 : entry->now * 3) + entry->after_cut;

	return sim_mix(sim_hash(entry->message, entry->uid, strlen(entry->uid)), states);
}

uint64_t model_digest(const struct model *model, bool power_cut)
{
	uint64_t sum = power_cut;

	for (size_t drop = 0; drop < model->drops_count; drop++) {
		sum = sim_mix(sum, drop);
		for (size_t i = 0; i < model->drops[drop].count; i++)
			sum = sim_mix(sum, digest_entry(&model->drops[drop].entries[i], power_cut));
	}
	return sum;
}

void model_begin(struct model_drop *drop)
{
	for (size_t i = 0; i < drop->count; i++)
		drop->entries[i].seen = false;
}

static struct model_entry *find(struct model_drop *drop, struct bytes stored)
{
	for (size_t i = 0; i < drop->count; i++)
		if (bytes_equal(messages[drop->entries[i].message].stored, stored))
			return &drop->entries[i];
	return NULL;
}

static bool uid_valid(const char *uid)
{
	size_t length = strlen(uid);

	for (size_t i = 0; i < length; i++)
		if (uid[i] < 0x21 || uid[i] > 0x7E)
			return false;
	return length >= 1 && length <= UID_MAX;
}

static bool uid_of_another(const struct model_drop *drop, const struct model_entry *entry,
			   const char *uid)
{
	for (size_t i = 0; i < drop->count; i++)
		if (&drop->entries[i] != entry && strcmp(drop->entries[i].uid, uid) == 0)
			return true;
	return false;
}

/* Of messages that nobody was told of, a later one may have come to lie before an earlier one. */
static bool seen_behind(const struct model_drop *drop, const struct model_entry *entry)
{
	if (entry->now != PRESENT || entry->again)
		return false;
	for (entry++; entry < drop->entries + drop->count; entry++)
		if (entry->seen && entry->now == PRESENT && !entry->again)
			return true;
	return false;
}

const char *model_see(struct model_drop *drop, struct bytes stored, uint64_t octets,
		      const char *uid, struct model_entry **entry_out)
{
	struct model_entry *entry = find(drop, stored);

	*entry_out = entry;
	if (entry == NULL)
		return "a message that nobody has sent, or a part of one";
	if (entry->seen)
		return "a message is there twice";
	if (entry->now == ABSENT)
		return "a message is there that must be gone";
	if (seen_behind(drop, entry))
		return "the messages are in another order";
	if (octets != messages[entry->message].wire_octets)
		return "the octets of a message are wrong";
	if (!uid_valid(uid))
		return "a unique-id is malformed";
	if (entry->uid[0] != '\0' && strcmp(entry->uid, uid) != 0)
		return "the unique-id of a message has changed";
	if (uid_of_another(drop, entry, uid))
		return "a unique-id belongs to two messages";
	memcpy(entry->uid, uid, strlen(uid) + 1);
	entry->seen = true;
	return NULL;
}

const char *model_end(struct model_drop *drop, bool settled)
{
	for (size_t i = 0; i < drop->count; i++) {
		struct model_entry *entry = &drop->entries[i];

		if (!entry->seen && entry->now == PRESENT)
			return "a message is lost";
		if (entry->now == MAYBE)
			entry->now = entry->seen ? PRESENT : ABSENT;
		if (settled && entry->after_cut == MAYBE)
			entry->after_cut = entry->now;
	}
	return NULL;
}
