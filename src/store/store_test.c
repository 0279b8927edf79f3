/*
 * store_test: what every kind of store must do, as rows that run over each of them.
 */
#include "store/test_scene.h"

static const enum store_kind kinds[] = {STORE_MEMORY, STORE_MBOX, STORE_MAILDIR,
					 STORE_SPOOL};

static void each_kind(void (*test)(struct scene *scene))
{
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct scene scene;
		test_row(store_kind_name(kinds[i]));
		scene_begin(&scene, kinds[i]);
		test(&scene);
		scene_end(&scene);
	}
}

/* ---- what goes in comes out ---- */

static const struct {
	struct bytes in, out;
} shapes[] = {
	{BYTES(""), BYTES("")},
	{BYTES("\n"), BYTES("\n")},
	{BYTES("x"), BYTES("x\n")},
	{BYTES("Subject: a\n\nbody\n"), BYTES("Subject: a\n\nbody\n")},
	{BYTES("From the start\n"), BYTES("From the start\n")},
	{BYTES("a\nFrom here\n>From there\n>>From >From\n> From\n>>\nFrom"),
	 BYTES("a\nFrom here\n>From there\n>>From >From\n> From\n>>\nFrom\n")},
	{BYTES("From postern=1 line=00000000\n"), BYTES("From postern=1 line=00000000\n")},
	{BYTES(".\n..\n.x\n"), BYTES(".\n..\n.x\n")},
	{BYTES("nul\0in\0line\n"), BYTES("nul\0in\0line\n")},
	{BYTES("bare\rcr\r\r\n\r\n"), BYTES("bare\rcr\r\r\n\r\n")},
	{BYTES("\xff\xfe\x80 8 bit\n"), BYTES("\xff\xfe\x80 8 bit\n")},
	{BYTES("\n\n\n"), BYTES("\n\n\n")},
	{BYTES(">"), BYTES(">\n")},
};

static void deliver_shapes(struct scene *scene)
{
	size_t count = sizeof shapes / sizeof shapes[0];
	for (size_t i = 0; i < count; i++)
		scene_deliver(scene, shapes[i].in);
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, count);
	for (size_t i = 0; i < count; i++)
		scene_expect(maildrop, (uint32_t)i + 1, shapes[i].out);
	maildrop_close(maildrop);
}

static void deliver_large(struct scene *scene)
{
	static const size_t lengths[] = {DRAFT_MEMORY_MAX - 1, DRAFT_MEMORY_MAX,
					 DRAFT_MEMORY_MAX + 1, 131072, 3000001};
	for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
		char *text = malloc(lengths[i]);
		assert_non_null(text);
		for (size_t at = 0; at < lengths[i]; at++)
			text[at] = at % 61 == 60 ? '\n' : ">From x"[at % 61 % 7];
		text[lengths[i] - 1] = '\n';
		scene_deliver(scene, (struct bytes){text, lengths[i]});
		struct maildrop *maildrop = scene_open(scene);
		scene_expect(maildrop, (uint32_t)i + 1, (struct bytes){text, lengths[i]});
		maildrop_close(maildrop);
		free(text);
	}
}

static void deliver_with_headers(struct scene *scene)
{
	struct bytes headers = BYTES("Return-Path: <a@b>\nDelivered-To: c@d\n");
	assert_int_equal(
		scene_try_deliver(scene, BYTES("Subject: x\n\nFrom y\n"), headers, "", true),
		STORE_OK);
	struct maildrop *maildrop = scene_open(scene);
	scene_expect(maildrop, 1,
		     BYTES("Return-Path: <a@b>\nDelivered-To: c@d\nSubject: x\n\nFrom y\n"));
	maildrop_close(maildrop);
}

