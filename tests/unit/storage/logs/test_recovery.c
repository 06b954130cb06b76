/* After a crash every acknowledged line is in its file once. A real committer writes; what it left on disk is kept in
 * memory as an image, put back damaged in every way that a kill or a power cut can, and recovered. */
#include "committer_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/logs/journal.h"
#include "storage/logs/log_recovery.h"
#include "util/buf.h"
#include "util/files/crc32c.h"

#define FILE_A "logs/p/a/" DAY_1 ".ndjson"
#define FILE_B "logs/p/b/" DAY_1 ".ndjson"
#define SEGMENT "journal/0.wal"

static struct buf read_whole(const char *path)
{
        struct buf b = { 0 };
        _cleanup_(closep) int fd = openat(fixture_config.datadir_fd, path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0)
                assert_int_equal(buf_read_fd(&b, fd, 1 << 30), 0);
        return b;
}

static void write_whole(const char *path, const void *data, size_t len)
{
        _cleanup_(closep) int fd =
                openat(fixture_config.datadir_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, data, len), len);
}

static void flip_bit(const char *path, off_t at)
{
        char byte;
        _cleanup_(closep) int fd = openat(fixture_config.datadir_fd, path, O_RDWR | O_CLOEXEC);
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 4;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static bool exists(const char *path)
{
        return faccessat(fixture_config.datadir_fd, path, F_OK, 0) == 0;
}

static struct log_recovery_counts recover(void)
{
        struct log_recovery_counts counts;
        struct error err;
        int r = log_recovery_run(fixture_config.datadir_fd, &counts, &err);
        if (r != 0)
                print_message("%s\n", err.text);
        assert_int_equal(r, 0);
        return counts;
}

/* What a committer that was killed now would leave: taken while it lives, put back once it has stopped. */
struct image {
        struct buf segments[JOURNAL_SEGMENTS], a, b;
};

static struct image take_image(void)
{
        struct image i = { .a = read_whole(FILE_A), .b = read_whole(FILE_B) };
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++) {
                char path[JOURNAL_PATH_SIZE];
                journal_path(slot, path);
                i.segments[slot] = read_whole(path);
        }
        return i;
}

static void image_done(struct image *i)
{
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++)
                buf_done(&i->segments[slot]);
        buf_done(&i->a);
        buf_done(&i->b);
}

static void put_back(const struct image *i)
{
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++) {
                char path[JOURNAL_PATH_SIZE];
                journal_path(slot, path);
                unlinkat(fixture_config.datadir_fd, path, 0);
                if (i->segments[slot].len > 0)
                        write_whole(path, i->segments[slot].data, i->segments[slot].len);
        }
        if (i->a.data)
                write_whole(FILE_A, i->a.data, i->a.len);
        if (i->b.data)
                write_whole(FILE_B, i->b.data, i->b.len);
}

/* Commits, each on its own; "base" lines of both files are checkpointed, so only what follows is in the journal. */
static const struct {
        const char *install_id, *text;
} commits[] = {
        { "a", "{\"n\":1}\n" },
        { "b", "{\"n\":2}\n{\"n\":3}\n" },
        { "a", "{\"n\":4}\n" },
        { "a", "{\"n\":5}\n" },
};
#define A_LINES "{\"n\":1}\n{\"n\":4}\n{\"n\":5}\n"
#define B_LINES "{\"n\":2}\n{\"n\":3}\n"

static struct image killed_after_commits(bool with_base)
{
        start();
        if (with_base) {
                assert_int_equal(put("a", "base a\n"), 0);
                assert_int_equal(put("b", "base b\n"), 0);
                stop();
                start();
        }
        for (size_t i = 0; i < ARRAY_LEN(commits); i++)
                assert_int_equal(put(commits[i].install_id, commits[i].text), 0);
        struct image image = take_image();
        stop();
        return image;
}

/* The lines of the first n commits in a file. */
static void expect_prefix(const char *install_id, const char *base, size_t n)
{
        _cleanup_(buf_done) struct buf want = { 0 };
        assert_int_equal(buf_append_str(&want, base), 0);
        for (size_t i = 0; i < n; i++) {
                if (strcmp(commits[i].install_id, install_id) == 0)
                        assert_int_equal(buf_append_str(&want, commits[i].text), 0);
        }
        assert_int_equal(buf_append_char(&want, '\0'), 0);
        expect_file(install_id, (const char *)want.data);
}

/* ---- nothing to do ---- */

