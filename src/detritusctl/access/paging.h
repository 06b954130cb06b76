#pragma once
/* Lists come in pages: where one begins, and the note that says where the next one does. */

#include "storage/index/index_list.h"

/* The value of --after. CTL_OK, or CTL_USAGE after a message. */
int paging_cursor(const char *text, struct index_cursor *ret);

/* On standard error, after the list: that there is more and the --after that goes on; to people also that no `what`
 * ("crash") matches. */
void paging_say_more(const struct index_page *page, const char *what);
