#pragma once
/* What the checks of `doctor` share. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "util/cleanup.h"

enum doctor_state { DOCTOR_OK, DOCTOR_WARN, DOCTOR_BAD };

#define DOCTOR_FINDINGS_MAX 64

struct doctor {
        const struct config *config;
        pid_t daemon;    /* the one that runs on the data directory; 0: none */
        int data_dir_fd; /* -1: it cannot be opened, which is a finding already */
        size_t n_findings;
        struct doctor_finding {
                enum doctor_state state;
                const char *check;    /* a word or two; stable */
                char *found, *advice; /* owned; advice NULL: none */
        } findings[DOCTOR_FINDINGS_MAX];
};

/* Adds a finding. found: a printf(3) format; advice: what to do, or NULL. Without memory the finding is lost. */
void doctor_find(struct doctor *d, enum doctor_state state, const char *check, const char *advice, const char *found,
                 ...) _printf_(5, 6);

void doctor_files(struct doctor *d);   /* data directory, database, token file */
void doctor_disk(struct doctor *d);    /* file system, space, speed and honesty of syncs */
void doctor_machine(struct doctor *d); /* clock, cores, memory, descriptors */

/* From the latencies of small syncs, in ns, in any order; they are sorted. */
enum doctor_sync { DOCTOR_SYNC_FAST_BEYOND_BELIEF, DOCTOR_SYNC_FAST, DOCTOR_SYNC_SLOW, DOCTOR_SYNC_TOO_SLOW };
enum doctor_sync doctor_judge_syncs(uint64_t *latencies_ns, size_t n, uint64_t *ret_median_ns, uint64_t *ret_max_ns);
