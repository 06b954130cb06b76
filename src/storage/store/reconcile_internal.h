#pragma once
/* What reconcile.c (crashes, and the whole) and reconcile_logs.c share. */

#include "storage/store/reconcile.h"

/* Adds what it found to the counts. 0 or -errno. */
int reconcile_log_files(int datadir_fd, struct index *index, struct reconcile_counts *counts);
