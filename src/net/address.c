/*
 * address: numeric addresses of sockets, and the system calls that listen and connect.
 *
 * Guarantees: a socket file never has a looser mode than asked for, not even for a moment; a file
 * that is not a socket, or a socket somebody answers on, is never removed. Must not know names.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/number.h"

#define UNIX_PREFIX BYTES("unix:")

static struct sockaddr_in *as_ip4(const struct address *address)
{
	return (struct sockaddr_in *)&address->storage;
}

static struct sockaddr_in6 *as_ip6(const struct address *address)
{
	return (struct sockaddr_in6 *)&address->storage;
}

static struct sockaddr_un *as_unix(const struct address *address)
{
	return (struct sockaddr_un *)&address->storage;
}

static bool set_ip4(const char *host, uint16_t port, struct address *address)
{
	struct sockaddr_in *ip = as_ip4(address);
	ip->sin_family = AF_INET;
	ip->sin_port = htons(port);
	address->length = sizeof(*ip);
	return inet_pton(AF_INET, host, &ip->sin_addr) == 1;
}

static bool set_ip6(const char *host, uint16_t port, struct address *address)
{
	struct sockaddr_in6 *ip = as_ip6(address);
	ip->sin6_family = AF_INET6;
	ip->sin6_port = htons(port);
	address->length = sizeof(*ip);
	return inet_pton(AF_INET6, host, &ip->sin6_addr) == 1;
}

static bool set_unix(struct bytes path, struct address *address)
{
	struct sockaddr_un *it = as_unix(address);
	it->sun_family = AF_UNIX;
	address->length = sizeof(*it);
	return path.length > 0 && bytes_to_string(path, it->sun_path, sizeof(it->sun_path));
}

static bool set_host(struct bytes host, uint16_t port, struct address *address)
{
	char text[INET6_ADDRSTRLEN];
	if (host.length == 0)
		return set_ip6("::", port, address);
	bool bracket = host.data[0] == '[';
	if (bracket) {
		if (host.data[host.length - 1] != ']' || host.length < 2)
			return false;
		host = bytes_first(bytes_skip(host, 1), host.length - 2);
	}
	if (!bytes_to_string(host, text, sizeof(text)))
		return false;
	return bracket ? set_ip6(text, port, address) : set_ip4(text, port, address);
}

static bool parse_ip(struct bytes text, struct address *address)
{
	size_t colon = text.length;
	while (colon > 0 && text.data[colon - 1] != ':')
		colon--;
	uint64_t port;
	if (colon == 0 || !number_parse(bytes_skip(text, colon), UINT16_MAX, &port))
		return false;
	return set_host(bytes_first(text, colon - 1), (uint16_t)port, address);
}

enum error_code address_parse(struct bytes text, struct address *address_out, struct error *error)
{
	memset(address_out, 0, sizeof(*address_out));
	bool ok = bytes_start_with(text, UNIX_PREFIX)
			  ? set_unix(bytes_skip(text, UNIX_PREFIX.length), address_out)
			  : parse_ip(text, address_out);
	if (ok)
		return ERROR_NONE;
	char room[ADDRESS_OCTETS];
	return error_set(error, ERROR_CONFIG,
			 "\"%s\" is no address: expected IP:PORT, [IP6]:PORT, :PORT or unix:PATH "
			 "(at most %zu octets)",
			 error_escape(text, room, sizeof(room)),
			 sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1);
}

static const char *print_ip6(const struct sockaddr_in6 *ip, char room[ADDRESS_OCTETS])
{
	char host[INET6_ADDRSTRLEN];
	unsigned port = ntohs(ip->sin6_port);
	if (IN6_IS_ADDR_UNSPECIFIED(&ip->sin6_addr)) {
		snprintf(room, ADDRESS_OCTETS, ":%u", port);
	} else if (IN6_IS_ADDR_V4MAPPED(&ip->sin6_addr)) {
		inet_ntop(AF_INET, &ip->sin6_addr.s6_addr[12], host, sizeof(host));
		snprintf(room, ADDRESS_OCTETS, "%s:%u", host, port);
	} else {
		inet_ntop(AF_INET6, &ip->sin6_addr, host, sizeof(host));
		snprintf(room, ADDRESS_OCTETS, "[%s]:%u", host, port);
	}
	return room;
}

const char *address_print(const struct address *address, char room[ADDRESS_OCTETS])
{
	char host[INET_ADDRSTRLEN];
	switch (address->storage.ss_family) {
	case AF_INET:
		inet_ntop(AF_INET, &as_ip4(address)->sin_addr, host, sizeof(host));
		snprintf(room, ADDRESS_OCTETS, "%s:%u", host, ntohs(as_ip4(address)->sin_port));
		return room;
	case AF_INET6:
		return print_ip6(as_ip6(address), room);
	case AF_UNIX:
		snprintf(room, ADDRESS_OCTETS, "unix:%.*s", (int)sizeof(as_unix(address)->sun_path),
			 as_unix(address)->sun_path);
		return room;
	default:
		snprintf(room, ADDRESS_OCTETS, "unknown");
		return room;
	}
}

bool address_is_loopback(const struct address *address)
{
	const struct in6_addr *ip6 = &as_ip6(address)->sin6_addr;
	switch (address->storage.ss_family) {
	case AF_UNIX:
		return true;
	case AF_INET:
		return ntohl(as_ip4(address)->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(ip6) ||
		       (IN6_IS_ADDR_V4MAPPED(ip6) && ip6->s6_addr[12] == IN_LOOPBACKNET);
	default:
		return false;
	}
}

bool address_of_socket(int descriptor, struct address *address_out)
{
	memset(address_out, 0, sizeof(*address_out));
	address_out->length = sizeof(address_out->storage);
	return getsockname(descriptor, (struct sockaddr *)&address_out->storage,
			   &address_out->length) == 0;
}

/* ---- to listen ---- */

