#include "net/address_table.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

#include "util/slots.h"

struct address_key {
        uint8_t bytes[8]; /* IPv4 in the first four, IPv6 /64 in all; 0 for local peers */
        uint8_t family;
};

struct address_table {
        struct slots *slots;
};

struct address_table *address_table_new(unsigned max_total, unsigned max_per_address)
{
        struct address_table *t = calloc(1, sizeof(*t));
        if (!t)
                return NULL;
        t->slots = slots_new(max_total, max_per_address);
        return t->slots ? t : address_table_free(t);
}

struct address_table *address_table_free(struct address_table *t)
{
        if (!t)
                return NULL;
        slots_free(t->slots);
        free(t);
        return NULL;
}

static struct address_key key_of(const struct sockaddr_storage *peer)
{
        struct address_key key;
        memset(&key, 0, sizeof(key));
        if (peer->ss_family == AF_INET)
                memcpy(key.bytes, &((const struct sockaddr_in *)peer)->sin_addr, 4);
        else if (peer->ss_family == AF_INET6)
                memcpy(key.bytes, &((const struct sockaddr_in6 *)peer)->sin6_addr, 8);
        key.family = (uint8_t)peer->ss_family;
        return key;
}

bool address_table_enter(struct address_table *t, const struct sockaddr_storage *peer)
{
        struct address_key key = key_of(peer);
        if (!slots_take(t->slots))
                return false;
        if (slots_take_key(t->slots, &key, sizeof(key)))
                return true;
        slots_give(t->slots);
        return false;
}

void address_table_leave(struct address_table *t, const struct sockaddr_storage *peer)
{
        struct address_key key = key_of(peer);
        slots_give_key(t->slots, &key, sizeof(key));
        slots_give(t->slots);
}

uint64_t address_table_number(const struct sockaddr_storage *peer)
{
        struct address_key key = key_of(peer); /* IPv4 has zeros where no IPv6 address that is in use has them */
        uint64_t number = 0;
        memcpy(&number, key.bytes, sizeof(key.bytes) < sizeof(number) ? sizeof(key.bytes) : sizeof(number));
        return number;
}