static void deliver_several_at_once(struct scene *scene)
{
	struct error error = {0};
	struct delivery *delivery;
	struct draft *drafts[] = {scene_draft(scene, BYTES("one\n")),
				  scene_draft(scene, BYTES("two\n"))};
	struct delivery_request requests[] = {{.draft = drafts[0], .uid = BYTES("first")},
					      {.draft = drafts[1]}};
	assert_int_equal(
		delivery_prepare(&scene->root, &scene->place, requests, 2, &delivery, &error),
		STORE_OK);
	test_equal_bytes(delivery_uid(delivery, 0), BYTES("first"));
	assert_in_range(delivery_uid(delivery, 1).length, 32, UID_MAX);
	assert_int_equal(delivery_finish(delivery, true, &error), STORE_OK);
	draft_free(drafts[0]);
	draft_free(drafts[1]);
	struct maildrop *maildrop = scene_open(scene);
	assert_string_equal(scene_entry(maildrop, 1).uid, "first");
	scene_expect(maildrop, 2, BYTES("two\n"));
	maildrop_close(maildrop);
}

/* ---- locks and snapshots ---- */

static void one_session_at_a_time(struct scene *scene)
{
	struct error error = {0};
	struct maildrop *other = NULL;
	scene_deliver(scene, BYTES("a\n"));
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_open(&scene->root, &scene->place, STORE_SESSION, &other, &error),
			 STORE_LOCKED);
	assert_int_equal(error.code, ERROR_IN_USE);
	assert_int_equal(maildrop_open(&scene->root, &scene->place, STORE_PEEK, &other, &error),
			 STORE_OK);
	scene_expect(other, 1, BYTES("a\n"));
	maildrop_close(other);
	maildrop_close(maildrop);
	maildrop_close(scene_open(scene));
}

static void a_session_sees_what_was_there(struct scene *scene)
{
	scene_deliver(scene, BYTES("a\n"));
	struct maildrop *maildrop = scene_open(scene);
	scene_deliver(scene, BYTES("b\n"));
	assert_int_equal(maildrop_summary(maildrop).messages, 1);
	assert_int_equal(maildrop_summary(maildrop).octets, 3);
	scene_expect(maildrop, 1, BYTES("a\n"));
	maildrop_close(maildrop);
	maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 2);
	maildrop_close(maildrop);
}

static void a_delivery_excludes_others(struct scene *scene)
{
	struct error error = {0};
	struct delivery *delivery;
	struct maildrop *maildrop;
	struct draft *draft = scene_draft(scene, BYTES("a\n"));
	struct delivery_request request = {.draft = draft};
	assert_int_equal(
		delivery_prepare(&scene->root, &scene->place, &request, 1, &delivery, &error),
		STORE_OK);
	assert_int_equal(scene_try_deliver(scene, BYTES("b\n"), (struct bytes){0}, "", true),
			 STORE_AGAIN);
	assert_int_equal(
		maildrop_open(&scene->root, &scene->place, STORE_SESSION, &maildrop, &error),
		STORE_AGAIN);
	assert_int_equal(delivery_finish(delivery, false, &error), STORE_OK);
	draft_free(draft);
	maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 0);
	maildrop_close(maildrop);
}

static void a_unique_id_is_never_given_twice(struct scene *scene)
{
	struct bytes none = {0};
	assert_int_equal(scene_try_deliver(scene, BYTES("a\n"), none, "id-1", true), STORE_OK);
	assert_int_equal(scene_try_deliver(scene, BYTES("b\n"), none, "id-1", true), STORE_EXISTS);
	assert_int_equal(scene_try_deliver(scene, BYTES("c\n"), none, "id-2", true), STORE_OK);
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 2);
	assert_string_equal(scene_entry(maildrop, 2).uid, "id-2");
	maildrop_close(maildrop);
}

/* ---- removing ---- */

#define MESSAGES 5

static struct bytes numbered(uint32_t number, char room[64])
{
	int length = snprintf(room, 64, "Subject: %u\n\nFrom %.*s\n", number, (int)number * 3,
			      "aaaaaaaaaaaaaaaaaaaaa");
	return (struct bytes){room, (size_t)length};
}

