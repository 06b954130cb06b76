/* Walks the wire bytes of an ExportLogsServiceRequest before anything is allocated for them. Bounds, wire types, depth,
 * counts and UTF-8 are checked here, and not again by the functions that read the bytes later (otlp_view.h).
 *
 * What is wrong with one record, scope or resource is noted and the walk goes on; what is wrong with the bytes
 * themselves ends it. A value that is nested too deep is not entered: its record is never read again.
 *
 * The walk is a loop over an explicit stack of open messages, driven by one table of fields for each message type. A
 * field costs a few compares. The path of a failure ("resource_logs[0].scope_logs[2].log_records[3].body") is built
 * from the stack only when there is a failure.
 *
 * Failures: ANSWER_MALFORMED for bytes that are not this message and for values nested too deep, ANSWER_TOO_LARGE for
 * counts. A singular message that comes twice is refused, although the protobuf encoding says "merge": no exporter
 * writes that, merged attributes would escape their limit, and a reader in place has nowhere to merge to. When the
 * fields of a `oneof` come several times, the last one wins, as the encoding says.
 *
 * Source: protobuf encoding specification; field numbers: opentelemetry-proto 1.x. */

#include <stdio.h>
#include <string.h>

#include "protocol/otlp/otlp.h"
#include "util/text/utf8.h"

#define FIELD_NUMBER_MAX 12
#define DEPTH_MAX 64 /* of AnyValues, whatever the configuration says, because the stack has a fixed size */
#define STACK_MAX (5 + 3 * (DEPTH_MAX + 1)) /* request to KeyValue, then AnyValue, list and KeyValue per level */
#define PATH_SIZE 280

enum wire_type { WIRE_VARINT, WIRE_64BIT, WIRE_LENGTH, WIRE_GROUP_START, WIRE_GROUP_END, WIRE_32BIT };

enum kind {
        UNKNOWN, /* not in the table */
        VARINT,
        FIXED64,
        FIXED32,
        STRING,
        BYTES,
        UNREAD,   /* a string that is not on any line */
        MESSAGE,  /* singular */
        REPEATED, /* messages */
};

struct message;

struct field {
        enum kind kind;
        bool attributes; /* a list of at most limits->attributes entries */
        const char *name;
        const struct message *type;
};

struct message {
        bool is_any_value, is_log_record;
        bool is_unit; /* rejected by itself */
        struct field fields[FIELD_NUMBER_MAX + 1];
};

static const struct message array_value, kvlist_value;

static const struct message any_value = {
        .is_any_value = true,
        .fields = {
                /* The scalars have no name: "body: string is not UTF-8" says enough. */
                [1] = { STRING, .name = "" },
                [2] = { VARINT, .name = "" },
                [3] = { VARINT, .name = "" },
                [4] = { FIXED64, .name = "" },
                [5] = { MESSAGE, .name = "array_value", .type = &array_value },
                [6] = { MESSAGE, .name = "kvlist_value", .type = &kvlist_value },
                [7] = { BYTES, .name = "" },
        },
};

static const struct message key_value = { .fields = {
                                                  [1] = { STRING, .name = "key" },
                                                  [2] = { MESSAGE, .name = "value", .type = &any_value },
                                          } };

static const struct message array_value = { .fields = { [1] = { REPEATED, .name = "values", .type = &any_value } } };
static const struct message kvlist_value = { .fields = { [1] = { REPEATED, .name = "values", .type = &key_value } } };

static const struct message log_record = {
        .is_log_record = true,
        .is_unit = true,
        .fields = {
                [1] = { FIXED64, .name = "time_unix_nano" },
                [2] = { VARINT, .name = "severity_number" },
                [3] = { STRING, .name = "severity_text" },
                [5] = { MESSAGE, .name = "body", .type = &any_value },
                [6] = { REPEATED, .attributes = true, .name = "attributes", .type = &key_value },
                [7] = { VARINT, .name = "dropped_attributes_count" },
                [8] = { FIXED32, .name = "flags" },
                [9] = { BYTES, .name = "trace_id" },
                [10] = { BYTES, .name = "span_id" },
                [11] = { FIXED64, .name = "observed_time_unix_nano" },
                [12] = { STRING, .name = "event_name" },
        },
};

