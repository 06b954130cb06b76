#pragma once
/* Reads one JSON file of crashes/by-source back: the counterpart of mirror.h. Any thread that may block. */

#include "storage/index/index.h"
#include "util/error.h"

#define ADOPT_REPORT_MAX_BYTES (1024 * 1024) /* 64 KiB of metadata with white space, and the attachments */

struct adopt_report;

/* path is relative to datadir_fd. 0; with err: ADOPT_REPORT_UNREADABLE, or -errno when the file cannot be read; or
 * -ENOMEM. */
enum { ADOPT_REPORT_UNREADABLE = 1 };
int adopt_report_read(int datadir_fd, const char *path, struct adopt_report **ret, struct error *err);
struct adopt_report *adopt_report_free(struct adopt_report *report); /* NULL-safe */
DEFINE_FREEP(adopt_report_free, struct adopt_report)

/* Borrowed; received_at is the file's mtime. */
const struct index_crash *adopt_report_crash(const struct adopt_report *report);