static void test_fresh_directory(void **state _unused_)
{
        assert_int_equal(recover().frames, 0);
        assert_false(exists("journal"));
}

static void test_orderly_stop_leaves_nothing(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "x\n"), 0);
        stop();
        assert_int_equal(recover().frames, 0);
        expect_file("a", "x\n");
}

/* After a kill the files are as they were; once recovered there is nothing more to recover. */
static void test_kill(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        put_back(&image);
        const long long budget = 1 << 20;
        atomic_store(&faults.journal_budget, budget);
        struct log_recovery_counts counts = recover();
        /* Lines that are there were written all the same (the kernel may be wrong about them), and the segment's
         * head. */
        assert_int_equal(budget - faults.journal_budget, strlen(A_LINES B_LINES) + JOURNAL_BLOCK);
        assert_int_equal(counts.frames, ARRAY_LEN(commits));
        assert_int_equal(counts.files, 2);
        assert_int_equal(counts.files_repaired, 0);
        expect_file("a", A_LINES);
        expect_file("b", B_LINES);
        assert_int_equal(recover().frames, 0);
}

/* ---- files that lost what was not synced ---- */

static void test_file_cut_at_every_byte(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(true);
        const size_t base = strlen("base a\n");
        for (size_t len = base; len <= image.a.len; len++) {
                put_back(&image);
                write_whole(FILE_A, image.a.data, len);
                struct log_recovery_counts counts = recover();
                expect_file("a", "base a\n" A_LINES);
                expect_file("b", "base b\n" B_LINES);
                assert_int_equal(counts.files_repaired, len < image.a.len);
                assert_false(exists(FILE_A ".torn"));
        }
}

/* Blocks that never reached the disk read as zeros. */
static void test_file_with_zeros_from_every_byte(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(true);
        for (size_t from = strlen("base a\n"); from < image.a.len; from++) {
                _cleanup_(buf_done) struct buf damaged = { 0 };
                assert_int_equal(buf_append(&damaged, image.a.data, image.a.len), 0);
                memset(damaged.data + from, 0, damaged.len - from);
                put_back(&image);
                write_whole(FILE_A, damaged.data, damaged.len);
                assert_int_equal(recover().files_repaired, 1);
                expect_file("a", "base a\n" A_LINES);
        }
}

static void test_file_and_directories_gone(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        put_back(&image);
        assert_int_equal(unlinkat(fixture_config.datadir_fd, FILE_B, 0), 0);
        assert_int_equal(unlinkat(fixture_config.datadir_fd, "logs/p/b", AT_REMOVEDIR), 0);
        expect_file("b", NULL); /* without recovery it is lost */
        assert_int_equal(recover().files_repaired, 1);
        expect_file("b", B_LINES);
}

/* What follows the journal's lines was synced without it, or never acknowledged: it may stay. */
static void test_more_than_the_journal_knows(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        assert_int_equal(buf_append_str(&image.a, "synced\nto"), 0);
        put_back(&image);
        assert_int_equal(recover().files_repaired, 0);
        expect_file("a", A_LINES "synced\nto");
        start(); /* and the torn line is set aside when the file is opened */
        assert_int_equal(put("a", "on\n"), 0);
        expect_file("a", A_LINES "synced\non\n");
}

/* What the journal holds comes back when somebody removed the file, or cut it below those lines. */
static void test_files_changed_by_hand(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(true);
        put_back(&image);
        assert_int_equal(unlinkat(fixture_config.datadir_fd, FILE_A, 0), 0);
        write_whole(FILE_B, "ba", 2);
        struct log_recovery_counts counts = recover();
        assert_int_equal(counts.files_changed, 2);
        expect_file("a", A_LINES);
        expect_file("b", B_LINES);
        _cleanup_(freep) char *torn = file_text("b", DAY_1, ".torn");
        assert_string_equal(torn, "ba");
}

/* ---- a journal that is cut ---- */

#define FRAME_BYTES_MAX 128 /* of a commit here */

/* The bytes of a commit in its block; what follows is padding. */
static size_t frame_size(size_t commit)
{
        size_t size = JOURNAL_FRAME_HEAD_SIZE + 26 + 2 + strlen(commits[commit].text);
        assert_true(size <= FRAME_BYTES_MAX);
        return size;
}

/* However much of the journal got to the disk: whole commits come back, from the first on, and nothing else. Each
 * byte of a commit is a cut of its own; of the padding, where one cut is like the next, the ends and a few between
 * will do. */