static const struct message scope = { .fields = {
                                              [1] = { STRING, .name = "name" },
                                              [2] = { STRING, .name = "version" },
                                              [3] = { REPEATED, .attributes = true, .name = "attributes",
                                                      .type = &key_value },
                                              [4] = { VARINT, .name = "dropped_attributes_count" },
                                      } };

static const struct message scope_logs = { .is_unit = true,
                                           .fields = {
                                                   [1] = { MESSAGE, .name = "scope", .type = &scope },
                                                   [2] = { REPEATED, .name = "log_records", .type = &log_record },
                                                   [3] = { UNREAD, .name = "schema_url" },
                                           } };

static const struct message resource = { .fields = {
                                                 [1] = { REPEATED, .attributes = true, .name = "attributes",
                                                         .type = &key_value },
                                                 [2] = { VARINT, .name = "dropped_attributes_count" },
                                         } };

static const struct message resource_logs = { .is_unit = true,
                                              .fields = {
                                                      [1] = { MESSAGE, .name = "resource", .type = &resource },
                                                      [2] = { REPEATED, .name = "scope_logs", .type = &scope_logs },
                                                      [3] = { UNREAD, .name = "schema_url" },
                                              } };

static const struct message request = {
        .fields = { [1] = { REPEATED, .name = "resource_logs", .type = &resource_logs } },
};

/* An open message. A message type has at most one repeated field, so one count serves. */
struct frame {
        const struct message *type;
        const struct field *via; /* the parent's field that led here */
        const uint8_t *at, *end;
        size_t fault;      /* of a unit: 1 and its index in the faults; 0: none */
        unsigned repeated; /* how many of the repeated field have come so far */
        unsigned seen;     /* one bit for each singular message field */
        unsigned depth;    /* how many AnyValues are open, this one included */
};

struct scan {
        const struct otlp_limits *limits;
        unsigned depth_max;
        unsigned records, submessages;
        struct otlp_faults *faults; /* NULL: everything refuses the request */
        struct refusal *refusal;
        struct frame *top;
        struct frame stack[STACK_MAX];
};

struct path {
        size_t len;
        char text[PATH_SIZE];
};

static void path_append(struct path *p, const char *name)
{
        size_t n = strlen(name);
        if (n == 0)
                return;
        if (p->len > 0 && p->len < PATH_SIZE - 1)
                p->text[p->len++] = '.';
        if (n > PATH_SIZE - 1 - p->len)
                n = PATH_SIZE - 1 - p->len;
        memcpy(p->text + p->len, name, n);
        p->len += n;
        p->text[p->len] = '\0';
}

static void path_append_field(struct path *p, const struct field *field, unsigned index)
{
        char name[64];
        if (field->kind == REPEATED) {
                snprintf(name, sizeof(name), "%s[%u]", field->name, index);
                path_append(p, name);
        } else {
                path_append(p, field->name);
        }
}

/* field: of the innermost message; NULL when it is not known. */
static struct path path_to(const struct scan *s, const struct field *field)
{
        struct path p = { 0 };
        for (const struct frame *f = s->stack + 1; f <= s->top; f++)
                path_append_field(&p, f->via, f[-1].repeated - 1);
        if (field)
                path_append_field(&p, field, s->top->repeated);
        if (p.len == 0)
                path_append(&p, "request");
        return p;
}

static int refuse_at(struct scan *s, const struct field *field, const char *what)
{
        struct path p = path_to(s, field);
        return refuse(s->refusal, ANSWER_MALFORMED, "%s%s: %s", p.text, p.len == PATH_SIZE - 1 ? "..." : "", what);
}

static int refuse_count(struct scan *s, const struct field *field, unsigned limit, const char *what)
{
        struct path p = path_to(s, field);
        return refuse(s->refusal, ANSWER_TOO_LARGE, "%s%s: more than %u %s", p.text,
                      p.len == PATH_SIZE - 1 ? "..." : "", limit, what);
}

