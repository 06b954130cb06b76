#include "protocol/source.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <string.h>

#include "util/text/hex.h"

static bool is_component_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               (c != '\0' && strchr("._-@+:~", c));
}

bool source_component_valid(const char *s, size_t len)
{
        if (len == 0 || len > SOURCE_COMPONENT_MAX || s[0] == '.')
                return false;
        for (size_t i = 0; i < len; i++) {
                if (!is_component_char(s[i]))
                        return false;
        }
        return true;
}

#define CUT_DIGEST_BYTES 8
#define CUT_MARK_LEN (2 + 2 * CUT_DIGEST_BYTES)

/* Returns how many bytes of ret were written. */
static size_t escape_byte(uint8_t c, bool is_first, char ret[3])
{
        static const char digits[] = "0123456789ABCDEF";
        if (is_component_char((char)c) && c != '~' && !(is_first && c == '.')) {
                ret[0] = (char)c;
                return 1;
        }
        ret[0] = '~';
        ret[1] = digits[c >> 4];
        ret[2] = digits[c & 15];
        return 3;
}

static void mark_cut(const void *name, size_t len, char *to)
{
        uint8_t digest[EVP_MAX_MD_SIZE];
        int ok = EVP_Digest(name, len, digest, NULL, EVP_sha256(), NULL);
        assert(ok == 1);
        to[0] = to[1] = '~';
        *hex_encode(to + 2, digest, CUT_DIGEST_BYTES) = '\0';
}

void source_component_escape(const void *name, size_t len, char ret[SOURCE_COMPONENT_MAX + 1])
{
        const uint8_t *bytes = name;
        size_t used = 0, cut = 0; /* cut: where the mark would go */
        assert(len > 0);
        for (size_t i = 0; i < len; i++) {
                char escaped[3];
                size_t n = escape_byte(bytes[i], i == 0, escaped);
                if (used + n > SOURCE_COMPONENT_MAX) {
                        mark_cut(name, len, ret + cut);
                        return;
                }
                memcpy(ret + used, escaped, n);
                used += n;
                if (used <= SOURCE_COMPONENT_MAX - CUT_MARK_LEN)
                        cut = used;
        }
        ret[used] = '\0';
}

size_t source_canonical(const struct source *s, char ret[SOURCE_CANONICAL_SIZE])
{
        size_t project = strnlen(s->project, SOURCE_COMPONENT_MAX);
        size_t install_id = strnlen(s->install_id, SOURCE_COMPONENT_MAX);
        memcpy(ret, s->project, project);
        ret[project] = '/';
        memcpy(ret + project + 1, s->install_id, install_id);
        ret[project + 1 + install_id] = '\0';
        return project + 1 + install_id;
}
