/*
 * batch: a message to several maildrops, some of them held, moved or copies of one another.
 */
#include "server/batch.h"

#include "base/test.h"

#define RECIPIENTS_MAX 4

struct row {
	const char *name;
	uint64_t accounts[RECIPIENTS_MAX]; /* 0 ends */
	uint64_t held;                     /* another delivery has this account */
	uint64_t retired;                  /* this account's place is out of date */
	uint64_t small;                    /* this account may hold less than the message */
	uint64_t full;                     /* this one may hold no more than it does */
	uint64_t gone;                     /* the caller knows already that this one is no more */
	uint32_t fails;                    /* which commit does, from 1 */
	bool last_try, all_or_nothing;
	enum batch_result result;
	enum error_code outcomes[RECIPIENTS_MAX]; /* with DONE */
	uint32_t delivered;                       /* messages in all maildrops together */
};

#define ALL .all_or_nothing = true

static const struct row rows[] = {
	{.name = "one",
	 .accounts = {1},
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NONE},
	 .delivered = 1},
	{.name = "two, not in order",
	 .accounts = {3, 2},
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NONE},
	 .delivered = 2},
	{.name = "twice the same",
	 .accounts = {5, 4, 5},
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NONE},
	 .delivered = 2},
	{.name = "the first is held",
	 .accounts = {6, 7},
	 .held = 6,
	 .result = BATCH_AGAIN,
	 .outcomes = {ERROR_NONE},
	 .delivered = 0},
	{.name = "the last is held",
	 .accounts = {8, 9},
	 .held = 9,
	 .result = BATCH_AGAIN,
	 .outcomes = {ERROR_NONE},
	 .delivered = 0},
	{.name = "held to the end",
	 .accounts = {10, 11, 11},
	 .held = 11,
	 .last_try = true,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NONE, ERROR_TEMPORARY, ERROR_TEMPORARY},
	 .delivered = 1},
	{.name = "held to the end, all or nothing",
	 .accounts = {12, 13},
	 .held = 13,
	 .last_try = true,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_TEMPORARY, ERROR_TEMPORARY},
	 .delivered = 0},
	{.name = "moved",
	 .accounts = {14, 15},
	 .retired = 15,
	 .result = BATCH_CHANGED,
	 .outcomes = {ERROR_NONE},
	 .delivered = 0},
	{.name = "moved again and again",
	 .accounts = {16, 17},
	 .retired = 17,
	 .last_try = true,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NONE, ERROR_TEMPORARY},
	 .delivered = 1},
	{.name = "too large for one",
	 .accounts = {20, 21},
	 .small = 20,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_TOO_LARGE, ERROR_NONE},
	 .delivered = 1},
	{.name = "too large for one, all or nothing",
	 .accounts = {22, 23},
	 .small = 23,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_TOO_LARGE, ERROR_TOO_LARGE},
	 .delivered = 0},
	{.name = "no room for one",
	 .accounts = {24, 25},
	 .full = 25,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NONE, ERROR_QUOTA},
	 .delivered = 2},
	{.name = "no room for one, all or nothing",
	 .accounts = {26, 27},
	 .full = 27,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_QUOTA, ERROR_QUOTA},
	 .delivered = 1},
	{.name = "what may pass goes before what will not",
	 .accounts = {28, 29, 30},
	 .small = 28,
	 .full = 30,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_TOO_LARGE, ERROR_QUOTA, ERROR_QUOTA},
	 .delivered = 1},
	{.name = "one is no more",
	 .accounts = {31, 32},
	 .gone = 31,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NO_USER, ERROR_NONE},
	 .delivered = 1},
	{.name = "one is no more, all or nothing",
	 .accounts = {33, 34},
	 .gone = 34,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NO_USER, ERROR_NO_USER},
	 .delivered = 0},
	{.name = "one is no more, another is held, all or nothing",
	 .accounts = {35, 36},
	 .gone = 35,
	 .held = 36,
	 .last_try = true,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NO_USER, ERROR_TEMPORARY},
	 .delivered = 0},
	{.name = "the second commit fails",
	 .accounts = {40, 41, 42},
	 .fails = 2,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_NONE, ERROR_IO, ERROR_NONE},
	 .delivered = 2},
	{.name = "the second commit fails, all or nothing: the first has it already",
	 .accounts = {43, 44, 45, 43},
	 .fails = 2,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_IO, ERROR_IO, ERROR_IO, ERROR_IO},
	 .delivered = 1},
	{.name = "the first commit fails, all or nothing",
	 .accounts = {47, 46},
	 .fails = 1,
	 ALL,
	 .result = BATCH_DONE,
	 .outcomes = {ERROR_IO, ERROR_IO},
	 .delivered = 0},
};

/* ---- a commit that fails ---- */

static uint32_t commits_left; /* until one fails; 0: none does */

enum store_result __real_delivery_finish(struct delivery *delivery, bool commit,
					 struct error *error);
