#pragma once
/* The headers of a tar archive of plain files. Pure. Source: POSIX.1-2017, pax, "ustar Interchange Format"; sizes of 8
 * GiB and more in GNU's base-256, which every tar today reads. */

#include <stdint.h>

#define TAR_BLOCK_BYTES 512
#define TAR_NAME_MAX 100

/* Mode 0640, uid and gid 0. 0; -ENAMETOOLONG: name has more than TAR_NAME_MAX bytes. */
int tar_header(const char *name, uint64_t len, int64_t mtime, uint8_t ret[TAR_BLOCK_BYTES]);

/* How many zero bytes follow a file of this length. An archive ends with two blocks of zeros. */
unsigned tar_padding(uint64_t len);
