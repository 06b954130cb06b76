#pragma once
/* CRC-32C (Castagnoli; RFC 3720 appendix B.4), as storage and iSCSI use it. Pure; ISA-L does the work. */

#include <stddef.h>
#include <stdint.h>

/* The checksum of what `crc` covers, continued over len bytes; crc is 0 at the start. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len);
