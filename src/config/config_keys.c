/* Bounds are what the daemon can work with, not what is wise: RFC 9113 §6.9.2 fixes what a connection's window starts
 * at, a request of stock gRPC has a dozen fields, and a count of 0 would be a daemon that never answers. */

#include "config/config_internal.h"

#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)
#define WINDOW_MAX UINT64_C(0x7FFFFFFF) /* RFC 9113 §6.9.1 */
#define DAY_SECS UINT64_C(86400)

#define FIELD(field) .offset = offsetof(struct config, field), .size = sizeof(((struct config *)NULL)->field)
#define NUMBER(in, key, field, t, low, high, value)                                                                    \
        {                                                                                                              \
                .section = (in), .name = (key), .type = (t), FIELD(field), .min = (low), .max = (high), .def = (value) \
        }
#define LIMIT(key, low, high, value) NUMBER("limits", #key, limits.key, CONFIG_COUNT, low, high, value)
#define LIMIT_BYTES(key, low, high, value) NUMBER("limits", #key, limits.key, CONFIG_BYTES, low, high, value)
#define CHOICE(key, field, list, value)                                                                                \
        {                                                                                                              \
                .section = "", .name = (key), .type = CONFIG_CHOICE, FIELD(field), .def = (value), .choices = (list)   \
        }
#define TEXT(key, field, value)                                                                                        \
        {                                                                                                              \
                .section = "", .name = (key), .type = CONFIG_TEXT, FIELD(field), .def_text = (value)                   \
        }
#define BOOL(key, field, value)                                                                                        \
        {                                                                                                              \
                .section = "", .name = (key), .type = CONFIG_BOOL, FIELD(field), .def = (value)                        \
        }

static const char *const log_formats[] = { [LOG_FORMAT_PRETTY] = "pretty", [LOG_FORMAT_JSON] = "json", NULL };
static const char *const durabilities[] = {
        [CONFIG_DURABILITY_COMMIT] = "commit", [CONFIG_DURABILITY_WRITTEN] = "written", NULL
};

