/* Answers as bytes: JSON over HTTP, and gRPC trailers (gRPC "PROTOCOL-HTTP2", Responses). When memory runs out while an
 * answer is built, the answer is sent without its body or message. */

#include "ingest/reply.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "protocol/grpc.h"
#include "protocol/json/json_write.h"

/* ---- JSON ---- */

static void write_error(struct buf *out, int status, const char *message)
{
        struct json_write w = json_write_to(out);
        json_write_object(&w, NULL);
        json_write_object(&w, "error");
        json_write_i64(&w, "code", status);
        json_write_string(&w, "message", message);
        json_write_end(&w);
        json_write_end(&w);
        if (json_write_finish(&w) < 0)
                buf_clear(out);
}

static void refuse_in_json(struct http_request *request, const struct refusal *r)
{
        _cleanup_(buf_done) struct buf body = { 0 };
        struct http_field fields[4] = { { "content-type", "application/json" } };
        int status = answer_http_status(r->answer);
        size_t n = 1;
        char retry[16];
        if (answer_is_retryable(r->answer) && r->retry_after_ms > 0) {
                snprintf(retry, sizeof(retry), "%u", (r->retry_after_ms + 999) / 1000);
                fields[n++] = (struct http_field){ "retry-after", retry };
        }
        if (r->answer == ANSWER_UNAUTHENTICATED)
                fields[n++] = (struct http_field){ "www-authenticate", "Bearer" };
        if (r->answer == ANSWER_METHOD && r->allow)
                fields[n++] = (struct http_field){ "allow", r->allow };
        write_error(&body, status, r->message);
        http_respond(request, &(struct http_response){ .status = status,
                                                       .fields = fields,
                                                       .n_fields = n,
                                                       .body = body.data,
                                                       .body_len = body.len,
                                                       .may_compress = true });
}

const struct reply reply_json = {
        .status = answer_http_status,
        .refuse = refuse_in_json,
        .unknown_path = "no such path",
};

void reply_json_body(struct http_request *request, int status, const void *body, size_t len)
{
        const struct http_field type = { "content-type", "application/json" };
        http_respond(request,
                     &(struct http_response){
                             .status = status, .fields = &type, .n_fields = 1, .body = body, .body_len = len });
}

void reply_out_of_memory(struct http_request *request)
{
        static const char body[] = "{\"error\":{\"code\":503,\"message\":\"out of memory\"}}";
        static const struct http_field fields[] = { { "content-type", "application/json" }, { "retry-after", "5" } };
        http_respond(request, &(struct http_response){ .status = 503,
                                                       .fields = fields,
                                                       .n_fields = ARRAY_LEN(fields),
                                                       .body = body,
                                                       .body_len = sizeof(body) - 1 });
}

/* ---- gRPC ---- */

/* Trailers-only: everything is in the one HEADERS frame. */
static void refuse_in_grpc(struct http_request *request, const struct refusal *r)
{
        _cleanup_(buf_done) struct buf message = { 0 }, details = { 0 };
        char code[12];
        struct http_field fields[5] = { { "content-type", "application/grpc" } };
        size_t n = 1;

        snprintf(code, sizeof(code), "%d", answer_grpc_code(r->answer));
        fields[n++] = (struct http_field){ "grpc-status", code };
        if (grpc_encode_message(r->message, &message) == 0 && buf_append_char(&message, '\0') == 0)
                fields[n++] = (struct http_field){ "grpc-message", (char *)message.data };
        if (answer_is_retryable(r->answer) && r->retry_after_ms > 0 && grpc_encode_details(r, &details) == 0 &&
            buf_append_char(&details, '\0') == 0)
                fields[n++] = (struct http_field){ "grpc-status-details-bin", (char *)details.data };
        if (r->answer == ANSWER_MEDIA_TYPE)
                fields[n++] = (struct http_field){ "grpc-accept-encoding", "identity,gzip,zstd,deflate" };
        http_respond(request,
                     &(struct http_response){ .status = 200, .fields = fields, .n_fields = n, .no_length = true });
}

const struct reply reply_grpc = {
        .status = answer_metric_status,
        .refuse = refuse_in_grpc,
        .unknown_path = "no such gRPC method",
};

void reply_grpc_message(struct http_request *request, const void *message, size_t len)
{
        static const struct http_field fields[] = { { "content-type", "application/grpc" },
                                                    { "grpc-accept-encoding", "identity,gzip,zstd,deflate" } };
        static const struct http_field trailer = { "grpc-status", "0" };
        uint8_t frame[GRPC_PREFIX_SIZE + REPLY_GRPC_MESSAGE_MAX];
        assert(len <= REPLY_GRPC_MESSAGE_MAX);
        grpc_write_prefix(frame, (uint32_t)len);
        if (len > 0)
                memcpy(frame + GRPC_PREFIX_SIZE, message, len);
        http_respond(request, &(struct http_response){ .status = 200,
                                                       .fields = fields,
                                                       .n_fields = ARRAY_LEN(fields),
                                                       .body = frame,
                                                       .body_len = GRPC_PREFIX_SIZE + len,
                                                       .trailers = &trailer,
                                                       .n_trailers = 1,
                                                       .no_length = true });
}
