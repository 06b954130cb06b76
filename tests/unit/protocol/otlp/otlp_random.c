/* Each message is a list of encoded fields, shuffled at the end. */

#include "otlp_random.h"

#include <stdio.h>
#include <stdlib.h>

#include "otlp_wire.h"

#define PIECES_MAX 512
#define DEPTH_MAX 6

struct message {
        uint64_t *state;
        unsigned n;
        struct buf pieces[PIECES_MAX];
};

uint64_t otlp_random(uint64_t *state, uint64_t n)
{
        uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
        z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
        z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
        return (z ^ z >> 31) % n;
}

static bool one_in(uint64_t *state, unsigned n)
{
        return otlp_random(state, n) == 0;
}

static uint64_t random_number(uint64_t *state)
{
        static const uint64_t edges[] = { 0,
                                          1,
                                          2,
                                          127,
                                          128,
                                          INT32_MAX,
                                          (uint64_t)INT32_MIN,
                                          UINT32_MAX,
                                          (uint64_t)UINT32_MAX + 1,
                                          INT64_MAX,
                                          (uint64_t)INT64_MIN,
                                          UINT64_MAX };
        if (one_in(state, 2))
                return edges[otlp_random(state, ARRAY_LEN(edges))];
        uint64_t v = otlp_random(state, UINT64_MAX) >> otlp_random(state, 64);
        return one_in(state, 2) ? v : 0 - v;
}

/* Up to max bytes, often more than it needs. */
static void put_varint(uint64_t *state, struct buf *b, uint64_t v, unsigned max)
{
        unsigned needs = 1;
        while (needs < 10 && v >> (7 * needs))
                needs++;
        unsigned bytes = needs;
        if (needs < max && one_in(state, 8))
                bytes += (unsigned)otlp_random(state, max - needs + 1);
        for (unsigned i = 0; i < bytes; i++) {
                uint8_t byte = (uint8_t)((i < needs ? v >> (7 * i) & 0x7F : 0) | (i + 1 < bytes ? 0x80 : 0));
                wire_raw(b, &byte, 1);
        }
}

/* ---- fields ---- */

static struct buf *new_piece(struct message *m, unsigned number, unsigned wire)
{
        if (m->n == PIECES_MAX)
                abort();
        struct buf *b = &m->pieces[m->n++];
        put_varint(m->state, b, number << 3 | wire, 5);
        return b;
}

static void add_varint(struct message *m, unsigned number)
{
        uint64_t v = random_number(m->state);
        put_varint(m->state, new_piece(m, number, 0), v, 10);
}

static void add_fixed(struct message *m, unsigned number, unsigned bytes)
{
        static const double doubles[] = { 0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, 1.0 / 0.0, 0.0 / 0.0, -2.5 };
        uint64_t v = random_number(m->state);
        if (bytes == 8 && one_in(m->state, 2))
                memcpy(&v, &doubles[otlp_random(m->state, ARRAY_LEN(doubles))], sizeof(v));
        wire_raw(new_piece(m, number, bytes == 8 ? 1 : 5), &v, bytes);
}

static void add_bytes(struct message *m, unsigned number, const void *data, size_t len)
{
        struct buf *b = new_piece(m, number, 2);
        put_varint(m->state, b, len, 5);
        wire_raw(b, data, len);
}

/* Takes sub. */
static void add_message(struct message *m, unsigned number, struct buf *sub)
{
        add_bytes(m, number, sub->data, sub->len);
        buf_done(sub);
}

static void add_text(struct message *m, unsigned number)
{
        static const char *const parts[] = { "",
                                             "a",
                                             "text",
                                             "\xc3\xa9",
                                             "\xf0\x9f\x92\xa5",
                                             "\"",
                                             "\\",
                                             "\n",
                                             "\x01",
                                             "\x7f",
                                             "a longer piece of text, over a few words",
                                             "1.2.3" };
        struct buf text = { 0 };
        for (uint64_t i = otlp_random(m->state, 4); i > 0; i--) {
                const char *part = parts[otlp_random(m->state, ARRAY_LEN(parts))];
                wire_raw(&text, part, strlen(part) + one_in(m->state, 10)); /* a NUL, now and then */
        }
        add_message(m, number, &text);
}