static void test_journal_cut_at_every_byte(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(true);
        const struct buf *journal = &image.segments[0];
        const size_t end = JOURNAL_BLOCK * (1 + ARRAY_LEN(commits));
        for (size_t i = end; i < journal->len; i++)
                assert_int_equal(journal->data[i], 0);
        put_back(&image);
        for (size_t len = JOURNAL_BLOCK; len <= end; len++) {
                size_t into = len % JOURNAL_BLOCK, whole = 0; /* padding may be missing */
                if (into > FRAME_BYTES_MAX && into < JOURNAL_BLOCK - 1 && into % 512 != 0)
                        continue;
                for (size_t i = 0; i < ARRAY_LEN(commits); i++)
                        whole += len >= (1 + i) * JOURNAL_BLOCK + frame_size(i);
                write_whole(SEGMENT, journal->data, len);
                write_whole(FILE_A, "base a\n", strlen("base a\n"));
                write_whole(FILE_B, "base b\n", strlen("base b\n"));
                assert_int_equal(recover().frames, whole);
                expect_prefix("a", "base a\n", whole);
                expect_prefix("b", "base b\n", whole);
        }
}

/* The last commit reached the disk in part: zeros, or an older use of the segment, instead of any one of its bytes. */
static void test_last_commit_torn_at_every_byte(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(true);
        struct buf *journal = &image.segments[0];
        size_t last = JOURNAL_BLOCK * ARRAY_LEN(commits);
        size_t used = frame_size(3);
        for (size_t i = 0; i < used; i++) {
                journal->data[last + i] ^= 0x41;
                put_back(&image);
                struct log_recovery_counts counts = recover();
                assert_int_equal(counts.frames, 3);
                assert_int_equal(counts.frames_damaged, 0);
                journal->data[last + i] ^= 0x41;
        }
}

/* A segment that is written over holds old commits behind the new ones. */
static void test_old_commits_are_not_brought_back(void **state _unused_)
{
        _cleanup_(image_done) struct image first = killed_after_commits(false);
        start();
        assert_int_equal(put("a", "new\n"), 0);
        _cleanup_(image_done) struct image image = take_image();
        stop();
        assert_int_equal(image.segments[0].len, first.segments[0].len); /* the old ones are still there */
        put_back(&image);
        write_whole(FILE_A, A_LINES, strlen(A_LINES)); /* lost: "new" */
        assert_int_equal(recover().frames, 1);
        expect_file("a", A_LINES "new\n");
        expect_file("b", B_LINES);
}

static void test_hole_in_the_journal(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        put_back(&image);
        flip_bit(SEGMENT, 2 * JOURNAL_BLOCK + 60); /* in the second commit, which is b's */
        write_whole(FILE_A, "", 0);
        write_whole(FILE_B, "", 0);
        struct log_recovery_counts counts = recover();
        assert_int_equal(counts.frames, 3);
        assert_int_equal(counts.frames_damaged, 1);
        expect_file("a", A_LINES);
        expect_file("b", "");
        assert_false(exists(SEGMENT));
        assert_true(exists(SEGMENT ".damaged-1"));
        assert_int_equal(recover().frames, 0);
}

static void test_head_is_damaged(void **state _unused_)
{
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        put_back(&image);
        flip_bit(SEGMENT, 3);
        assert_int_equal(recover().frames, 0);
        assert_true(exists(SEGMENT ".damaged-0"));
        expect_file("a", A_LINES);
}

/* A segment's first sync was under way: the file has its size, and none of its bytes. */
static void test_segment_that_was_never_synced(void **state _unused_)
{
        static const uint8_t zeros[5 * JOURNAL_BLOCK];
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        put_back(&image);
        write_whole("journal/1.wal", zeros, sizeof(zeros));
        struct log_recovery_counts counts = recover();
        assert_int_equal(counts.frames, 4);
        assert_true(exists("journal/1.wal"));
        assert_false(exists("journal/1.wal.damaged-0"));
        expect_file("a", A_LINES);
        start();
        assert_int_equal(put("a", "new\n"), 0);
        stop();
        expect_file("a", A_LINES "new\n");
}

static void test_written_by_a_newer_version(void **state _unused_)
{
        struct log_recovery_counts counts;
        struct error err;
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        uint8_t head[JOURNAL_BLOCK];
        journal_segment_write(head, &(struct journal_segment){ .generation = 7, .live = true });
        head[8] = 2; /* the version, and the checksum that goes with it */
        memset(head + 12, 0, 4);
        uint32_t crc = crc32c(0, head, 32);
        memcpy(head + 12, &crc, 4);
        memcpy(image.segments[0].data, head, sizeof(head));
        put_back(&image);
        assert_true(log_recovery_run(fixture_config.datadir_fd, &counts, &err) < 0);
        assert_non_null(strstr(err.text, "newer"));
}

