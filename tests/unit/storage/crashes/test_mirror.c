#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "storage/crashes/mirror.h"

#define DUMP "b6ca0868bca6a2926b70aa1a71592038d9030fe26d4214edcfbd6cf41f2f4654"
#define LOG "836ff184e7b41b1e13cb5fd89fa1de98dbbab99e9d2918913ff43b86a5c7c213"
#define BYTES "277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9"
#define DIRECTORY "crashes/by-source/acme/01234567-89ab-cdef-0123-456789abcdef"
#define PATH DIRECTORY "/20260519T000000.125Z-" DUMP ".json"

/* What was sent to detritus-server 0.1.0, and the file it wrote. */
static const char SENT[] =
        "{\"source\":{\"project\":\"acme\",\"platform\":\"linux\",\"version\":\"1.4.2 "
        "\\u00e9\\u001f\\u007f\",\"install_id\":\"{01234567-89AB-CDEF-0123-456789ABCDEF}\"},\n"
        " \"schema_version\":1,\"timestamp\":\"2026-05-19T02:00:00.125+02:00\",\"kind\":\"PanicTarball\",\n"
        " \"build\":{\"git_sha\":\"abc\",\"profile\":\"release\",\"target_triple\":\"x86_64-unknown-linux-gnu\"},\n"
        " \"panic_text\":\"boom \\\"quoted\\\"\\n\\t\\/ \\ud83d\\ude00\",\n"
        " \"context\":{\"a\":[],\"b\":{},\"c\":[1,-2,0.1,1e-7,1.0,18446744073709551615,-0,null,true,{\"d\":\"x:y,{}[]"
        "\"}],\"e\":\"\"},\n"
        " \"attachments\":[{\"key\":\"log\",\"content_type\":\"text/"
        "plain\",\"len\":3},{\"len\":5,\"key\":\"b\",\"filename\":\"b.bin\",\"content_type\":\"application/"
        "octet-stream\"}]}\n";
static const char WRITTEN[] =
        "{\n"
        "  \"metadata\": {\n"
        "    \"schema_version\": 1,\n"
        "    \"source\": {\n"
        "      \"project\": \"acme\",\n"
        "      \"platform\": \"linux\",\n"
        "      \"version\": \"1.4.2 é\\u001f\177\",\n"
        "      \"install_id\": \"01234567-89ab-cdef-0123-456789abcdef\"\n"
        "    },\n"
        "    \"timestamp\": \"2026-05-19T00:00:00.125Z\",\n"
        "    \"kind\": \"PanicTarball\",\n"
        "    \"build\": {\n"
        "      \"git_sha\": \"abc\",\n"
        "      \"profile\": \"release\",\n"
        "      \"target_triple\": \"x86_64-unknown-linux-gnu\"\n"
        "    },\n"
        "    \"panic_text\": \"boom \\\"quoted\\\"\\n\\t/ 😀\",\n"
        "    \"context\": {\n"
        "      \"a\": [],\n"
        "      \"b\": {},\n"
        "      \"c\": [\n"
        "        1,\n"
        "        -2,\n"
        "        0.1,\n"
        "        1e-7,\n"
        "        1.0,\n"
        "        18446744073709551615,\n"
        "        -0.0,\n"
        "        null,\n"
        "        true,\n"
        "        {\n"
        "          \"d\": \"x:y,{}[]\"\n"
        "        }\n"
        "      ],\n"
        "      \"e\": \"\"\n"
        "    },\n"
        "    \"attachments\": [\n"
        "      {\n"
        "        \"key\": \"log\",\n"
        "        \"filename\": null,\n"
        "        \"content_type\": \"text/plain\",\n"
        "        \"len\": 3\n"
        "      },\n"
        "      {\n"
        "        \"key\": \"b\",\n"
        "        \"filename\": \"b.bin\",\n"
        "        \"content_type\": \"application/octet-stream\",\n"
        "        \"len\": 5\n"
        "      }\n"
        "    ]\n"
        "  },\n"
        "  \"dump\": {\n"
        "    \"sha256\": \"b6ca0868bca6a2926b70aa1a71592038d9030fe26d4214edcfbd6cf41f2f4654\",\n"
        "    \"len\": 4,\n"
        "    \"path\": \"crashes/by-hash/b6/b6ca0868bca6a2926b70aa1a71592038d9030fe26d4214edcfbd6cf41f2f4654.bin\",\n"
        "    \"dedup\": false,\n"
        "    \"content_encoding\": \"zstd\"\n"
        "  },\n"
        "  \"attachments\": [\n"
        "    {\n"
        "      \"key\": \"log\",\n"
        "      \"content_type\": \"text/plain\",\n"
        "      \"sha256\": \"836ff184e7b41b1e13cb5fd89fa1de98dbbab99e9d2918913ff43b86a5c7c213\",\n"
        "      \"len\": 3,\n"
        "      \"path\": \"crashes/by-hash/83/836ff184e7b41b1e13cb5fd89fa1de98dbbab99e9d2918913ff43b86a5c7c213.bin\",\n"
        "      \"dedup\": false\n"
        "    },\n"
        "    {\n"
        "      \"key\": \"b\",\n"
        "      \"content_type\": \"application/octet-stream\",\n"
        "      \"sha256\": \"277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9\",\n"
        "      \"len\": 5,\n"
        "      \"path\": \"crashes/by-hash/27/277089d91c0bdf4f2e6862ba7e4a07605119431f5d13f726dd352b06f1b206a9.bin\",\n"
        "      \"dedup\": false\n"
        "    }\n"
        "  ]\n"
        "}";

