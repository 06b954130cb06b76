#pragma once
/* The options that choose crashes, and what they ask of the index. */

#include "detritusctl/access/names.h"
#include "detritusctl/cli/command.h"
#include "storage/index/index_list.h"

#define CRASH_FILTER_OPTIONS                                                                                           \
        { "project", "P", "only of this project" }, { "install", "ID", "only of this installation" },                  \
                { "platform", "NAME", "only of this platform" },                                                       \
                { "version", "V", "only of this version of the program" },                                             \
                { "kind", "KIND", "only of this kind", .choices = crash_filter_kinds },                                \
        {                                                                                                              \
                "grep", "TEXT", "only with this text in the panic text, in upper or lower case"                        \
        }

extern const char *const crash_filter_kinds[];

struct crash_filter {
        struct index_crash_filter index;
        struct names names;
        struct moment since, until;
};

/* Reads --project and the other options; --since and --until only with_times. f->index points into *f and ctl.
 * CTL_OK; or CTL_USAGE, or CTL_FAILED for a project or an installation that does not exist, after a message. */
int crash_filter_read(const struct ctl *ctl, bool with_times, struct crash_filter *f);