enum store_result __wrap_delivery_finish(struct delivery *delivery, bool commit,
					 struct error *error);

enum store_result __wrap_delivery_finish(struct delivery *delivery, bool commit,
					 struct error *error)
{
	bool fails = commit && commits_left > 0 && --commits_left == 0;
	enum store_result result = __real_delivery_finish(delivery, commit && !fails, error);

	if (!fails)
		return result;
	error_set(error, ERROR_IO, "the disk failed");
	return STORE_IO;
}

static struct place place_of(uint64_t account)
{
	struct place place = {.account = account, .generation = 1, .kind = STORE_MBOX};

	(void)snprintf(place.path, sizeof(place.path), "user%llu", (unsigned long long)account);
	return place;
}

static struct draft *make_draft(const char *text)
{
	struct draft *draft = draft_new(NULL, 1000);
	struct error error;

	test_check(draft != NULL);
	test_check(draft_write(draft, bytes_of(text), &error) == ERROR_NONE);
	return draft;
}

static uint32_t messages_in(const struct store_root *root, uint64_t account)
{
	struct place place = place_of(account);
	struct maildrop *maildrop;
	struct error error;
	uint32_t count;

	if (maildrop_open(root, &place, STORE_PEEK, &maildrop, &error) != STORE_OK)
		return 0;
	count = maildrop_summary(maildrop).messages;
	maildrop_close(maildrop);
	return count;
}

static struct delivery *hold(const struct store_root *root, uint64_t account,
			     const struct draft *draft)
{
	struct place place = place_of(account);
	struct delivery_request request = {.draft = draft};
	struct delivery *delivery = NULL;
	struct error error;

	if (account == 0)
		return NULL;
	test_check(delivery_prepare(root, &place, &request, 1, &delivery, &error) == STORE_OK);
	return delivery;
}

static void let_go(struct delivery *delivery, bool commit)
{
	struct error error;

	if (delivery)
		test_check(delivery_finish(delivery, commit, &error) == STORE_OK);
}

static void prepare_recipient(const struct store_root *root, const struct row *row,
			      const struct draft *other, struct batch_recipient *recipient)
{
	uint64_t account = recipient->place.account;

	if (account == row->small)
		recipient->place.octets_max = 10;
	if (account == row->full) {
		let_go(hold(root, account, other), true);
		recipient->place.messages_max = 1;
	}
	recipient->done = account == row->gone;
	recipient->outcome = recipient->done ? ERROR_NO_USER : ERROR_NONE;
}

static void check_outcomes(const struct row *row, const struct batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		const struct batch_recipient *recipient = &batch->recipients[i];

		test_check(recipient->delivery == NULL);
		test_check(recipient->done == (row->result == BATCH_DONE));
		if (row->result != BATCH_DONE)
			continue;
		test_check(recipient->outcome == row->outcomes[i]);
		test_check((recipient->uid[0] != '\0') || recipient->outcome != ERROR_NONE);
	}
}

static void run(const struct store_root *root, const struct row *row)
{
	struct batch_recipient recipients[RECIPIENTS_MAX] = {0};
	struct draft *draft = make_draft("Subject: x\n\n"), *other = make_draft("Subject: y\n\n");
	struct batch batch = {.root = root,
			      .draft = draft,
			      .all_or_nothing = row->all_or_nothing,
			      .last_try = row->last_try,
			      .recipients = recipients};
	struct delivery *holder;
	struct error error;
	uint32_t delivered = 0;

	test_row(row->name);
	test_check(draft_seal(other, &error) == ERROR_NONE);
	for (; batch.count < RECIPIENTS_MAX && row->accounts[batch.count] != 0; batch.count++) {
		recipients[batch.count].place = place_of(row->accounts[batch.count]);
		(void)snprintf(recipients[batch.count].account,
			       sizeof(recipients[batch.count].account), "user");
		prepare_recipient(root, row, other, &recipients[batch.count]);
	}
	holder = hold(root, row->held, other);
	if (row->retired != 0) {
		struct place place = place_of(row->retired);

		test_check(store_retire(root, &place, false, &error) == STORE_OK);
	}
	commits_left = row->fails;
	test_check(batch_deliver(&batch) == row->result);
	commits_left = 0;
	check_outcomes(row, &batch);
	let_go(holder, false);
	for (size_t i = 0; i < batch.count; i++) {
		bool first = true;

		for (size_t j = 0; j < i; j++)
			first = first && row->accounts[j] != row->accounts[i];
		delivered += first ? messages_in(root, row->accounts[i]) : 0;
	}
	test_check(delivered == row->delivered);
	draft_free(draft);
	draft_free(other);
}

static void test_rows(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run(*state, &rows[i]);
}

/* While one maildrop is held, nothing is written for the others again and again: it is the first to
 * be tried, so that another, held as well, is not even looked at. */
