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
	bool last_try, all_or_nothing;
	enum batch_result result;
	enum error_code outcomes[RECIPIENTS_MAX]; /* with DONE */
	uint32_t delivered;                       /* messages in all maildrops together */
};

static const struct row rows[] = {
	{"one", {1}, 0, 0, false, false, BATCH_DONE, {ERROR_NONE}, 1},
	{"two, not in order", {3, 2}, 0, 0, false, false, BATCH_DONE, {ERROR_NONE}, 2},
	{"twice the same", {5, 4, 5}, 0, 0, false, false, BATCH_DONE, {ERROR_NONE}, 2},
	{"the first is held", {6, 7}, 6, 0, false, false, BATCH_AGAIN, {ERROR_NONE}, 0},
	{"the last is held", {8, 9}, 9, 0, false, false, BATCH_AGAIN, {ERROR_NONE}, 0},
	{"held to the end",
	 {10, 11, 11},
	 11,
	 0,
	 true,
	 false,
	 BATCH_DONE,
	 {ERROR_NONE, ERROR_TEMPORARY, ERROR_TEMPORARY},
	 1},
	{"held to the end, all or nothing",
	 {12, 13},
	 13,
	 0,
	 true,
	 true,
	 BATCH_DONE,
	 {ERROR_TEMPORARY, ERROR_TEMPORARY},
	 0},
	{"moved", {14, 15}, 0, 15, false, false, BATCH_CHANGED, {ERROR_NONE}, 0},
	{"moved again and again",
	 {16, 17},
	 0,
	 17,
	 true,
	 false,
	 BATCH_DONE,
	 {ERROR_NONE, ERROR_TEMPORARY},
	 1},
};

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
	}
	holder = hold(root, row->held, other);
	if (row->retired != 0) {
		struct place place = place_of(row->retired);

		test_check(store_retire(root, &place, false, &error) == STORE_OK);
	}
	test_check(batch_deliver(&batch) == row->result);
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
};
TEST_MAIN_WITH(tests, set_up, tear_down)