static void add_raw(struct message *m, unsigned number)
{
        uint8_t bytes[24];
        size_t len = one_in(m->state, 3) ? 0 : otlp_random(m->state, sizeof(bytes));
        for (size_t i = 0; i < len; i++)
                bytes[i] = (uint8_t)otlp_random(m->state, 256);
        add_bytes(m, number, bytes, len);
}

/* A field that this version of OTLP does not have. first_free: the message has neither this number nor a higher one. */
static void add_unknown(struct message *m, unsigned first_free)
{
        unsigned number = one_in(m->state, 2) ? first_free + (unsigned)otlp_random(m->state, 6)
                                              : (1u << 29) - 1 - (unsigned)otlp_random(m->state, 3);
        switch (otlp_random(m->state, 4)) {
        case 0: add_varint(m, number); break;
        case 1: add_fixed(m, number, 8); break;
        case 2: add_fixed(m, number, 4); break;
        default: add_raw(m, number); break;
        }
}

/* Takes the pieces. */
static struct buf finish(struct message *m, unsigned first_free)
{
        struct buf b = { 0 };
        while (one_in(m->state, 12))
                add_unknown(m, first_free);
        for (unsigned i = m->n; i > 0; i--) {
                unsigned k = (unsigned)otlp_random(m->state, i);
                wire_raw(&b, m->pieces[k].data, m->pieces[k].len);
                buf_done(&m->pieces[k]);
                m->pieces[k] = m->pieces[i - 1];
        }
        return b;
}

/* Mostly once, sometimes not at all, sometimes several times. */
static unsigned times(uint64_t *state)
{
        uint64_t i = otlp_random(state, 10);
        return i < 2 ? 0 : i < 8 ? 1 : (unsigned)i - 6;
}

/* ---- messages ---- */

static struct buf random_value(uint64_t *state, unsigned depth);

static void add_key(struct message *m, unsigned names)
{
        static const char *const known[] = { "source.project",
                                             "source.platform",
                                             "source.version",
                                             "source.install_id",
                                             "os.type",
                                             "service.version",
                                             "service.instance.id",
                                             "host.id",
                                             "host.name",
                                             "service.name",
                                             "source.",
                                             "source",
                                             "",
                                             "a\nb",
                                             "\xc3\xa9" };
        char key[32];
        if (one_in(m->state, 4)) {
                const char *name = known[otlp_random(m->state, ARRAY_LEN(known))];
                add_bytes(m, 1, name, strlen(name) + one_in(m->state, 30));
                return;
        }
        int len = snprintf(key, sizeof(key), "k%u", (unsigned)otlp_random(m->state, names));
        add_bytes(m, 1, key, (size_t)len);
}

static void add_pairs(struct message *m, unsigned number, unsigned depth)
{
        static const unsigned sizes[] = { 0, 1, 3, 8, 64, 65, 200 };
        unsigned n = sizes[otlp_random(m->state, one_in(m->state, 20) ? ARRAY_LEN(sizes) : 4)];
        unsigned names = 1 + (unsigned)otlp_random(m->state, 2 * n + 1);
        for (unsigned i = 0; i < n; i++) {
                struct message kv = { .state = m->state };
                for (unsigned t = one_in(m->state, 5) ? times(m->state) : 1; t > 0; t--)
                        add_key(&kv, names);
                if (!one_in(m->state, 8)) {
                        struct buf value = random_value(m->state, n > 8 ? DEPTH_MAX : depth + 1);
                        add_message(&kv, 2, &value);
                }
                struct buf b = finish(&kv, 3);
                add_message(m, number, &b);
        }
}

static void add_list(struct message *m, unsigned number, unsigned depth)
{
        struct message list = { .state = m->state };
        if (number == 6)
                add_pairs(&list, 1, depth);
        for (uint64_t i = number == 5 ? otlp_random(m->state, 5) : 0; i > 0; i--) {
                struct buf item = random_value(m->state, depth + 1);
                add_message(&list, 1, &item);
        }
        struct buf b = finish(&list, 2);
        add_message(m, number, &b);
}