static const char SENT_SMALL[] =
        "{\"source\":{\"project\":\"acme\",\"platform\":\"l\",\"version\":\"1\","
        "\"install_id\":\"0123456789abcdef0123456789abcdef\"},\"schema_version\":1,"
        "\"timestamp\":\"2026-05-19T02:00:00Z\",\"kind\":\"Minidump\",\"build\":{\"git_sha\":\"\",\"profile\":\"\","
        "\"target_triple\":\"\"},\"context\":null,\"attachments\":[]}";
static const char WRITTEN_SMALL[] =
        "{\n"
        "  \"metadata\": {\n"
        "    \"schema_version\": 1,\n"
        "    \"source\": {\n"
        "      \"project\": \"acme\",\n"
        "      \"platform\": \"l\",\n"
        "      \"version\": \"1\",\n"
        "      \"install_id\": \"01234567-89ab-cdef-0123-456789abcdef\"\n"
        "    },\n"
        "    \"timestamp\": \"2026-05-19T02:00:00Z\",\n"
        "    \"kind\": \"Minidump\",\n"
        "    \"build\": {\n"
        "      \"git_sha\": \"\",\n"
        "      \"profile\": \"\",\n"
        "      \"target_triple\": \"\"\n"
        "    },\n"
        "    \"panic_text\": null,\n"
        "    \"context\": null,\n"
        "    \"attachments\": []\n"
        "  },\n"
        "  \"dump\": {\n"
        "    \"sha256\": \"836ff184e7b41b1e13cb5fd89fa1de98dbbab99e9d2918913ff43b86a5c7c213\",\n"
        "    \"len\": 3,\n"
        "    \"path\": \"crashes/by-hash/83/836ff184e7b41b1e13cb5fd89fa1de98dbbab99e9d2918913ff43b86a5c7c213.bin\",\n"
        "    \"dedup\": true\n"
        "  },\n"
        "  \"attachments\": []\n"
        "}";

static const struct index_blob_use ATTACHMENTS[] = {
        { .sha256 = LOG, .len = 3, .key = "log", .filename = "a.txt", .content_type = "text/plain" },
        { .sha256 = BYTES, .len = 5, .key = "b", .content_type = "application/octet-stream" },
};

static struct crash_metadata *parse(const char *text)
{
        struct crash_metadata *m = NULL;
        struct refusal r = { 0 };
        assert_int_equal(crash_metadata_parse((const uint8_t *)text, strlen(text), 64, &m, &r), 0);
        return m;
}

static struct index_crash full(const struct crash_metadata *m)
{
        return (struct index_crash){
                .metadata = m,
                .dump = { .sha256 = DUMP, .len = 4, .content_encoding = "zstd" },
                .n_attachments = 2,
                .attachments = ATTACHMENTS,
        };
}

static void expect_rendered(const struct index_crash *crash, const char *expected)
{
        _cleanup_(buf_done) struct buf out = { 0 };
        assert_int_equal(mirror_render(crash, &out), 0);
        assert_int_equal(buf_append_char(&out, '\0'), 0);
        assert_string_equal((char *)out.data, expected);
}

static void test_byte_for_byte_the_reference(void **state)
{
        _cleanup_(crash_metadata_freep) struct crash_metadata *m = parse(SENT), *small = parse(SENT_SMALL);
        (void)state;
        struct index_crash crash = full(m);
        expect_rendered(&crash, WRITTEN);
        crash = (struct index_crash){ .metadata = small, .dump = { .sha256 = LOG, .len = 3, .dedup = true } };
        expect_rendered(&crash, WRITTEN_SMALL);
}