/* ---- what is wrong with one unit ---- */

/* 0 or -ENOMEM, or the answer when there is too much to note. */
static int note_fault(struct scan *s, struct otlp_fault **ret)
{
        struct frame *unit = s->top;
        while (!unit->type->is_unit)
                unit--;
        if (unit->fault == 0) {
                size_t index;
                int r = otlp_faults_add(s->faults, unit->at, &index, s->refusal);
                if (r != 0)
                        return r;
                unit->fault = index + 1;
        }
        *ret = otlp_faults_get(s->faults, unit->fault - 1);
        return 0;
}

/* limit 0: it is not about a count. 0 when the walk goes on. The words are made for the first fault only, so that many
 * cost little. */
static int reject_unit(struct scan *s, const struct field *field, unsigned limit, const char *what)
{
        struct otlp_fault *fault;
        int answer = 0;
        if (!s->faults || s->faults->first.answer == ANSWER_OK)
                answer = limit > 0 ? refuse_count(s, field, limit, what) : refuse_at(s, field, what);
        if (!s->faults)
                return answer;
        if (answer != 0)
                s->faults->first = *s->refusal;
        int r = note_fault(s, &fault);
        if (r == 0)
                fault->rejected = true;
        return r;
}

static int mend_unit(struct scan *s, const struct field *field)
{
        struct otlp_fault *fault;
        if (!s->faults)
                return refuse_at(s, field, "string is not UTF-8");
        int r = note_fault(s, &fault);
        if (r == 0)
                fault->mended = true;
        return r;
}

/* ---- fields ---- */

/* Reads at most max bytes. NULL when the varint does not end within them or within the message, or has more than 64
 * bits, which readers treat differently. */
static inline const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, unsigned max, uint64_t *ret)
{
        if (p < end && *p < 0x80) {
                *ret = *p;
                return p + 1;
        }
        uint64_t value = 0;
        for (unsigned i = 0; i < max && p < end; i++) {
                uint8_t byte = *p++;
                value |= (uint64_t)(byte & 0x7F) << (7 * i);
                if (byte < 0x80) {
                        *ret = value;
                        return i == 9 && byte > 1 ? NULL : p;
                }
        }
        return NULL;
}

/* The value after a tag. For WIRE_LENGTH, *ret_at and *ret_len are its bytes. Lengths and tags have 32 bits, so they
 * take at most 5 bytes. NULL: out of bounds or a wire type that OTLP never uses. */
static inline const uint8_t *read_value(const uint8_t *p, const uint8_t *end, unsigned wire, const uint8_t **ret_at,
                                        size_t *ret_len)
{
        uint64_t value;
        switch (wire) {
        case WIRE_VARINT: return read_varint(p, end, 10, &value);
        case WIRE_64BIT: return end - p >= 8 ? p + 8 : NULL;
        case WIRE_32BIT: return end - p >= 4 ? p + 4 : NULL;
        case WIRE_LENGTH:
                p = read_varint(p, end, 5, &value);
                if (!p || value > (uint64_t)(end - p))
                        return NULL;
                *ret_at = p;
                *ret_len = (size_t)value;
                return p + value;
        default: return NULL;
        }
}

static int count_submessage(struct scan *s, const struct field *field)
{
        if (s->submessages >= s->limits->submessages)
                return refuse_count(s, field, s->limits->submessages, "embedded messages in a request");
        s->submessages++;
        return 0;
}

static int check_repeated(struct scan *s, const struct field *field)
{
        if (field->attributes && s->top->repeated == s->limits->attributes) { /* said once */
                int r = reject_unit(s, field, s->limits->attributes, "attributes");
                if (r != 0)
                        return r;
        }
        if (field->type->is_log_record) {
                if (s->records >= s->limits->records)
                        return refuse_count(s, field, s->limits->records, "log records in a request");
                s->records++;
        }
        return 0;
}

static int check_singular(struct scan *s, const struct field *field)
{
        unsigned bit = 1u << (field - s->top->type->fields);
        if (s->top->seen & bit)
                return reject_unit(s, field, 0, "given more than once");
        s->top->seen |= bit;
        return 0;
}

