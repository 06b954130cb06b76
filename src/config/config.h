#pragma once
/* The typed, validated configuration of the daemon: defaults, then a YAML or TOML file, then flags. Immutable once the
 * server has it. docs/configuration.md lists every key with its default, unit and meaning. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cleanup.h"
#include "util/error.h"
#include "util/log.h"

#define CONFIG_DEFAULT_BIND "127.0.0.1:4317" /* when no listener is given */

struct config_limits {
        /* HTTP/2 */
        unsigned http2_streams;           /* concurrent streams a connection: 100 */
        unsigned http2_stream_window;     /* bytes: 64 KiB */
        unsigned http2_upload_window;     /* bytes, an admitted upload's stream: 1 MiB */
        unsigned http2_connection_window; /* bytes: 1 MiB */
        unsigned http2_outbound_acks;     /* 100 */
        /* heads, both versions */
        unsigned head_bytes;     /* 16 KiB */
        unsigned head_fields;    /* 64 */
        unsigned http1_requests; /* requests a connection: 1000 */
        /* time, seconds */
        unsigned head_timeout_secs;          /* first request head: 10 */
        unsigned body_idle_timeout_secs;     /* 30 */
        unsigned body_min_rate;              /* bytes/s after body_idle_timeout_secs: 1024 */
        unsigned write_timeout_secs;         /* a stalled write: 30 */
        unsigned idle_timeout_secs;          /* a connection without requests: 180 */
        unsigned drain_timeout_secs;         /* at shutdown: 30 */
        unsigned control_idle_timeout_secs;  /* of the control socket: 60 */
        unsigned control_write_timeout_secs; /* likewise: 5 */
        /* connections */
        unsigned connections;             /* 8192 */
        unsigned connections_per_address; /* 256 */
        /* logs */
        uint64_t inflight_body_bytes; /* request bytes in memory over the process: 256 MiB */
        unsigned otlp_depth;          /* 32 */
        unsigned otlp_resources;      /* ResourceLogs a request: 16384 */
        unsigned otlp_records;        /* 1048576 */
        unsigned otlp_submessages;    /* 8388608 */
        unsigned otlp_attributes;     /* 128 */
        uint64_t otlp_line_bytes;     /* 1 MiB */
        uint64_t otlp_rendered_bytes; /* the lines of one request: 256 MiB */
        uint64_t otlp_arena_bytes;    /* 64 MiB */
        unsigned log_queue_batches;   /* 65536 */
        uint64_t log_queue_bytes;     /* 128 MiB */
        unsigned log_files_open;      /* 16384 */
        uint64_t log_journal_bytes;   /* 128 MiB */
        /* crashes */
        unsigned multipart_parts;      /* attachments: 64 */
        unsigned multipart_head_bytes; /* 8 KiB */
        unsigned uploads;              /* at once: 64 */
        unsigned uploads_per_source;   /* 8 */
        unsigned index_queue_reports;  /* 1024 */
        /* disk, bytes that stay free; 0: by the file system's size (storage/space/space.h) */
        uint64_t disk_reserve_uploads_bytes; /* 0 */
        uint64_t disk_reserve_logs_bytes;    /* 0 */
        unsigned disk_full_pause_secs;       /* 2 */
        /* tokens */
        unsigned verifier_threads;     /* 1 */
        unsigned verifier_queue;       /* 1024 */
        unsigned token_cache_entries;  /* 16384 */
        unsigned token_cache_secs;     /* no effect: good tokens stay */
        unsigned token_cache_bad_secs; /* of bad ones: 60 */
        unsigned rate_limit_sources;   /* buckets kept: 65536 */
};

enum config_durability { CONFIG_DURABILITY_COMMIT, CONFIG_DURABILITY_WRITTEN };

#define CONFIG_LISTENERS_MAX 16
#define CONFIG_PROJECTS_MAX 256
#define CONFIG_DERIVE_MAX 16       /* rules */
#define CONFIG_DERIVE_NAME_MAX 128 /* bytes of an attribute's name in a rule */
#define CONFIG_PROJECT_SIZE 129    /* a project's name, with its NUL */

/* Beyond these the oldest is evicted. 0: no cap. */
struct config_caps {
        uint64_t logs_max_bytes, crashes_max_bytes;
};

struct config_project {
        char name[CONFIG_PROJECT_SIZE];
        struct config_caps caps;
};

struct config {
        char *path;                            /* the file this came from; NULL: none */
        size_t n_listeners;                    /* at least 1 */
        char *listeners[CONFIG_LISTENERS_MAX]; /* "ADDR:PORT", "[ADDR6]:PORT" */
        char *data_dir;
        char *tokens_config; /* NULL until given; a daemon needs one */
        enum log_format log_format;
        enum config_durability durability;
        bool strict_protocol_version;
        bool derive_source;
        bool strict; /* a log export is stored whole or not at all */
        size_t n_derive_install_id;
        char *derive_install_id[CONFIG_DERIVE_MAX]; /* "host.name", "service.name@host.name" */
        unsigned network_threads;                   /* 0: one a core */
        unsigned logs_ttl_days;
        unsigned logs_compress_after_days; /* 0: never */
        uint64_t logs_max_message_bytes;
        unsigned crashes_ttl_days;
        uint64_t crashes_max_part_bytes;
        uint64_t crashes_max_request_bytes;
        struct config_caps caps; /* over all projects */
        size_t n_projects;
        struct config_project *projects; /* those with caps of their own */
        unsigned janitor_interval_secs;
        struct config_limits limits;
};

/* The defaults. 0 or -ENOMEM. */
int config_new(struct config **ret);
struct config *config_free(struct config *c); /* NULL-safe */
DEFINE_FREEP(config_free, struct config)

/* Reads a file over what is there. 0, CONFIG_REFUSED with "<path>:<line>: reason", or -errno with words. After a
 * refusal the config is unusable. */
enum { CONFIG_REFUSED = 1 };
int config_read(struct config *c, const char *path, struct error *err);

/* One setting by its flag name without dashes ("bind", "data-dir", "tokens-config", "log-format", "max-dump-bytes",
 * "logs-ttl-days", "crashes-ttl-days", "janitor-interval-secs"). "bind" replaces all listeners. 0 or CONFIG_REFUSED
 * with "--<name>: reason". */
int config_set(struct config *c, const char *flag, const char *value, struct error *err);

/* "ADDR:PORT" as getaddrinfo-free literals: 127.0.0.1:4317, [::1]:4317. 0 or CONFIG_REFUSED. */
int config_check_address(const char *text, struct error *err);

/* "100MiB", "64KiB", "1GiB", "4096". 0 or CONFIG_REFUSED. */
int config_parse_size(const char *text, uint64_t *ret);
