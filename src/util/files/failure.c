#include "util/files/failure.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util/cleanup.h"

#define P FAILURE_PASSING
#define R FAILURE_REQUEST
#define F FAILURE_FINAL

/* A sync that cannot open its directory has synced nothing, and lost nothing: fsync(2) itself never says what is
 * passing in the last column, or durable.c makes EIO of it. */
static const struct {
        int error;
        enum failure by_call[3]; /* FAILURE_NAME, FAILURE_WRITE, FAILURE_SYNC */
        const char *words;       /* NULL: strerror() */
} table[] = {
        /*                  name write sync */
        { EIO, { P, F, F }, "the server's disk failed" },
        { ENOSPC, { P, P, F }, "no space left on the server's disk" },
        { EDQUOT, { P, P, F }, "no space left on the server's disk" },
        { EROFS, { P, P, F }, "the store does not take writes" },
        { EMFILE, { P, P, P }, "too many files are open" },
        { ENFILE, { P, P, P }, "too many files are open" },
        { ENOMEM, { P, P, P }, "out of memory" },
        { EAGAIN, { P, P, P }, NULL },
        { EINTR, { P, P, P }, NULL },
        { EBUSY, { P, P, P }, "the store is busy" },
        { EACCES, { P, P, P }, "the server may not use files of its own" },
        { EPERM, { P, P, P }, "the server may not use files of its own" },
        { ENOENT, { P, P, P }, NULL },
        { ENOTDIR, { P, P, P }, NULL },
        { EISDIR, { P, P, P }, NULL },
        { ELOOP, { P, P, P }, NULL },
        { EINVAL, { R, R, F }, NULL },
        { ENAMETOOLONG, { R, R, P }, NULL },
        { EILSEQ, { R, R, P }, NULL },
        { E2BIG, { R, R, F }, NULL },
        { EOVERFLOW, { R, R, F }, NULL },
};

/* What nobody has thought of loses no request, and no sync. */
static const enum failure unknown[3] = { P, P, F };

enum failure failure_of(enum failure_call call, int error)
{
        assert(error < 0);
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {
                if (table[i].error == -error)
                        return table[i].by_call[call];
        }
        return unknown[call];
}

const char *failure_words(int error)
{
        for (size_t i = 0; i < ARRAY_LEN(table); i++) {
                if (table[i].error == -error && table[i].words)
                        return table[i].words;
        }
        return strerror(-error);
}

bool failure_is_denial(int error)
{
        switch (-error) {
        case EACCES:
        case EPERM:
        case EROFS: return true;
        default: return false;
        }
}

bool failure_is_full(int error)
{
        return error == -ENOSPC || error == -EDQUOT;
}

bool failure_is_descriptors(int error)
{
        return error == -EMFILE || error == -ENFILE;
}