/* What a part's header said is a string like any other. */
static void test_escapes(void **state)
{
        _cleanup_(crash_metadata_freep) struct crash_metadata *m = parse(SENT_SMALL);
        _cleanup_(buf_done) struct buf out = { 0 };
        const struct index_blob_use attachment = { .sha256 = LOG,
                                                   .len = UINT64_MAX,
                                                   .dedup = true,
                                                   .key = "a\"},{[\\",
                                                   .content_type = "x;y=\"z,\"",
                                                   .content_encoding = "\t" };
        const struct index_crash crash = {
                .metadata = m, .dump = { .sha256 = DUMP }, .n_attachments = 1, .attachments = &attachment
        };
        (void)state;
        assert_int_equal(mirror_render(&crash, &out), 0);
        assert_int_equal(buf_append_char(&out, '\0'), 0);
        assert_non_null(strstr((char *)out.data,
                               "  \"attachments\": [\n    {\n      \"key\": \"a\\\"},{[\\\\\",\n"
                               "      \"content_type\": \"x;y=\\\"z,\\\"\",\n      \"sha256\": \"" LOG "\",\n"
                               "      \"len\": 18446744073709551615,\n      \"path\": \"crashes/by-hash/83/" LOG
                               ".bin\",\n      \"dedup\": true,\n      \"content_encoding\": \"\\t\"\n    }\n  ]\n}"));
}

static void test_path(void **state)
{
        struct source longest;
        char path[MIRROR_PATH_SIZE];
        (void)state;
        _cleanup_(crash_metadata_freep) struct crash_metadata *m = parse(SENT);
        mirror_path(&m->source, m->timestamp, DUMP, path);
        assert_string_equal(path, PATH);

        memset(&longest, 'x', sizeof(longest));
        longest.project[SOURCE_COMPONENT_MAX] = longest.install_id[SOURCE_COMPONENT_MAX] = '\0';
        mirror_path(&longest, (struct moment){ .sec = 253402300799, .nsec = 999999999 }, DUMP, path);
        const char *name = strrchr(path, '/');
        assert_string_equal(name, "/99991231T235959.999999999Z-" DUMP ".json");
}

static char directory[] = "/tmp/test_mirror.XXXXXX";

static int make_directory(void **state)
{
        static int fd;
        if (!mkdtemp(directory))
                return -1;
        fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &fd;
        return fd < 0 ? -1 : 0;
}

static int remove_directory(void **state)
{
        int fd = *(int *)*state;
        unlinkat(fd, PATH, 0);
        unlinkat(fd, DIRECTORY, AT_REMOVEDIR);
        unlinkat(fd, "crashes/by-source/acme", AT_REMOVEDIR);
        unlinkat(fd, "crashes/by-source", AT_REMOVEDIR);
        unlinkat(fd, "crashes", AT_REMOVEDIR);
        close(fd);
        return rmdir(directory); /* fails when something else was left behind */
}

static void expect_file(int fd, const char *expected)
{
        char text[4096];
        struct stat st;
        _cleanup_(closep) int file = openat(fd, PATH, O_RDONLY | O_CLOEXEC);
        assert_true(file >= 0);
        assert_int_equal(fstat(file, &st), 0);
        assert_int_equal(st.st_mode & 0137u, 0); /* at most 0640 */
        ssize_t n = read(file, text, sizeof(text));
        assert_int_equal(n, strlen(expected));
        assert_memory_equal(text, expected, strlen(expected));
}

static void test_write(void **state)
{
        int fd = *(int *)*state;
        _cleanup_(crash_metadata_freep) struct crash_metadata *m = parse(SENT);
        struct index_crash crash = full(m);
        assert_int_equal(mirror_write(fd, &crash), 0);
        expect_file(fd, WRITTEN);
        crash.n_attachments = 0;
        assert_int_equal(mirror_write(fd, &crash), 0); /* the same name again */
        crash.n_attachments = 2;
        assert_int_equal(mirror_write(fd, &crash), 0);
        expect_file(fd, WRITTEN);
}

static void test_write_fails(void **state)
{
        int fd = *(int *)*state;
        _cleanup_(crash_metadata_freep) struct crash_metadata *m = parse(SENT);
        const struct index_crash crash = full(m);
        _cleanup_(closep) int file = openat(fd, "crashes", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(file >= 0);
        assert_true(mirror_write(fd, &crash) < 0);
        assert_int_equal(unlinkat(fd, "crashes", 0), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_byte_for_byte_the_reference),
                cmocka_unit_test(test_escapes),
                cmocka_unit_test(test_path),
                cmocka_unit_test(test_write_fails),
                cmocka_unit_test(test_write),
        };
        return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
