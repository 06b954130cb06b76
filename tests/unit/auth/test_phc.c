/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <argon2.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "auth/phc.h"

#define SALT8 "c29tZXNhbHQ"             /* "somesalt" */
#define HASH16 "AAAAAAAAAAAAAAAAAAAAAA" /* 16 zero bytes */
#define COST "$m=256,t=2,p=1$"
#define GOOD "$argon2id$v=19" COST SALT8 "$" HASH16

static bool matches(const char *phc, const char *secret)
{
        struct error err = { "" };
        bool match = false;
        if (phc_check(phc, &err) != 0)
                fail_msg("refused %s: %s", phc, err.text);
        assert_int_equal(phc_verify(phc, secret, strlen(secret), &match), 0);
        return match;
}

/* From test.c of the Argon2 reference implementation: password "password", salt "somesalt". */
static void known_answers(void **state)
{
        (void)state;
        const char *const phcs[] = {
                "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
                "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc",
                "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
                "$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
                "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
                "$argon2i$v=16$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
        };
        for (size_t i = 0; i < ARRAY_LEN(phcs); i++) {
                if (!matches(phcs[i], "password"))
                        fail_msg("no match: %s", phcs[i]);
                assert_false(matches(phcs[i], "passwore"));
                assert_false(matches(phcs[i], "password "));
                assert_false(matches(phcs[i], ""));
        }
        /* the version is part of what is computed */
        assert_false(matches("$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
                             "password"));
}

static void agrees_with_the_library(void **state)
{
        (void)state;
        const argon2_type types[] = { Argon2_d, Argon2_i, Argon2_id };
        const uint32_t versions[] = { ARGON2_VERSION_10, ARGON2_VERSION_13 };
        const size_t salt_lens[] = { 8, 16, 64 }, hash_lens[] = { 16, 33, 128 };
        const char salt[64] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde";
        for (size_t t = 0; t < ARRAY_LEN(types); t++) {
                for (size_t v = 0; v < ARRAY_LEN(versions); v++) {
                        for (size_t n = 0; n < ARRAY_LEN(salt_lens); n++) {
                                char encoded[PHC_MAX_BYTES];
                                assert_int_equal(argon2_hash(1, 32, 4, "s\0t", 3, salt, salt_lens[n], NULL,
                                                             hash_lens[n], encoded, sizeof(encoded), types[t],
                                                             versions[v]),
                                                 ARGON2_OK);
                                bool match = false;
                                assert_int_equal(phc_check(encoded, NULL), 0);
                                assert_int_equal(phc_verify(encoded, "s\0t", 3, &match), 0);
                                assert_true(match);
                                assert_int_equal(phc_verify(encoded, "s\0u", 3, &match), 0);
                                assert_false(match); /* what follows a NUL counts */
                        }
                }
        }
}

static void hash_round_trip(void **state)
{
        (void)state;
        char one[PHC_MAX_BYTES], two[PHC_MAX_BYTES];
        assert_int_equal(phc_hash("secret", 6, one), 0);
        assert_int_equal(phc_hash("secret", 6, two), 0);
        const char *head = "$argon2id$v=19$m=19456,t=2,p=1$";
        assert_memory_equal(one, head, strlen(head));
        assert_string_not_equal(one, two); /* a fresh salt each time */
        assert_int_equal(strlen(one), strlen(head) + 22 + 1 + 43);
        assert_true(matches(one, "secret"));
        assert_false(matches(one, "Secret"));
}

static void refused(const char *phc)
{
        struct error err = { "" };
        if (phc_check(phc, &err) != PHC_BAD)
                fail_msg("accepted %s", phc);
        assert_true(err.text[0] != '\0');
        bool match = false;
        assert_int_equal(phc_verify(phc, "x", 1, &match), -EINVAL); /* a caller's mistake, but no crash */
}

