#pragma once
/* What code prints on standard output or standard error, for tests. */

#include <stddef.h>

/* From here on `stream` (STDOUT_FILENO, STDERR_FILENO) goes to a file. */
void captured_begin(int stream);
/* ... or standard output to a terminal of that many columns; screen_init() is called for it. */
void captured_begin_terminal(unsigned columns);
/* Puts the stream back. What was printed, until the next call; without the carriage returns of a terminal. */
const char *captured_end(void);
