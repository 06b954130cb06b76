#include "protocol/encoding.h"

#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

static const struct {
        const char *name;
        enum encoding encoding;
} encodings[] = {
        { "identity", ENCODING_IDENTITY }, { "gzip", ENCODING_GZIP },   { "zstd", ENCODING_ZSTD },
        { "deflate", ENCODING_DEFLATE },   { "x-gzip", ENCODING_GZIP }, { "", ENCODING_IDENTITY },
};

enum encoding encoding_from_name(const char *name, size_t len)
{
        for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
                if (strlen(encodings[i].name) == len && strncasecmp(encodings[i].name, name, len) == 0)
                        return encodings[i].encoding;
        }
        return ENCODING_UNKNOWN;
}

const char *encoding_name(enum encoding e)
{
        for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
                if (encodings[i].encoding == e)
                        return encodings[i].name;
        }
        return "unknown";
}
