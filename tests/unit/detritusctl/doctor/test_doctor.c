/* What detritusctl doctor makes of the times that syncs took. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "detritusctl/doctor/doctor.h"

/* Nothing here finds anything. */
void doctor_find(_unused_ struct doctor *d, _unused_ enum doctor_state state, _unused_ const char *check,
                 _unused_ const char *advice, _unused_ const char *found, ...)
{
}

#define US UINT64_C(1000)
#define MS (1000 * US)

static enum doctor_sync judge(uint64_t usual, uint64_t outlier)
{
        uint64_t latencies[] = { usual, outlier, usual, usual, usual }, median, max;
        enum doctor_sync judged = doctor_judge_syncs(latencies, ARRAY_LEN(latencies), &median, &max);
        assert_true(median == usual && max == (outlier > usual ? outlier : usual));
        return judged;
}

/* The median decides: one hiccup makes no disk slow, nor one cached answer a dishonest one. */
static void test_judgement(_unused_ void **state)
{
        assert_int_equal(judge(20 * US - 1, 900 * MS), DOCTOR_SYNC_FAST_BEYOND_BELIEF);
        assert_int_equal(judge(20 * US, 1), DOCTOR_SYNC_FAST);
        assert_int_equal(judge(30 * MS - 1, 900 * MS), DOCTOR_SYNC_FAST);
        assert_int_equal(judge(30 * MS, 1), DOCTOR_SYNC_SLOW);
        assert_int_equal(judge(500 * MS - 1, 900 * MS), DOCTOR_SYNC_SLOW);
        assert_int_equal(judge(500 * MS, 1), DOCTOR_SYNC_TOO_SLOW);
}

int main(void)
{
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_judgement) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
