#pragma once
/* What index_list.c and index_list_sources.c share. */

#include "storage/index/index_internal.h"
#include "storage/index/index_list.h"

#define INDEX_LIST_BATCH 256
#define AFTER_ANY_TIME "~" /* as a cursor's time: at the beginning */

/* How many rows a page still needs from one batch. */
size_t index_page_room(const struct index_page *page);
/* The JSON text of the first row, copied, so that no statement is open while cb runs. -ENOENT. */
int index_hand_out_json(struct index *x, enum index_statement which, const struct index_arg *args, size_t n,
                        index_json_cb cb, void *userdata);
/* The first column of all rows; the statement's LIMIT fits ret_ids. */
int index_take_ids(struct index *x, enum index_statement which, const struct index_arg *args, size_t n_args,
                   int64_t *ret_ids, size_t *ret_n);