static int fail(struct error *error, int descriptor, const char *doing,
		const struct address *address)
{
	char room[ADDRESS_OCTETS];
	int problem = errno;
	if (descriptor >= 0)
		close(descriptor);
	const char *words = address_print(address, room);
	if (problem == EADDRINUSE || problem == EADDRNOTAVAIL)
		error_set(error, ERROR_CONFIG, "%s %s: %s", doing, words, strerror(problem));
	else if (problem == ECONNREFUSED || problem == ENOENT || problem == ETIMEDOUT ||
		 problem == EINPROGRESS || problem == EAGAIN)
		error_set(error, ERROR_UNAVAILABLE, "%s %s: nobody answers", doing, words);
	else
		error_set_errno(error, -problem, "%s %s", doing, words);
	return -1;
}

/* Nobody answers when the connection is refused; a full queue (EAGAIN) is somebody. */
static bool somebody_listens(const struct address *address)
{
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (probe < 0)
		return true;
	bool refused =
		connect(probe, (const struct sockaddr *)&address->storage, address->length) != 0 &&
		errno == ECONNREFUSED;
	close(probe);
	return !refused;
}

static bool remove_old_socket(const struct address *address, struct error *error)
{
	const char *path = as_unix(address)->sun_path;
	struct stat status;
	if (lstat(path, &status) != 0)
		return true; /* bind() tells what is wrong, if anything is */
	if (!S_ISSOCK(status.st_mode)) {
		error_set(error, ERROR_CONFIG, "unix:%s: the file there is no socket; remove it",
			  path);
		return false;
	}
	if (somebody_listens(address)) {
		error_set(error, ERROR_IN_USE, "unix:%s: another server listens there", path);
		return false;
	}
	if (unlink(path) == 0 || errno == ENOENT)
		return true;
	error_set_errno(error, -errno, "removing the old socket %s", path);
	return false;
}

/* The file gets the mode of the socket, less the umask (unix(7)); what the umask took is given
 * back after. */
static int listen_unix(const struct address *address, unsigned mode, struct error *error)
{
	if (!remove_old_socket(address, error))
		return -1;
	int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0 || fchmod(descriptor, mode) != 0 ||
	    bind(descriptor, (const struct sockaddr *)&address->storage, address->length) != 0 ||
	    chmod(as_unix(address)->sun_path, mode) != 0 || listen(descriptor, SOMAXCONN) != 0)
		return fail(error, descriptor, "listening on", address);
	return descriptor;
}

static bool set_flag(int descriptor, int level, int option, int value)
{
	return setsockopt(descriptor, level, option, &value, sizeof(value)) == 0;
}

static int listen_ip(const struct address *address, struct error *error)
{
	int family = address->storage.ss_family;
	int descriptor = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0 || !set_flag(descriptor, SOL_SOCKET, SO_REUSEADDR, 1) ||
	    (family == AF_INET6 && !set_flag(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 0)) ||
	    bind(descriptor, (const struct sockaddr *)&address->storage, address->length) != 0 ||
	    listen(descriptor, SOMAXCONN) != 0)
		return fail(error, descriptor, "listening on", address);
	return descriptor;
}

/* The kernel was built or booted without IPv6: all addresses are those of IPv4. */
static bool any_without_ip6(const struct address *address)
{
	if (address->storage.ss_family != AF_INET6 ||
	    !IN6_IS_ADDR_UNSPECIFIED(&as_ip6(address)->sin6_addr))
		return false;
	int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (probe < 0)
		return errno == EAFNOSUPPORT;
	close(probe);
	return false;
}

int address_listen(const struct address *address, unsigned mode, struct error *error)
{
	struct address any_ip4;
	if (address->storage.ss_family == AF_UNIX)
		return listen_unix(address, mode, error);
	if (!any_without_ip6(address))
		return listen_ip(address, error);
	memset(&any_ip4, 0, sizeof(any_ip4));
	set_ip4("0.0.0.0", ntohs(as_ip6(address)->sin6_port), &any_ip4);
	return listen_ip(&any_ip4, error);
}

/* ---- to connect ---- */

static bool set_timeouts(int descriptor, unsigned timeout_ms)
{
	struct timeval timeout = {.tv_sec = timeout_ms / 1000,
				  .tv_usec = (timeout_ms % 1000) * 1000};
	return setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
	       setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0;
}

/* On a blocking socket connect() may be called again after a signal: it waits on (EISCONN: done).
 */
static bool connect_socket(int descriptor, const struct address *address)
{
	int result;
	do
		result = connect(descriptor, (const struct sockaddr *)&address->storage,
				 address->length);
	while (result != 0 && errno == EINTR);
	return result == 0 || errno == EISCONN;
}

int address_connect(const struct address *address, unsigned timeout_ms, struct error *error)
{
	int descriptor = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || !set_timeouts(descriptor, timeout_ms) ||
	    !connect_socket(descriptor, address))
		return fail(error, descriptor, "connecting to", address);
	return descriptor;
}
