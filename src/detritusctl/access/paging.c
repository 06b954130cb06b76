#include "detritusctl/access/paging.h"

#include <inttypes.h>
#include <string.h>

#include "detritusctl/cli/arg.h"
#include "detritusctl/cli/ctl.h"
#include "detritusctl/cli/say.h"
#include "detritusctl/screen/screen.h"
#include "util/clock.h"

int paging_cursor(const char *text, struct index_cursor *ret)
{
        struct moment at;
        size_t len = INDEX_TIME_SIZE - 1;
        if (strlen(text) > len + 1 && text[len] == ',' && clock_parse_rfc3339(text, len, &at) == 0) {
                memcpy(ret->at, text, len);
                ret->at[len] = '\0';
                ret->id = arg_id(text + len + 1);
                if (ret->id >= 0)
                        return CTL_OK;
        }
        return say_usage("--after: \"%s\" is not the end of a page; use a time and an id, like "
                         "2026-05-19T08:30:00.000Z,42",
                         text);
}

void paging_say_more(const struct index_page *page, const char *what)
{
        if (page->looked_enough)
                say_at_end("searched %" PRIu64 " panic texts, back to %s; search more with --depth, or go on with "
                           "--after %s,%" PRId64,
                           page->looked, page->end.at, page->end.at, page->end.id);
        else if (page->more)
                say_at_end("there is more: --after %s,%" PRId64, page->end.at, page->end.id);
        else if (page->n == 0 && screen_is_terminal())
                say_at_end("no %s matches", what);
}