static struct buf random_value(uint64_t *state, unsigned depth)
{
        struct message any = { .state = state };
        bool given[8] = { false };
        for (unsigned t = times(state); t > 0; t--) {
                unsigned number = 1 + (unsigned)otlp_random(state, 7);
                if ((number == 5 || number == 6) && (given[number] || depth >= DEPTH_MAX))
                        number = 1;
                given[number] = true;
                switch (number) {
                case 1: add_text(&any, 1); break;
                case 2:
                case 3: add_varint(&any, number); break;
                case 4: add_fixed(&any, 4, 8); break;
                case 5:
                case 6: add_list(&any, number, depth); break;
                default: add_raw(&any, 7); break;
                }
        }
        return finish(&any, 8);
}

static struct buf random_resource(uint64_t *state)
{
        struct message resource = { .state = state };
        add_pairs(&resource, 1, 2);
        for (unsigned i = 0; one_in(state, 2) && i < 2; i++) { /* enough to tell the source */
                struct buf value = { 0 }, kv = { 0 };
                wire_str(&value, 1, i ? "acme" : "one");
                wire_str(&kv, 1, i ? "source.project" : "host.name");
                wire_message(&kv, 2, &value);
                add_message(&resource, 1, &kv);
        }
        for (unsigned t = times(state); t > 0; t--)
                add_varint(&resource, 2);
        return finish(&resource, 3);
}

static struct buf random_scope(uint64_t *state)
{
        struct message scope = { .state = state };
        for (unsigned number = 1; number <= 2; number++) {
                for (unsigned t = times(state); t > 0; t--)
                        add_text(&scope, number);
        }
        if (one_in(state, 2))
                add_pairs(&scope, 3, 2);
        for (unsigned t = times(state); t > 0; t--)
                add_varint(&scope, 4);
        return finish(&scope, 5);
}

static struct buf random_record(uint64_t *state)
{
        struct message record = { .state = state };
        for (unsigned number = 1; number <= 12; number++) {
                for (unsigned t = number < 4 || number > 6 ? times(state) : 0; t > 0; t--) {
                        switch (number) {
                        case 1:
                        case 11: add_fixed(&record, number, 8); break;
                        case 2:
                        case 7: add_varint(&record, number); break;
                        case 8: add_fixed(&record, number, 4); break;
                        case 9:
                        case 10: add_raw(&record, number); break;
                        default: add_text(&record, number); break;
                        }
                }
        }
        if (!one_in(state, 5)) {
                struct buf body = random_value(state, 1);
                add_message(&record, 5, &body);
        }
        add_pairs(&record, 6, 2);
        if (one_in(state, 10))
                add_raw(&record, 4); /* a number that was taken back */
        return finish(&record, 13);
}

static struct buf random_scope_logs(uint64_t *state)
{
        struct message logs = { .state = state };
        if (!one_in(state, 4)) {
                struct buf scope = random_scope(state);
                add_message(&logs, 1, &scope);
        }
        for (uint64_t i = otlp_random(state, 4); i > 0; i--) {
                struct buf record = random_record(state);
                add_message(&logs, 2, &record);
        }
        if (one_in(state, 4))
                add_text(&logs, 3);
        return finish(&logs, 4);
}

static struct buf random_resource_logs(uint64_t *state)
{
        struct message logs = { .state = state };
        if (!one_in(state, 6)) {
                struct buf resource = random_resource(state);
                add_message(&logs, 1, &resource);
        }
        for (uint64_t i = otlp_random(state, 4); i > 0; i--) {
                struct buf scope_logs = random_scope_logs(state);
                add_message(&logs, 2, &scope_logs);
        }
        if (one_in(state, 4))
                add_text(&logs, 3);
        return finish(&logs, 4);
}

struct buf otlp_random_request(uint64_t seed)
{
        uint64_t state = seed;
        struct message request = { .state = &state };
        for (uint64_t i = 1 + otlp_random(&state, 4); i > 0; i--) {
                struct buf logs = random_resource_logs(&state);
                add_message(&request, 1, &logs);
        }
        return finish(&request, 2);
}
