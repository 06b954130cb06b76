#pragma once
/* How many connections are open, in all and by peer address, over all loops. Any thread; takes a short lock. IPv6 peers
 * count by their /64, which is what one subscriber gets. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "util/cleanup.h"

struct address_table;

struct address_table *address_table_new(unsigned max_total, unsigned max_per_address); /* NULL on ENOMEM */
struct address_table *address_table_free(struct address_table *t);                     /* NULL-safe */
DEFINE_FREEP(address_table_free, struct address_table)

/* False when a limit is reached or memory is out; then nothing is counted. */
bool address_table_enter(struct address_table *t, const struct sockaddr_storage *peer);
void address_table_leave(struct address_table *t, const struct sockaddr_storage *peer);

/* The address as a number, one for each that is counted apart. */
uint64_t address_table_number(const struct sockaddr_storage *peer);
