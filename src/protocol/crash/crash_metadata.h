#pragma once
/* The `metadata` part of a crash report: JSON, checked field by field. Pure. The object does not change once it is
 * parsed, so any thread may read it. json-c reads it, because it keeps unsigned numbers of 64 bits, such as an RNG seed
 * in `context`. Source: docs/protocol.md "Crashes". */

#include <stddef.h>
#include <stdint.h>

#include "protocol/answer.h"
#include "protocol/source.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define CRASH_METADATA_MAX_BYTES (64 * 1024)

/* What a client declared about an attachment, in the order it declared them. */
struct crash_manifest {
        const char *key;
        const char *filename; /* NULL: none */
        const char *content_type;
        uint64_t len;
};

/* The object owns all strings. They are valid UTF-8 without NUL. */
struct crash_metadata {
        struct source source; /* install_id is the UUID in lower-case hyphenated form */
        const char *platform;
        const char *version;
        struct moment timestamp;
        const char *kind; /* "Minidump", "PanicTarball" or "RustcIce" */
        const char *git_sha;
        const char *profile;
        const char *target_triple;
        const char *panic_text; /* NULL: none */
        const char *context;    /* JSON text, compact */
        const char *json;       /* the whole document, compact, unknown keys kept, timestamp and UUID normalised */
        size_t n_manifest;
        const struct crash_manifest *manifest;
};

/* Parses and checks. Over CRASH_METADATA_MAX_BYTES: ANSWER_TOO_LARGE. Order: JSON syntax, then schema_version
 * (ANSWER_VERSION, "protocol version 2 does not match 1"), then each field: ANSWER_MALFORMED with its path and what was
 * expected ("metadata.source.install_id: not a UUID"). Nesting over 32, NaN and Infinity, duplicate manifest keys, and
 * a manifest longer than max_manifest are ANSWER_MALFORMED. -ENOMEM. */
int crash_metadata_parse(const uint8_t *data, size_t len, unsigned max_manifest, struct crash_metadata **ret,
                         struct refusal *r);
struct crash_metadata *crash_metadata_free(struct crash_metadata *m); /* NULL-safe */
DEFINE_FREEP(crash_metadata_free, struct crash_metadata)