/* ---- several segments, files removed, failures ---- */

/* Checkpoints are held up until every segment but one is full. */
static void test_several_segments(void **state _unused_)
{
        char line[60001], want[200000] = "";
        fixture_config.journal_bytes = 4 * 65536;
        faults.in_sync_all = gate_pass; /* new names: the whole file system is synced */
        gate_shut();
        start();
        for (char c = '1'; c <= '3'; c++) {
                memset(line, c, sizeof(line));
                memcpy(line + sizeof(line) - 2, "\n", 2);
                assert_int_equal(put("a", line), 0);
                strcat(want, line);
        }
        _cleanup_(image_done) struct image image = take_image();
        gate_open();
        stop();
        faults.in_sync_all = NULL;
        for (unsigned slot = 0; slot < 3; slot++)
                assert_true(image.segments[slot].len > 60000);
        put_back(&image);
        write_whole(FILE_A, "", 0);
        assert_int_equal(recover().frames, 3);
        expect_file("a", want);
}

static atomic_uint waited_with; /* that many segments were in use when a commit first waited for a checkpoint */

/* Only now may the checkpoint go on. */
static void note_segments(void)
{
        unsigned used = 0;
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++) {
                char path[JOURNAL_PATH_SIZE];
                struct stat st;
                journal_path(slot, path);
                used += fstatat(fixture_config.datadir_fd, path, &st, 0) == 0 && st.st_size > 60000;
        }
        if (atomic_load(&waited_with) == 0)
                atomic_store(&waited_with, used);
        gate_open();
}

/* The first checkpoint is held up until the fifth commit waits for it, with each segment full. */
static void test_commits_wait_for_a_free_segment(void **state _unused_)
{
        static struct probe probes[12];
        static char line[60001];
        memset(line, 'x', sizeof(line) - 1);
        memcpy(line + sizeof(line) - 2, "\n", 2);
        fixture_config.journal_bytes = 4 * 65536;
        atomic_store(&waited_with, 0);
        faults.in_sync_all = gate_pass; /* a new name: the whole file system is synced */
        faults.in_checkpoint_wait = note_segments;
        gate_shut();
        start();
        for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
                probes[i] = (struct probe){ 0 };
                probe_add(&probes[i], "a", line);
                assert_int_equal(submit(&probes[i]), 0);
        }
        for (size_t i = 0; i < ARRAY_LEN(probes); i++)
                assert_int_equal(await(&probes[i]), 0);
        assert_int_equal(waited_with, JOURNAL_SEGMENTS);
        stop();
        assert_true(faults.counters[METRICS_LOG_CHECKPOINTS] > 1);
        _cleanup_(freep) char *text = file_text("a", DAY_1, "");
        assert_int_equal(strlen(text), 12 * 60000);
        uint64_t bytes = 0;
        for (unsigned slot = 0; slot < JOURNAL_SEGMENTS; slot++) {
                char path[JOURNAL_PATH_SIZE];
                struct stat st;
                journal_path(slot, path);
                if (fstatat(fixture_config.datadir_fd, path, &st, 0) == 0)
                        bytes += (uint64_t)st.st_size;
        }
        assert_true(bytes > 0 && bytes <= fixture_config.journal_bytes);
}

static void on_unlinked(struct log_unlink *u, int result)
{
        u->result = result;
}

/* A file that was deleted while the journal held its lines is not made again, but for what came later. */
static void test_deleted_file(void **state _unused_)
{
        struct log_unlink u = { .source = source_of("a"), .day = DAY_1, .done = on_unlinked };
        for (int again = 0; again < 2; again++) {
                start();
                assert_int_equal(put("a", "old\n"), 0);
                assert_int_equal(log_committer_unlink(committer, &u), 0);
                assert_int_equal(put(again ? "a" : "b", "new\n"), 0);
                assert_int_equal(u.result, 0);
                _cleanup_(image_done) struct image image = take_image();
                stop();
                put_back(&image);
                unlinkat(fixture_config.datadir_fd, FILE_A, 0);
                assert_in_range(recover().frames, 2, 3); /* the unlink may share a commit with what follows */
                expect_file("a", again ? "new\n" : NULL);
                expect_file("b", "new\n");
        }
}

