#include "protocol/json/json_read.h"

#include <errno.h>
#include <json.h>
#include <string.h>

int json_read_parse(const char *text, size_t len, int max_depth, struct json_object **ret)
{
        if (len > INT32_MAX)
                return JSON_READ_BAD;
        while (len > 0 && strchr(" \t\r\n", text[len - 1]) && text[len - 1]) /* which json-c takes for more to come */
                len--;
        struct json_tokener *tokener = json_tokener_new_ex(max_depth);
        if (!tokener)
                return -ENOMEM;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        struct json_object *tree = json_tokener_parse_ex(tokener, text, (int)len);
        /* A number at the very end is only complete at the end of the text. */
        if (json_tokener_get_error(tokener) == json_tokener_continue)
                tree = json_tokener_parse_ex(tokener, "", -1);
        bool whole = json_tokener_get_error(tokener) == json_tokener_success;
        json_tokener_free(tokener);
        if (!whole) {
                json_object_put(tree);
                return JSON_READ_BAD;
        }
        *ret = tree;
        return 0;
}

void json_read_free(struct json_object *tree)
{
        json_object_put(tree);
}

struct json_object *json_read_member(struct json_object *object, const char *key)
{
        struct json_object *value = NULL;
        if (json_object_is_type(object, json_type_object))
                json_object_object_get_ex(object, key, &value);
        return value;
}

bool json_read_has(struct json_object *object, const char *key)
{
        return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, key, NULL);
}

const char *json_read_string(struct json_object *object, const char *key)
{
        struct json_object *value = json_read_member(object, key);
        return json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
}

const char *json_read_value_shown(struct json_object *value)
{
        if (!value)
                return NULL;
        return json_object_is_type(value, json_type_string)
                       ? json_object_get_string(value)
                       : json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

const char *json_read_shown(struct json_object *object, const char *key)
{
        return json_read_value_shown(json_read_member(object, key));
}

static bool is_number(struct json_object *value)
{
        return json_object_is_type(value, json_type_int) || json_object_is_type(value, json_type_double);
}

uint64_t json_read_u64(struct json_object *object, const char *key)
{
        struct json_object *value = json_read_member(object, key);
        return is_number(value) ? json_object_get_uint64(value) : 0;
}

int64_t json_read_i64(struct json_object *object, const char *key)
{
        struct json_object *value = json_read_member(object, key);
        return is_number(value) ? json_object_get_int64(value) : 0;
}

double json_read_double(struct json_object *object, const char *key)
{
        struct json_object *value = json_read_member(object, key);
        return is_number(value) ? json_object_get_double(value) : 0;
}

bool json_read_bool(struct json_object *object, const char *key)
{
        struct json_object *value = json_read_member(object, key);
        return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

size_t json_read_count(struct json_object *array)
{
        return json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;
}

struct json_object *json_read_item(struct json_object *array, size_t i)
{
        return i < json_read_count(array) ? json_object_array_get_idx(array, i) : NULL;
}
