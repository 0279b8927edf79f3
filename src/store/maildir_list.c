/*
 * maildir_list: see maildir_list.h.
 */
#include "store/maildir_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX (16 * 1000 * 1000ULL) /* bounds memory; no file system likes so many */

struct adding {
	struct maildir_list *list;
	enum maildir_place place;
};

void maildir_list_init(struct maildir_list *list)
{
	*list = (struct maildir_list){0};
	buffer_init(&list->names, NAMES_MAX * 64);
}

void maildir_list_free(struct maildir_list *list)
{
	buffer_free(&list->names);
	free(list->list);
	*list = (struct maildir_list){0};
}

static bool make_room(struct maildir_list *list)
{
	size_t room = list->room * 2 + 64;
	if (list->count < list->room)
		return true;
	struct maildir_listed *grown =
		list->count < NAMES_MAX ? realloc(list->list, room * sizeof *grown) : NULL;
	if (grown == NULL)
		return false;
	list->list = grown;
	list->room = room;
	return true;
}

static bool add_name(void *context, const char *text)
{
	struct adding *adding = context;
	struct maildir_list *list = adding->list;
	size_t octets = strlen(text) + 1;
	if (text[0] == '.' || octets > MAILDIR_NAME_MAX + 1)
		return true;
	struct maildir_name name = maildir_name_when(text);
	struct maildir_listed listed = {.text = list->names.length,
					.second = name.second,
					.microsecond = name.microsecond,
					.place = adding->place};
	if (!make_room(list) || !buffer_append(&list->names, (struct bytes){text, octets})) {
		list->problem = -ENOMEM;
		return false;
	}
	list->list[list->count++] = listed;
	return true;
}

int maildir_list_add(struct maildir_list *list, struct file *new_folder, struct file *cur_folder)
{
	struct adding adding = {list, MAILDIR_NEW};
	int result = new_folder != NULL ? file_list(new_folder, add_name, &adding) : 0;
	adding.place = MAILDIR_CUR;
	if (result >= 0 && list->problem == 0 && cur_folder != NULL)
		result = file_list(cur_folder, add_name, &adding);
	return result < 0 ? result : list->problem;
}

const char *maildir_list_name(const struct maildir_list *list, size_t at)
{
	return list->names.data + list->list[at].text;
}

static struct maildir_name name_of(const struct maildir_list *list,
				   const struct maildir_listed *listed)
{
	const char *text = list->names.data + listed->text;
	return (struct maildir_name){.base = {text, strcspn(text, ":")},
				     .second = listed->second,
				     .microsecond = listed->microsecond};
}

static int compare(const void *a, const void *b, void *context)
{
	const struct maildir_list *list = context;
	const struct maildir_listed *one = a, *two = b;
	struct maildir_name first = name_of(list, one), second = name_of(list, two);
	int order = maildir_name_compare(&first, &second);
	if (order == 0)
		order = (one->place == MAILDIR_NEW) - (two->place == MAILDIR_NEW);
	return order != 0 ? order : strcmp(first.base.data, second.base.data);
}

void maildir_list_sort(struct maildir_list *list)
{
	if (list->count > 0)
		qsort_r(list->list, list->count, sizeof *list->list, compare, list);
}

void maildir_list_unite(struct maildir_list *list)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++) {
		struct maildir_name now = name_of(list, &list->list[i]);
		if (kept > 0) {
			struct maildir_name before = name_of(list, &list->list[kept - 1]);
			if (maildir_name_compare(&before, &now) == 0)
				continue;
		}
		list->list[kept++] = list->list[i];
	}
	list->count = kept;
}
