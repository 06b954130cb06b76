#pragma once
/* What verify.c (the order of things, and what is checked twice), verify_blobs.c, verify_mirrors.c and verify_logs.c
 * share. */

#include "storage/crashes/mirror.h"
#include "storage/index/index_check.h"
#include "storage/index/index_read.h"
#include "upkeep/verify.h"

#define VERIFY_PAGE_ROWS 500
#define VERIFY_PATH_SIZE MIRROR_PATH_SIZE
#define VERIFY_SUSPECTS_MAX 4096 /* then they are checked again before more are added */
#define VERIFY_PROGRESS_FILES 256

struct verify;
struct suspect;

/* Is it still a finding? Then says why in suspect->problem. */
typedef bool (*verify_again)(struct verify *v, struct suspect *s);

/* Something that a running daemon may be about to put right. */
struct suspect {
        enum verify_kind kind;
        verify_again again;
        int64_t id;
        uint64_t number; /* its meaning depends on again() */
        char path[VERIFY_PATH_SIZE];
        char problem[160];
};

struct verify {
        int datadir_fd;
        struct index *index;
        const struct verify_config *config;
        struct verify_counts counts;
        struct index_totals *totals;
        struct index_usage usage; /* bytes; 0: unknown */
        uint64_t bytes_read;      /* in this step, where contents are read */
        struct moment started;
        size_t n_suspects;
        struct suspect *suspects;
        uint64_t last_suspect_ns;
};

/* 0, or what finding() returned. */
int verify_report(struct verify *v, enum verify_kind kind, const char *what, int64_t id, const char *form, ...)
        _printf_(5, 6);
/* Calls again(): at once without a daemon, else later. */
int verify_suspect(struct verify *v, const struct suspect *s);
/* What is done never exceeds `all`, which grows when it was too low; 0: it is not known. Of rows looked at. Not when
 * contents are read: then most of the time goes into those. */
void verify_progress(struct verify *v, const char *step, uint64_t done, uint64_t all);
/* Of contents read: reports each MiB. */
void verify_read_bytes(struct verify *v, const char *step, uint64_t n, uint64_t all);
/* A daemon runs, and the moment is so recent that it may not have finished. */
bool verify_is_young(const struct verify *v, struct moment at);

int verify_blobs(struct verify *v);
int verify_mirrors(struct verify *v);
int verify_logs(struct verify *v);
