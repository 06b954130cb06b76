/* Who is next in the line, and who has to leave it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
/* clang-format on */

#include "auth/fair_queue.h"

#include "util/cleanup.h"

enum { FLOOD = 1, GOOD, OTHER };

int __wrap_RAND_bytes(unsigned char *buf, int n);

/* Always the same key, under which the addresses here do not meet in a slot. */
int __wrap_RAND_bytes(unsigned char *buf, int n)
{
        memset(buf, 7, (size_t)n);
        return 1;
}

static struct fair_queue_item item(uint64_t from, uint64_t names)
{
        return (struct fair_queue_item){ .from = from, .names = names, .waiting = 1 };
}

static void drain(struct fair_queue *q)
{
        while (fair_queue_take(q))
                ;
}

/* How many are taken until, and with, i. */
static int place_of(struct fair_queue *q, const struct fair_queue_item *i)
{
        int n = 1;
        for (const struct fair_queue_item *taken; (taken = fair_queue_take(q)) != i; n++)
                assert_non_null(taken);
        return n;
}

static void addresses_take_turns(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(100);
        struct fair_queue_item flood[50], other = item(OTHER, 0);
        for (size_t i = 0; i < ARRAY_LEN(flood); i++) {
                flood[i] = item(FLOOD, i);
                assert_null(fair_queue_push(q, &flood[i]));
        }
        assert_ptr_equal(fair_queue_take(q), &flood[0]);
        assert_null(fair_queue_push(q, &other));
        assert_in_range(place_of(q, &other), 1, 2);
        drain(q);
}

/* New addresses without end do not keep one waiting that was there before. */
static void newcomers_do_not_overtake(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(100);
        struct fair_queue_item first = item(OTHER, 0), second = item(OTHER, 0), bots[20];
        assert_null(fair_queue_push(q, &first));
        assert_null(fair_queue_push(q, &second));
        assert_ptr_equal(fair_queue_take(q), &first);
        int place = 0;
        for (size_t i = 0; place == 0 && i < ARRAY_LEN(bots); i++) {
                bots[i] = item(1000 + i, 0);
                assert_null(fair_queue_push(q, &bots[i]));
                if (fair_queue_take(q) == &second)
                        place = (int)i + 1;
        }
        assert_in_range(place, 1, 2);
        drain(q);
}

/* In one address, the guesses for one key id keep no other key id waiting. */
static void key_ids_take_turns(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(100);
        struct fair_queue_item flood[50], other = item(FLOOD, 8);
        for (size_t i = 0; i < ARRAY_LEN(flood); i++) {
                flood[i] = item(FLOOD, 7);
                assert_null(fair_queue_push(q, &flood[i]));
        }
        fair_queue_take(q);
        assert_null(fair_queue_push(q, &other));
        assert_in_range(place_of(q, &other), 1, 2);
        drain(q);
}

static void popular_tokens_go_first_every_other_time(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(100);
        struct fair_queue_item flood[50], popular = item(FLOOD, 7);
        for (size_t i = 0; i < ARRAY_LEN(flood); i++) {
                flood[i] = item(FLOOD, i);
                assert_null(fair_queue_push(q, &flood[i]));
        }
        popular.waiting = 20;
        assert_null(fair_queue_push(q, &popular));
        assert_in_range(place_of(q, &popular), 1, 2);
        drain(q);
}

static void good_addresses_go_first(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(100);
        struct fair_queue_item bots[50], good = item(GOOD, 0);
        fair_queue_note_good(q, GOOD);
        for (size_t i = 0; i < ARRAY_LEN(bots); i++) {
                bots[i] = item(1000 + i, 0);
                assert_null(fair_queue_push(q, &bots[i]));
        }
        assert_null(fair_queue_push(q, &good));
        assert_in_range(place_of(q, &good), 1, 2);

        /* but they do not keep all others waiting */
        struct fair_queue_item from_good[50];
        drain(q);
        for (size_t i = 0; i < ARRAY_LEN(from_good); i++) {
                from_good[i] = item(GOOD, i);
                assert_null(fair_queue_push(q, &from_good[i]));
        }
        bots[0] = item(OTHER, 0);
        assert_null(fair_queue_push(q, &bots[0]));
        assert_in_range(place_of(q, &bots[0]), 1, 2 * FAIR_QUEUE_PREFERENCE);
        drain(q);
}

static void who_has_most_gives_way(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(10);
        struct fair_queue_item flood[10], more = item(FLOOD, 0), other = item(OTHER, 0), same = item(FLOOD, 5);
        for (size_t i = 0; i < ARRAY_LEN(flood); i++) {
                flood[i] = item(FLOOD, 0);
                assert_null(fair_queue_push(q, &flood[i])); /* exactly as many as fit */
        }
        assert_ptr_equal(fair_queue_push(q, &more), &more);
        assert_ptr_equal(fair_queue_push(q, &other), &flood[9]); /* the newest */
        assert_ptr_equal(fair_queue_push(q, &same), &flood[8]);  /* of the key id with most */
        drain(q);
}

static void good_addresses_have_more_room(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(10);
        struct fair_queue_item bots[8], good[3];
        fair_queue_note_good(q, GOOD);
        for (size_t i = 0; i < ARRAY_LEN(bots); i++) {
                bots[i] = item(1000 + i, 0);
                assert_null(fair_queue_push(q, &bots[i]));
        }
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
                good[i] = item(GOOD, 0);
                assert_ptr_equal(fair_queue_push(q, &good[i]), i < 2 ? NULL : &bots[7]);
        }
        drain(q);
}

static void closed(void **state)
{
        (void)state;
        _cleanup_(fair_queue_freep) struct fair_queue *q = fair_queue_new(10);
        struct fair_queue_item before = item(OTHER, 0), after = item(OTHER, 0);
        assert_null(fair_queue_push(q, &before));
        fair_queue_close(q);
        assert_ptr_equal(fair_queue_push(q, &after), &after);
        assert_ptr_equal(fair_queue_take(q), &before); /* what is queued is still answered */
        assert_null(fair_queue_take(q));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_take_turns),
                cmocka_unit_test(newcomers_do_not_overtake),
                cmocka_unit_test(key_ids_take_turns),
                cmocka_unit_test(popular_tokens_go_first_every_other_time),
                cmocka_unit_test(good_addresses_go_first),
                cmocka_unit_test(who_has_most_gives_way),
                cmocka_unit_test(good_addresses_have_more_room),
                cmocka_unit_test(closed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