const struct config_key config_keys[] = {
        TEXT("data_dir", data_dir, "./data/"),
        TEXT("tokens_config", tokens_config, NULL),
        CHOICE("log_format", log_format, log_formats, LOG_FORMAT_PRETTY),
        CHOICE("durability", durability, durabilities, CONFIG_DURABILITY_COMMIT),
        BOOL("strict_protocol_version", strict_protocol_version, 0),
        BOOL("derive_source", derive_source, 1),
        BOOL("strict", strict, 0),
        NUMBER("", "network_threads", network_threads, CONFIG_COUNT, 0, 256, 0),

        NUMBER("logs", "ttl_days", logs_ttl_days, CONFIG_COUNT, 0, 36500, 14),
        NUMBER("logs", "max_message_bytes", logs_max_message_bytes, CONFIG_BYTES, KIB, GIB, 64 * MIB),
        NUMBER("logs", "max_bytes", caps.logs_max_bytes, CONFIG_BYTES, 0, 1024 * TIB, 0),
        NUMBER("logs", "compress_after_days", logs_compress_after_days, CONFIG_COUNT, 0, 36500, 0),

        NUMBER("crashes", "ttl_days", crashes_ttl_days, CONFIG_COUNT, 0, 36500, 90),
        NUMBER("crashes", "max_part_bytes", crashes_max_part_bytes, CONFIG_BYTES, 1, TIB, 100 * MIB),
        NUMBER("crashes", "max_request_bytes", crashes_max_request_bytes, CONFIG_BYTES, 1, 2 * TIB, 150 * MIB),
        NUMBER("crashes", "max_bytes", caps.crashes_max_bytes, CONFIG_BYTES, 0, 1024 * TIB, 0),

        NUMBER("janitor", "interval_secs", janitor_interval_secs, CONFIG_COUNT, 1, 365 * DAY_SECS, 3600),

        LIMIT(http2_streams, 1, 100000, 100),
        LIMIT_BYTES(http2_stream_window, 16 * KIB, WINDOW_MAX, 64 * KIB),
        LIMIT_BYTES(http2_upload_window, 16 * KIB, WINDOW_MAX, MIB),
        LIMIT_BYTES(http2_connection_window, 65535, WINDOW_MAX, MIB),
        LIMIT(http2_outbound_acks, 1, 100000, 100),
        LIMIT_BYTES(head_bytes, KIB, MIB, 16 * KIB),
        LIMIT(head_fields, 16, 4096, 64),
        LIMIT(http1_requests, 1, 1000000000, 1000),
        LIMIT(head_timeout_secs, 1, DAY_SECS, 10),
        LIMIT(body_idle_timeout_secs, 1, DAY_SECS, 30),
        LIMIT_BYTES(body_min_rate, 0, GIB, KIB),
        LIMIT(write_timeout_secs, 1, DAY_SECS, 30),
        LIMIT(idle_timeout_secs, 1, DAY_SECS, 180),
        LIMIT(drain_timeout_secs, 1, DAY_SECS, 30),
        LIMIT(control_idle_timeout_secs, 1, DAY_SECS, 60),
        LIMIT(control_write_timeout_secs, 1, DAY_SECS, 5),
        LIMIT(connections, 1, 1000000, 8192),
        LIMIT(connections_per_address, 1, 1000000, 256),
        LIMIT_BYTES(inflight_body_bytes, MIB, TIB, 256 * MIB),
        LIMIT(otlp_depth, 1, 64, 32), /* rendering recurses, and otlp_scan() has a stack of 64 */
        LIMIT(otlp_resources, 1, 1048576, 16384),
        LIMIT(otlp_records, 1, 16777216, 1048576),
        LIMIT(otlp_submessages, 1, 67108864, 8388608),
        LIMIT(otlp_attributes, 1, 1048576, 128),
        LIMIT_BYTES(otlp_line_bytes, KIB, GIB, MIB),
        LIMIT_BYTES(otlp_rendered_bytes, KIB, TIB, 256 * MIB),
        LIMIT_BYTES(otlp_arena_bytes, MIB, TIB, 64 * MIB),
        LIMIT(log_queue_batches, 1, 16777216, 65536),
        LIMIT_BYTES(log_queue_bytes, MIB, TIB, 128 * MIB),
        LIMIT(log_files_open, 1, 1000000, 16384),
        LIMIT_BYTES(log_journal_bytes, MIB, 8 * GIB, 128 * MIB),
        LIMIT(multipart_parts, 1, 65536, 64),
        LIMIT_BYTES(multipart_head_bytes, 256, MIB, 8 * KIB),
        LIMIT(uploads, 1, 100000, 64),
        LIMIT(uploads_per_source, 1, 100000, 8),
        LIMIT(index_queue_reports, 1, 1048576, 1024),
        LIMIT_BYTES(disk_reserve_uploads_bytes, 0, TIB, 0),
        LIMIT_BYTES(disk_reserve_logs_bytes, 0, TIB, 0),
        LIMIT(disk_full_pause_secs, 0, 3600, 2),
        LIMIT(verifier_threads, 1, 64, 1),
        LIMIT(verifier_queue, 1, 65536, 1024),
        LIMIT(token_cache_entries, 1, 16777216, 16384),
        LIMIT(token_cache_secs, 1, 30 * DAY_SECS, 600),
        LIMIT(token_cache_bad_secs, 1, 30 * DAY_SECS, 60),
        LIMIT(rate_limit_sources, 1, 16777216, 65536),
};

const size_t config_n_keys = ARRAY_LEN(config_keys);

const struct config_key *config_key_find(const char *section, const char *name)
{
        for (size_t i = 0; i < config_n_keys; i++) {
                if (strcmp(config_keys[i].section, section) == 0 && strcmp(config_keys[i].name, name) == 0)
                        return &config_keys[i];
        }
        return NULL;
}
