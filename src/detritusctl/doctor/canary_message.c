#include "detritusctl/doctor/canary_message.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "collector_logs.pb-c.h"
#include "logs.pb-c.h"
#include "protocol/json/json_write.h"
#include "util/text/hex.h"

int canary_message_init(struct canary *c, const char *project, const char *install_id)
{
        uint8_t random[16], hash[32];
        *c = (struct canary){ .at = clock_now() };
        snprintf(c->source.project, sizeof(c->source.project), "%s", project);
        snprintf(c->source.install_id, sizeof(c->source.install_id), "%s", install_id);
        if (RAND_bytes(random, sizeof(random)) != 1)
                return -EIO;
        *hex_encode(c->id, random, sizeof(random)) = '\0';
        int n = snprintf(c->dump, sizeof(c->dump), "MDMP a canary of detritusctl send-test, %s\n", c->id);
        if (EVP_Q_digest(NULL, "SHA256", NULL, c->dump, (size_t)n, hash, NULL) != 1)
                return -ENOMEM;
        *hex_encode(c->dump_sha256, hash, sizeof(hash)) = '\0';
        return 0;
}

/* ---- logs ---- */

#define COMMON(name) OPENTELEMETRY__PROTO__COMMON__V1__##name##__INIT
#define LOGS(name) OPENTELEMETRY__PROTO__LOGS__V1__##name##__INIT

typedef Opentelemetry__Proto__Collector__Logs__V1__ExportLogsServiceRequest ExportRequest;
typedef Opentelemetry__Proto__Common__V1__AnyValue AnyValue;
typedef Opentelemetry__Proto__Common__V1__KeyValue KeyValue;

static ProtobufCBinaryData bytes_of(const char *text)
{
        return (ProtobufCBinaryData){ .len = strlen(text), .data = (uint8_t *)(uintptr_t)text };
}

static void text_attribute(KeyValue *attribute, AnyValue *value, const char *key, const char *text)
{
        *attribute = (KeyValue)COMMON(KEY_VALUE);
        opentelemetry__proto__common__v1__any_value__init(value);
        value->value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
        value->string_value = bytes_of(text);
        attribute->key = bytes_of(key);
        attribute->value = value;
}

enum { PROJECT, INSTALL, PLATFORM, VERSION, N_RESOURCE };

int canary_message_logs(const struct canary *c, struct buf *out)
{
        KeyValue resource_attributes[N_RESOURCE], mark;
        AnyValue values[N_RESOURCE], mark_value, body = COMMON(ANY_VALUE);
        KeyValue *resource_list[N_RESOURCE], *mark_list[1] = { &mark };
        Opentelemetry__Proto__Common__V1__Resource resource = COMMON(RESOURCE);
        Opentelemetry__Proto__Logs__V1__LogRecord record = LOGS(LOG_RECORD), *records[1] = { &record };
        Opentelemetry__Proto__Logs__V1__ScopeLogs scope = LOGS(SCOPE_LOGS), *scopes[1] = { &scope };
        Opentelemetry__Proto__Logs__V1__ResourceLogs logs = LOGS(RESOURCE_LOGS), *all[1] = { &logs };
        ExportRequest request = OPENTELEMETRY__PROTO__COLLECTOR__LOGS__V1__EXPORT_LOGS_SERVICE_REQUEST__INIT;

        text_attribute(&resource_attributes[PROJECT], &values[PROJECT], "source.project", c->source.project);
        text_attribute(&resource_attributes[INSTALL], &values[INSTALL], "source.install_id", c->source.install_id);
        text_attribute(&resource_attributes[PLATFORM], &values[PLATFORM], "source.platform", "canary");
        text_attribute(&resource_attributes[VERSION], &values[VERSION], "source.version", DETRITUS_VERSION);
        for (size_t i = 0; i < N_RESOURCE; i++)
                resource_list[i] = &resource_attributes[i];
        text_attribute(&mark, &mark_value, "detritus.canary", c->id);
        resource.n_attributes = N_RESOURCE;
        resource.attributes = resource_list;
        body.value_case = OPENTELEMETRY__PROTO__COMMON__V1__ANY_VALUE__VALUE_STRING_VALUE;
        body.string_value = bytes_of("a canary of detritusctl send-test");
        record.time_unix_nano = record.observed_time_unix_nano =
                (uint64_t)c->at.sec * UINT64_C(1000000000) + c->at.nsec;
        record.severity_number = 9;
        record.severity_text = bytes_of("INFO");
        record.body = &body;
        record.n_attributes = 1;
        record.attributes = mark_list;
        scope.n_log_records = 1;
        scope.log_records = records;
        logs.resource = &resource;
        logs.n_scope_logs = 1;
        logs.scope_logs = scopes;
        request.n_resource_logs = 1;
        request.resource_logs = all;

        /* gRPC: not compressed, length in network order. */
        size_t len = protobuf_c_message_get_packed_size(&request.base);
        const uint8_t head[5] = { 0, (uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len };
        int r = buf_append(out, head, sizeof(head));
        if (r == 0)
                r = buf_reserve(out, len);
        if (r == 0)
                out->len += protobuf_c_message_pack(&request.base, out->data + out->len);
        return r;
}

/* ---- the crash ---- */

static void append_metadata(const struct canary *c, struct buf *out)
{
        char at[CLOCK_RFC3339_SIZE];
        struct json_write w = json_write_to(out);
        clock_format_rfc3339(c->at, at);
        json_write_object(&w, NULL);
        json_write_u64(&w, "schema_version", 1);
        json_write_object(&w, "source");
        json_write_string(&w, "project", c->source.project);
        json_write_string(&w, "platform", "canary");
        json_write_string(&w, "version", DETRITUS_VERSION);
        json_write_string(&w, "install_id", c->source.install_id);
        json_write_end(&w);
        json_write_string(&w, "timestamp", at);
        json_write_string(&w, "kind", "Minidump");
        json_write_object(&w, "build");
        json_write_string(&w, "git_sha", "");
        json_write_string(&w, "profile", "canary");
        json_write_string(&w, "target_triple", "");
        json_write_end(&w);
        json_write_string(&w, "panic_text", "a canary of detritusctl send-test, no crash");
        json_write_object(&w, "context");
        json_write_string(&w, "detritus.canary", c->id);
        json_write_end(&w);
        json_write_array(&w, "attachments");
        json_write_end(&w);
        json_write_end(&w);
}

int canary_message_crash(const struct canary *c, struct buf *out)
{
        buf_append_str(out, "--" CANARY_MESSAGE_BOUNDARY "\r\nContent-Disposition: form-data; name=\"metadata\"\r\n"
                            "Content-Type: application/json\r\n\r\n");
        append_metadata(c, out);
        return buf_printf(out,
                          "\r\n--" CANARY_MESSAGE_BOUNDARY "\r\nContent-Disposition: form-data; name=\"dump\"\r\n"
                          "Content-Type: application/octet-stream\r\n\r\n%s\r\n--" CANARY_MESSAGE_BOUNDARY "--\r\n",
                          c->dump);
}