/* An operator empties the file while it grows: the journal still has the line from before. */
static void test_emptied_file(void **state _unused_)
{
        start();
        assert_int_equal(put("a", "old\n"), 0);
        write_whole(FILE_A, "", 0);
        assert_int_equal(put("a", "n\n"), 0);
        assert_int_equal(put("b", "b\n"), 0);
        _cleanup_(image_done) struct image image = take_image();
        stop();
        put_back(&image);
        recover();
        expect_file("a", "old\nn\n");
}

/* Lines synced straight to their file, between lines of the journal. */
static void test_directly_synced_lines_stay(void **state _unused_)
{
        static char big[200000], want[200100];
        memset(big, 'x', sizeof(big) - 1);
        memcpy(big + sizeof(big) - 2, "\n", 2);
        snprintf(want, sizeof(want), "1\n%s3\n", big);
        start();
        assert_int_equal(put("a", "1\n"), 0);
        assert_int_equal(put("a", big), 0);
        assert_int_equal(faults.counters[METRICS_LOG_SYNCED_DIRECTLY], 1);
        assert_int_equal(put("a", "3\n"), 0);
        _cleanup_(image_done) struct image image = take_image();
        stop();
        assert_null(memmem(image.segments[0].data, image.segments[0].len, "xxxx", 4)); /* the journal never saw them */
        put_back(&image);
        write_whole(FILE_A, want, 2 + sizeof(big) - 1); /* lost: "3" */
        assert_int_equal(recover().files_repaired, 1);
        expect_file("a", want);
}

/* What was refused is in no commit, though others of its group are. */
static void test_refused_lines_do_not_come_back(void **state _unused_)
{
        struct probe before = { 0 }, refused = { 0 };
        probe_add(&before, "a", "1\n");
        probe_add(&refused, "b", "22\n");
        probe_add(&refused, "a", "333\n");
        start();
        hold();
        assert_int_equal(submit(&before), 0);
        assert_int_equal(submit(&refused), 0);
        atomic_store(&faults.write_budget, 6);
        release();
        assert_int_equal(await(&refused), -ENOSPC);
        assert_int_equal(await(&before), 0);
        atomic_store(&faults.write_budget, -1);
        _cleanup_(image_done) struct image image = take_image();
        stop();
        put_back(&image);
        write_whole(FILE_A, "", 0);
        assert_int_equal(recover().frames, 1);
        expect_file("a", "1\n");
        expect_file("b", "");
}

static void test_failures_keep_the_journal(void **state _unused_)
{
        struct log_recovery_counts counts;
        struct error err;
        _cleanup_(image_done) struct image image = killed_after_commits(false);
        for (int step = 0; step < 3; step++) {
                put_back(&image);
                write_whole(FILE_A, "", 0);
                write_whole(FILE_B, "", 0);
                if (step == 0)
                        atomic_store(&faults.journal_budget, 3); /* the disk is full */
                else if (step == 1)
                        atomic_store(&faults.all_sync_fails_at, 1);
                else
                        atomic_store(&faults.sync_fails_at, 1); /* of a segment's head */
                assert_int_equal(log_recovery_run(fixture_config.datadir_fd, &counts, &err),
                                 step == 0 ? -ENOSPC : -EIO);
                assert_true(err.text[0]);
                atomic_store(&faults.journal_budget, -1);
                assert_int_equal(recover().frames, step < 2 ? 4 : 0);
                expect_file("a", A_LINES);
                expect_file("b", B_LINES);
        }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                CASE(test_fresh_directory),
                CASE(test_orderly_stop_leaves_nothing),
                CASE(test_kill),
                CASE(test_file_cut_at_every_byte),
                CASE(test_file_with_zeros_from_every_byte),
                CASE(test_file_and_directories_gone),
                CASE(test_more_than_the_journal_knows),
                CASE(test_files_changed_by_hand),
                CASE(test_journal_cut_at_every_byte),
                CASE(test_last_commit_torn_at_every_byte),
                CASE(test_old_commits_are_not_brought_back),
                CASE(test_hole_in_the_journal),
                CASE(test_head_is_damaged),
                CASE(test_segment_that_was_never_synced),
                CASE(test_written_by_a_newer_version),
                CASE(test_several_segments),
                CASE(test_commits_wait_for_a_free_segment),
                CASE(test_deleted_file),
                CASE(test_emptied_file),
                CASE(test_directly_synced_lines_stay),
                CASE(test_refused_lines_do_not_come_back),
                CASE(test_failures_keep_the_journal),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
