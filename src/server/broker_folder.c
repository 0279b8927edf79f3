/*
 * broker_folder: a worker's side of the broker: a directory handle for base/file.h whose names the
 * supervisor opens and removes.
 *
 * Guarantees: a store cannot tell it from the kernel's disk, but that names which the broker
 * refuses are -EPERM. A broker that does not answer is -EIO, once and for ever: it is gone, and
 * this process with it in a moment. Must not know: who owns what.
 */
#include "server/broker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/channel.h"

#define ANSWER_MS 30000 /* the supervisor looks a user up and opens a file, maybe over a network   \
			 */

struct broker {
	struct disk disk;
	pthread_mutex_t mutex; /* held from a question to its answer */
	int socket;
	uint64_t requests;
	bool gone;
};

struct folder {
	struct file file;
	struct broker *broker;
	uint32_t mail_root;
	struct file *below; /* the folder itself, by the kernel's disk */
};

static struct folder *folder_of(struct file *file)
{
	return (struct folder *)file;
}

/* ---- questions ---- */

/* The result; with a descriptor in *descriptor_out where the answer has one, else -1. */
static int converse(struct broker *broker, const struct message_borrow *message,
		    int *descriptor_out)
{
	static union message answer; /* large; guarded by the mutex: there is one broker */
	int descriptors[MESSAGE_DESCRIPTORS_MAX];
	size_t count = 0;

	*descriptor_out = -1;
	if (broker->gone || !channel_send_blocking(broker->socket, message, NULL, 0) ||
	    !channel_receive_blocking(broker->socket, &answer, descriptors, &count, ANSWER_MS) ||
	    answer.header.type != MESSAGE_BORROWED ||
	    answer.header.request != message->header.request) {
		for (size_t i = 0; i < count; i++)
			close(descriptors[i]);
		broker->gone = true;
		return -EIO;
	}
	if (count > 0)
		*descriptor_out = descriptors[0];
	return answer.borrowed.result;
}

static int ask(struct folder *folder, enum borrow_action action, const char *name, unsigned flags,
	       int *descriptor_out)
{
	struct broker *broker = folder->broker;
	struct message_borrow message;
	int result;

	message_init(&message, MESSAGE_BORROW, 0);
	message.action = action;
	message.mail_root = folder->mail_root;
	message.flags = flags;
	*descriptor_out = -1;
	if (!bytes_to_string(bytes_of(name), message.name, sizeof(message.name)))
		return -ENAMETOOLONG;
	pthread_mutex_lock(&broker->mutex);
	message.header.request = ++broker->requests;
	result = converse(broker, &message, descriptor_out);
	pthread_mutex_unlock(&broker->mutex);
	return result;
}

/* ---- the disk's operations ---- */

static int folder_open(struct file *directory, const char *name, unsigned flags,
		       struct file **file_out)
{
	int descriptor, result;

	if ((flags & (FILE_DIRECTORY | FILE_UNNAMED)) != 0)
		return file_open(folder_of(directory)->below, name, flags, file_out);
	result = ask(folder_of(directory), BORROW_OPEN, name, flags, &descriptor);
	if (result < 0)
		return result;
	result = descriptor < 0 ? -EIO : file_adopt(descriptor, file_out);
	if (result < 0 && descriptor >= 0)
		close(descriptor);
	return result;
}

static void folder_close(struct file *file)
{
	file_close(folder_of(file)->below);
	free(file);
}

static int folder_status(struct file *file, struct file_status *status_out)
{
	return file_status(folder_of(file)->below, status_out);
}

static int folder_sync(struct file *file)
{
	return file_sync(folder_of(file)->below);
}

static int folder_unlink(struct file *directory, const char *name)
{
	int descriptor;

	return ask(folder_of(directory), BORROW_UNLINK, name, 0, &descriptor);
}

static int folder_list(struct file *directory, file_name_callback *callback, void *context)
{
	return file_list(folder_of(directory)->below, callback, context);
}

/* What no spool does in the folder of all users. */
static int refuse_two_names(struct file *from_directory, const char *from,
			    struct file *to_directory, const char *to)
{
	(void)from_directory;
	(void)from;
	(void)to_directory;
	(void)to;
	return -EPERM;
}

static int refuse_directory(struct file *directory, const char *name)
{
	(void)directory;
	(void)name;
	return -EPERM;
}

static const struct disk_operations folder_operations = {
	.open = folder_open,
	.close = folder_close,
	.status = folder_status,
	.sync = folder_sync,
	.rename = refuse_two_names,
	.link = refuse_two_names,
	.unlink = folder_unlink,
	.make_directory = refuse_directory,
	.list = folder_list,
};

/* ---- beginning and end ---- */

struct broker *broker_new(int socket)
{
	struct broker *broker = calloc(1, sizeof(*broker));

	if (broker == NULL || pthread_mutex_init(&broker->mutex, NULL) != 0) {
		free(broker);
		return NULL;
	}
	broker->disk.operations = &folder_operations;
	broker->socket = socket;
	return broker;
}

void broker_free(struct broker *broker)
{
	if (broker == NULL)
		return;
	close(broker->socket);
	pthread_mutex_destroy(&broker->mutex);
	free(broker);
}

struct file *broker_folder(struct broker *broker, uint32_t mail_root, struct file *folder)
{
	struct folder *handle = calloc(1, sizeof(*handle));

	if (handle == NULL)
		return NULL;
	handle->file.disk = &broker->disk;
	handle->broker = broker;
	handle->mail_root = mail_root;
	handle->below = folder;
	return &handle->file;
}
