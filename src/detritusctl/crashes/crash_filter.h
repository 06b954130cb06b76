#pragma once
/* The options of the commands that pick crashes, and what they ask of the index. */

#include "detritusctl/cli/command.h"
#include "storage/index/index_list.h"

#define CRASH_FILTER_OPTIONS                                                                                           \
        { "project", "P", "of this project" }, { "install", "ID", "of this installation" },                            \
                { "platform", "NAME", "of this platform" }, { "version", "V", "of this version of the program" },      \
                { "kind", "KIND", "of this kind", .choices = crash_kinds },                                            \
        {                                                                                                              \
                "grep", "TEXT", "whose panic text has this, in lower or upper case"                                    \
        }

extern const char *const crash_kinds[];

struct crash_filter {
        struct index_crash_filter index;
        struct moment since, until;
};

/* From --project and so on; and --since and --until, where the command has them. CTL_OK or, said, CTL_USAGE. f->index
 * points into f and ctl. */
int crash_filter_read(const struct ctl *ctl, bool with_times, struct crash_filter *f);