static void test_held_comes_first(void **state)
{
	const struct store_root *root = *state;
	struct batch_recipient recipients[3] = {
		{.place = place_of(110)}, {.place = place_of(111)}, {.place = place_of(112)}};
	struct draft *draft = make_draft("Subject: x\n\n"), *other = make_draft("Subject: y\n\n");
	struct batch batch = {.root = root, .draft = draft, .recipients = recipients, .count = 3};
	struct delivery *last, *first;
	struct error error;

	test_row("held comes first");
	test_check(draft_seal(other, &error) == ERROR_NONE);
	last = hold(root, 112, other);
	test_check(batch_deliver(&batch) == BATCH_AGAIN);
	first = hold(root, 110, other);
	for (size_t i = 0; i < 3; i++)
		recipients[i].error = (struct error){0};
	test_check(batch_deliver(&batch) == BATCH_AGAIN);
	test_check(recipients[2].error.code != ERROR_NONE);
	test_check(recipients[0].error.code == ERROR_NONE);
	let_go(last, false);
	test_check(batch_deliver(&batch) == BATCH_AGAIN);
	test_check(recipients[0].error.code != ERROR_NONE);
	let_go(first, false);
	test_check(batch_deliver(&batch) == BATCH_DONE);
	for (size_t i = 0; i < 3; i++)
		test_check(messages_in(root, recipients[i].place.account) == 1);
	draft_free(draft);
	draft_free(other);
}

/* Two recipients of one maildrop that is held: neither has an outcome until it is there. */
static void test_copy_of_one_held(void **state)
{
	const struct store_root *root = *state;
	struct batch_recipient recipients[2] = {{.place = place_of(120)}, {.place = place_of(120)}};
	struct draft *draft = make_draft("Subject: x\n\n"), *other = make_draft("Subject: y\n\n");
	struct batch batch = {.root = root, .draft = draft, .recipients = recipients, .count = 2};
	struct delivery *holder;
	struct error error;

	test_row("copy of one held");
	test_check(draft_seal(other, &error) == ERROR_NONE);
	holder = hold(root, 120, other);
	test_check(batch_deliver(&batch) == BATCH_AGAIN);
	test_check(!recipients[0].done && !recipients[1].done);
	batch.last_try = true;
	test_check(batch_deliver(&batch) == BATCH_DONE);
	for (size_t i = 0; i < 2; i++)
		test_check(recipients[i].done && recipients[i].outcome == ERROR_TEMPORARY);
	let_go(holder, false);
	draft_free(draft);
	draft_free(other);
}

/* What AGAIN left undone is done by the same call when the other one is through. */
static void test_again(void **state)
{
	const struct store_root *root = *state;
	struct batch_recipient recipients[2] = {{.place = place_of(101)}, {.place = place_of(100)}};
	struct draft *draft = make_draft("Subject: x\n\n"), *other = make_draft("Subject: y\n\n");
	struct batch batch = {.root = root, .draft = draft, .recipients = recipients, .count = 2};
	struct delivery *holder;
	struct error error;

	test_row("again");
	test_check(draft_seal(other, &error) == ERROR_NONE);
	holder = hold(root, 101, other);
	for (int i = 0; i < 3; i++)
		test_check(batch_deliver(&batch) == BATCH_AGAIN);
	let_go(holder, true);
	test_check(batch_deliver(&batch) == BATCH_DONE);
	test_check(messages_in(root, 100) == 1 && messages_in(root, 101) == 2);
	draft_free(draft);
	draft_free(other);
}

/* ---- a place for the maildrops ---- */

static char folder[] = "/tmp/batch-test-XXXXXX";

static struct file *make_folder(struct file *above, const char *name)
{
	struct file *made = NULL;

	return file_open(above, name, FILE_DIRECTORY | FILE_CREATE, &made) == 0 ? made : NULL;
}

static int set_up(void **state)
{
	static struct store_root root;
	struct file *top = NULL;

	if (!mkdtemp(folder) || file_open_root(folder, &top) != 0)
		return -1;
	root.disk = disk_kernel();
	root.mail[0] = make_folder(top, "mail");
	root.index = make_folder(top, "index");
	root.journal = make_folder(top, "journal");
	root.locks = make_folder(top, "locks");
	file_close(top);
	*state = &root;
	return root.mail[0] && root.index && root.journal && root.locks ? 0 : -1;
}

static bool remove_name(void *directory, const char *name)
{
	(void)file_unlink(directory, name);
	return true;
}

static int tear_down(void **state)
{
	struct store_root *root = *state;
	struct file *folders[] = {root->mail[0], root->index, root->journal, root->locks};
	static const char *const names[] = {"mail", "index", "journal", "locks"};
	char path[64];

	for (size_t i = 0; i < 4; i++) {
		(void)file_list(folders[i], remove_name, folders[i]);
		file_close(folders[i]);
		(void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		(void)rmdir(path);
	}
	return rmdir(folder);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(test_rows),
	cmocka_unit_test(test_again),
	cmocka_unit_test(test_held_comes_first),
	cmocka_unit_test(test_copy_of_one_held),
};
TEST_MAIN_WITH(tests, set_up, tear_down)