static void remove_subset(struct scene *scene, unsigned subset, bool delivery_between)
{
	struct error error = {0};
	char room[64], uids[MESSAGES + 1][UID_MAX + 1];
	uint8_t deleted = (uint8_t)subset;
	uint32_t left = 0;
	for (uint32_t i = 0; i < MESSAGES; i++)
		scene_deliver(scene, numbered(i, room));
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, MESSAGES);
	for (uint32_t i = 0; i < MESSAGES; i++)
		memcpy(uids[i], scene_entry(maildrop, i + 1).uid, UID_MAX + 1);
	if (delivery_between)
		scene_deliver(scene, numbered(MESSAGES, room));
	assert_int_equal(maildrop_update(maildrop, &deleted, &error), STORE_OK);
	maildrop_close(maildrop);
	maildrop = scene_open(scene);
	for (uint32_t i = 0; i < MESSAGES + (delivery_between ? 1 : 0); i++) {
		if (i < MESSAGES && (subset >> i & 1) != 0)
			continue;
		left++;
		scene_expect(maildrop, left, numbered(i, room));
		if (i < MESSAGES)
			assert_string_equal(scene_entry(maildrop, left).uid, uids[i]);
	}
	assert_int_equal(maildrop_summary(maildrop).messages, left);
	deleted = 0xff;
	if (left > 0)
		assert_int_equal(maildrop_update(maildrop, &deleted, &error), STORE_OK);
	maildrop_close(maildrop);
}

static void remove_every_subset(struct scene *scene)
{
	for (unsigned subset = 0; subset < 1 << MESSAGES; subset++) {
		remove_subset(scene, subset, false);
		remove_subset(scene, subset, true);
	}
}

static void closing_deletes_nothing(struct scene *scene)
{
	struct error error = {0};
	scene_deliver(scene, BYTES("a\n"));
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_update(maildrop, NULL, &error), STORE_OK);
	maildrop_close(maildrop);
	maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 1);
	maildrop_close(maildrop);
}

static void a_retired_place_is_refused(struct scene *scene)
{
	struct error error = {0};
	struct maildrop *maildrop;
	scene_deliver(scene, BYTES("a\n"));
	if (scene->place.kind == STORE_MEMORY)
		return; /* its generations live in the process, there is no other to refuse */
	assert_int_equal(store_retire(&scene->root, &scene->place, STORE_ERASE, &error), STORE_OK);
	assert_int_equal(maildrop_open(&scene->root, &scene->place, 0, &maildrop, &error),
			 STORE_CHANGED);
	assert_int_equal(scene_try_deliver(scene, BYTES("b\n"), (struct bytes){0}, "", true),
			 STORE_CHANGED);
	scene->place.generation++;
	maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 0);
	maildrop_close(maildrop);
}

/* ---- quotas, held locks ---- */

/* Messages of 12 octets with CRLF. */
static const struct {
	const char *name;
	uint64_t octets_max;
	uint32_t messages_max;
	uint32_t there; /* messages before the one that is tried */
	enum store_result result;
	enum error_code code;
} quotas[] = {
	{"none", 0, 0, 3, STORE_OK, ERROR_NONE},
	{"messages below", 0, 4, 2, STORE_OK, ERROR_NONE},
	{"messages at", 0, 3, 2, STORE_OK, ERROR_NONE},
	{"messages above", 0, 2, 2, STORE_FULL, ERROR_QUOTA},
	{"octets below", 37, 0, 2, STORE_OK, ERROR_NONE},
	{"octets at", 36, 0, 2, STORE_OK, ERROR_NONE},
	{"octets above", 35, 0, 2, STORE_FULL, ERROR_QUOTA},
	{"one message is all", 12, 0, 0, STORE_OK, ERROR_NONE},
	{"one message is too much", 11, 0, 0, STORE_FULL, ERROR_TOO_LARGE},
};

