#include "util/files/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Where the fields are: names and offsets from the table in POSIX. */
enum { NAME = 0, MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, CHKSUM = 148, TYPEFLAG = 156, MAGIC = 257 };
#define OCTAL_MAX UINT64_C(077777777777) /* in the 11 digits of size and mtime */

static void put_octal(uint8_t *field, unsigned digits, uint64_t value)
{
        char text[24];
        snprintf(text, sizeof(text), "%0*" PRIo64, (int)digits, value);
        memcpy(field, text, digits + 1);
}

static void put_size(uint8_t *field, uint64_t value)
{
        if (value <= OCTAL_MAX) {
                put_octal(field, 11, value);
                return;
        }
        field[0] = 0x80;
        for (unsigned i = 0; i < 8; i++)
                field[11 - i] = (uint8_t)(value >> (8 * i));
}

int tar_header(const char *name, uint64_t len, int64_t mtime, uint8_t ret[TAR_BLOCK_BYTES])
{
        size_t n = strlen(name);
        unsigned sum = 0;
        if (n > TAR_NAME_MAX)
                return -ENAMETOOLONG;
        memset(ret, 0, TAR_BLOCK_BYTES);
        memcpy(ret + NAME, name, n);
        put_octal(ret + MODE, 7, 0640);
        put_octal(ret + UID, 7, 0);
        put_octal(ret + GID, 7, 0);
        put_size(ret + SIZE, len);
        put_octal(ret + MTIME, 11, mtime < 0 ? 0 : (uint64_t)mtime & OCTAL_MAX);
        ret[TYPEFLAG] = '0';
        memcpy(ret + MAGIC, "ustar\00000", 8);
        memset(ret + CHKSUM, ' ', 8);
        for (unsigned i = 0; i < TAR_BLOCK_BYTES; i++)
                sum += ret[i];
        put_octal(ret + CHKSUM, 6, sum);
        return 0;
}

unsigned tar_padding(uint64_t len)
{
        return (unsigned)((TAR_BLOCK_BYTES - len % TAR_BLOCK_BYTES) % TAR_BLOCK_BYTES);
}