/* *next: where the walk goes on. */
static int open_message(struct scan *s, const struct field *field, const uint8_t *at, size_t len, const uint8_t **next)
{
        struct frame *parent = s->top;
        int r = count_submessage(s, field);
        if (r == 0)
                r = field->kind == REPEATED ? check_repeated(s, field) : check_singular(s, field);
        if (r != 0)
                return r;
        unsigned depth = parent->depth + field->type->is_any_value;
        if (depth > s->depth_max) {
                r = reject_unit(s, field, 0, "value is nested too deep");
                parent->repeated += field->kind == REPEATED;
                return r;
        }
        if (field->kind == REPEATED)
                parent->repeated++;
        s->top++;
        *s->top = (struct frame){ .type = field->type, .via = field, .at = at, .end = at + len, .depth = depth };
        *next = at;
        return 0;
}

static const unsigned wire_of_kind[] = {
        [VARINT] = WIRE_VARINT, [FIXED64] = WIRE_64BIT, [FIXED32] = WIRE_32BIT,  [STRING] = WIRE_LENGTH,
        [BYTES] = WIRE_LENGTH,  [UNREAD] = WIRE_LENGTH, [MESSAGE] = WIRE_LENGTH, [REPEATED] = WIRE_LENGTH,
};

/* *next is after the field, and becomes its start when it is a message that is entered. */
static int check_field(struct scan *s, const struct field *field, unsigned wire, const uint8_t *at, size_t len,
                       const uint8_t **next)
{
        if (field->kind == UNKNOWN) /* later readers walk over them too, so they count like messages */
                return count_submessage(s, NULL);
        if (wire != wire_of_kind[field->kind])
                return refuse_at(s, field, "wrong wire type");
        switch (field->kind) {
        case UNREAD: return s->faults || utf8_valid(at, len) ? 0 : mend_unit(s, field);
        case STRING: return utf8_valid(at, len) ? 0 : mend_unit(s, field);
        case MESSAGE:
        case REPEATED: return open_message(s, field, at, len, next);
        default: return 0;
        }
}

/* One field of the innermost message. *p moves past it, or into it when it is a message. */
static inline int scan_field(struct scan *s, const uint8_t **p)
{
        static const struct field unknown = { UNKNOWN };
        const uint8_t *end = s->top->end, *at = NULL, *next;
        size_t len = 0;
        uint64_t tag;

        next = read_varint(*p, end, 5, &tag);
        if (!next || tag > UINT32_MAX || tag >> 3 == 0)
                return refuse_at(s, NULL, "malformed field tag");
        unsigned wire = tag & 7;
        const struct field *field = tag >> 3 <= FIELD_NUMBER_MAX ? &s->top->type->fields[tag >> 3] : &unknown;
        next = read_value(next, end, wire, &at, &len);
        if (!next)
                return refuse_at(s, field->kind == UNKNOWN ? NULL : field, "malformed field value");
        int r = check_field(s, field, wire, at, len, &next);
        *p = next;
        return r;
}

int otlp_scan(const uint8_t *data, size_t len, const struct otlp_limits *limits, unsigned *ret_records,
              struct otlp_faults *faults, struct refusal *r)
{
        struct scan s; /* not zeroed: the stack is written before it is read */
        s.limits = limits;
        s.depth_max = limits->depth < DEPTH_MAX ? limits->depth : DEPTH_MAX;
        s.records = s.submessages = 0;
        s.faults = faults;
        s.refusal = r;
        s.top = s.stack;
        *s.top = (struct frame){ .type = &request, .end = data + len };

        const uint8_t *p = data;
        for (;;) {
                if (p == s.top->end) {
                        if (s.top == s.stack)
                                break;
                        s.top--; /* p is where the parent continues */
                        continue;
                }
                int answer = scan_field(&s, &p);
                if (answer != 0)
                        return answer;
        }
        *ret_records = s.records;
        if (faults)
                otlp_faults_sort(faults);
        return 0;
}