static void a_quota_is_kept(struct scene *scene)
{
	struct draft *draft = scene_draft(scene, BYTES("Subject: x\n"));
	struct delivery_request request = {.draft = draft};
	for (size_t i = 0; i < sizeof quotas / sizeof *quotas; i++) {
		struct error error = {0};
		struct delivery *delivery;
		test_row(quotas[i].name);
		scene->place.account += 1000;
		snprintf(scene->place.path, sizeof scene->place.path, "example.org/%zu", i);
		scene->place.messages_max = 0;
		scene->place.octets_max = 0;
		for (uint32_t k = 0; k < quotas[i].there; k++)
			scene_deliver(scene, BYTES("Subject: x\n"));
		scene->place.messages_max = quotas[i].messages_max;
		scene->place.octets_max = quotas[i].octets_max;
		test_check(delivery_prepare(&scene->root, &scene->place, &request, 1, &delivery,
					    &error) == quotas[i].result);
		test_check(error.code == quotas[i].code);
		if (quotas[i].result == STORE_OK)
			test_check(delivery_finish(delivery, true, &error) == STORE_OK);
	}
	draft_free(draft);
}

/* One change may span several calls: they find the lock taken, nobody else gets it. */
static void a_held_lock_is_kept(struct scene *scene)
{
	struct error error = {0};
	struct store_hold hold;
	struct store_root holding = scene->root;
	struct scene inside = *scene;
	if (scene->place.kind == STORE_MEMORY)
		return; /* it has no lock file */
	assert_int_equal(store_hold(&scene->root, &scene->place, &hold, &error), STORE_OK);
	holding.held = &hold;
	inside.root = holding;
	for (int i = 0; i < 2; i++) {
		scene_deliver(&inside, BYTES("a\n"));
		maildrop_close(scene_open(&inside));
		assert_int_equal(
			scene_try_deliver(scene, BYTES("b\n"), (struct bytes){0}, "", true),
			STORE_AGAIN);
	}
	store_unhold(&hold);
	scene_deliver(scene, BYTES("c\n"));
	struct maildrop *maildrop = scene_open(scene);
	assert_int_equal(maildrop_summary(maildrop).messages, 3);
	maildrop_close(maildrop);
}

#define EACH_KIND(name)                                                                            \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		each_kind(name);                                                                   \
	}

EACH_KIND(deliver_shapes)
EACH_KIND(deliver_large)
EACH_KIND(deliver_with_headers)
EACH_KIND(deliver_several_at_once)
EACH_KIND(one_session_at_a_time)
EACH_KIND(a_session_sees_what_was_there)
EACH_KIND(a_delivery_excludes_others)
EACH_KIND(a_unique_id_is_never_given_twice)
EACH_KIND(remove_every_subset)
EACH_KIND(closing_deletes_nothing)
EACH_KIND(a_retired_place_is_refused)
EACH_KIND(a_quota_is_kept)
EACH_KIND(a_held_lock_is_kept)

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_deliver_shapes),
	cmocka_unit_test(test_deliver_large),
	cmocka_unit_test(test_deliver_with_headers),
	cmocka_unit_test(test_deliver_several_at_once),
	cmocka_unit_test(test_one_session_at_a_time),
	cmocka_unit_test(test_a_session_sees_what_was_there),
	cmocka_unit_test(test_a_delivery_excludes_others),
	cmocka_unit_test(test_a_unique_id_is_never_given_twice),
	cmocka_unit_test(test_remove_every_subset),
	cmocka_unit_test(test_closing_deletes_nothing),
	cmocka_unit_test(test_a_retired_place_is_refused),
	cmocka_unit_test(test_a_quota_is_kept),
	cmocka_unit_test(test_a_held_lock_is_kept),
};

TEST_MAIN(tests)