static void malformed(void **state)
{
        (void)state;
        const char *const bad[] = {
                "",
                "password",
                "$argon2$v=19" COST SALT8 "$" HASH16,
                "argon2id$v=19" COST SALT8 "$" HASH16,
                "$argon2ID$v=19" COST SALT8 "$" HASH16,
                "$argon2id$v=17" COST SALT8 "$" HASH16,
                "$argon2id$v=" COST SALT8 "$" HASH16,
                "$argon2id$v=019" COST SALT8 "$" HASH16,
                "$argon2id$v=19$t=2,m=256,p=1$" SALT8 "$" HASH16,
                "$argon2id$v=19$m=256,t=2$" SALT8 "$" HASH16,
                "$argon2id$v=19$m=256,t=2,p=1,keyid=AA$" SALT8 "$" HASH16,
                "$argon2id$v=19$m=+256,t=2,p=1$" SALT8 "$" HASH16,
                "$argon2id$v=19$m=256,t=02,p=1$" SALT8 "$" HASH16,
                "$argon2id$v=19$m=99999999999,t=2,p=1$" SALT8 "$" HASH16,
                "$argon2id$v=19$m=4294967552,t=2,p=1$" SALT8 "$" HASH16,
                "$argon2id$v=19" COST SALT8,
                "$argon2id$v=19" COST SALT8 "$",
                "$argon2id$v=19" COST SALT8 "=$" HASH16,
                "$argon2id$v=19" COST SALT8 "$" HASH16 "==",
                "$argon2id$v=19" COST SALT8 "$" HASH16 "$",
                "$argon2id$v=19" COST SALT8 "$" HASH16 "\n",
                "$argon2id$v=19" COST "c29tZXNhbH-$" HASH16, /* the other alphabet */
                "$argon2id$v=19" COST "c29tZXNhbHR$" HASH16, /* bits left over */
                "$argon2id$v=19" COST SALT8 "AA$" HASH16,    /* 13 characters are no whole byte */
                "$2b$10$abcdefghijklmnopqrstuv",
        };
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                refused(bad[i]);
        assert_int_equal(phc_check(GOOD, NULL), 0);
        for (size_t n = 0; n < strlen(GOOD); n++) {
                char cut[sizeof(GOOD)] = GOOD;
                cut[n] = '\0';
                refused(cut);
        }
}

static void bounds(void **state)
{
        (void)state;
        const struct {
                unsigned m, t, p;
                bool good;
        } costs[] = {
                { 8, 1, 1, true },        { 7, 1, 1, false },  { 8, 0, 1, false },   { 8, 64, 1, true },
                { 8, 65, 1, false },      { 8, 1, 0, false },  { 512, 1, 64, true }, { 511, 1, 64, false },
                { 520, 1, 65, false },    { 15, 1, 2, false }, { 16, 1, 2, true },   { 1048576, 1, 1, true },
                { 1048577, 1, 1, false },
        };
        for (size_t i = 0; i < ARRAY_LEN(costs); i++) {
                char phc[PHC_MAX_BYTES];
                snprintf(phc, sizeof(phc), "$argon2id$v=19$m=%u,t=%u,p=%u$%s$%s", costs[i].m, costs[i].t, costs[i].p,
                         SALT8, HASH16);
                if ((phc_check(phc, NULL) == 0) != costs[i].good)
                        fail_msg("%s", phc);
        }

        /* lengths in bytes, spelled in base64 of zeroes */
        const struct {
                size_t salt, hash;
                bool good;
        } lens[] = { { 8, 16, true },  { 7, 16, false }, { 64, 16, true },  { 65, 16, false },
                     { 8, 15, false }, { 8, 128, true }, { 8, 129, false }, { 64, 128, true } };
        char zeroes[256];
        memset(zeroes, 'A', sizeof(zeroes));
        for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
                char phc[2 * PHC_MAX_BYTES];
                snprintf(phc, sizeof(phc), "$argon2id$v=19" COST "%.*s$%.*s", (int)((lens[i].salt * 8 + 5) / 6), zeroes,
                         (int)((lens[i].hash * 8 + 5) / 6), zeroes);
                if ((phc_check(phc, NULL) == 0) != lens[i].good)
                        fail_msg("salt %zu hash %zu", lens[i].salt, lens[i].hash);
        }
        char endless[4 * PHC_MAX_BYTES];
        memset(endless, 'A', sizeof(endless));
        memcpy(endless, "$argon2id$v=19" COST, strlen("$argon2id$v=19" COST));
        endless[sizeof(endless) - 1] = '\0';
        refused(endless);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(known_answers), cmocka_unit_test(agrees_with_the_library),
                cmocka_unit_test(malformed),     cmocka_unit_test(hash_round_trip),
                cmocka_unit_test(bounds),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
