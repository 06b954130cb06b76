/* PHC strings are parsed here, strictly and within bounds, rather than by libargon2's own decoder, which accepts costs
 * that would exhaust the machine. verify computes the hash of what was presented with the string's own parameters and
 * compares in constant time. Buffers that held a derived hash are wiped. */

#include "auth/phc.h"

#include <argon2.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#define MEMORY_MAX_KIB 1048576U
#define PASSES_MAX 64U
#define LANES_MAX 64U
#define SALT_MIN 8U
#define SALT_MAX 64U
#define HASH_MIN 16U
#define HASH_MAX 128U

struct phc {
        argon2_type type;
        uint32_t version, memory_kib, passes, lanes;
        uint8_t salt[SALT_MAX], hash[HASH_MAX];
        size_t salt_len, hash_len;
};

static int bad(struct error *err, const char *reason)
{
        error_set(err, "not an Argon2 PHC string: %s", reason);
        return PHC_BAD;
}

static bool take(const char **p, const char *literal)
{
        size_t n = strlen(literal);
        if (strncmp(*p, literal, n) != 0)
                return false;
        *p += n;
        return true;
}

/* PHC string format: decimals have no sign and no leading zero. Nine digits are more than any bound of ours. */
static bool take_decimal(const char **p, uint32_t *ret)
{
        size_t n = strspn(*p, "0123456789");
        if (n == 0 || n > 9 || (n > 1 && **p == '0'))
                return false;
        uint32_t value = 0;
        for (size_t i = 0; i < n; i++)
                value = 10 * value + (uint32_t)((*p)[i] - '0');
        *p += n;
        *ret = value;
        return true;
}

static int base64_value(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* RFC 4648 §4 without padding; the bits left over are zero (§3.5), so that a value has one spelling. Reads up to the
 * first character of another alphabet. */
static bool take_base64(const char **p, uint8_t *to, size_t max, size_t *ret_len)
{
        uint32_t bits = 0;
        unsigned n_bits = 0;
        size_t len = 0;
        for (int v; (v = base64_value(**p)) >= 0; (*p)++) {
                bits = bits << 6 | (uint32_t)v;
                n_bits += 6;
                if (n_bits < 8)
                        continue;
                if (len == max)
                        return false;
                n_bits -= 8;
                to[len++] = (uint8_t)(bits >> n_bits);
                bits &= (1U << n_bits) - 1;
        }
        *ret_len = len;
        return n_bits < 6 && bits == 0;
}

static int parse_cost(const char **p, struct phc *out, struct error *err)
{
        if (!take(p, "m=") || !take_decimal(p, &out->memory_kib) || !take(p, ",t=") || !take_decimal(p, &out->passes) ||
            !take(p, ",p=") || !take_decimal(p, &out->lanes) || !take(p, "$"))
                return bad(err, "expected m=<KiB>,t=<passes>,p=<lanes>");
        if (out->passes < 1 || out->passes > PASSES_MAX)
                return bad(err, "t must be between 1 and 64");
        if (out->lanes < 1 || out->lanes > LANES_MAX)
                return bad(err, "p must be between 1 and 64");
        if (out->memory_kib < 8 * out->lanes || out->memory_kib > MEMORY_MAX_KIB)
                return bad(err, "m must be between 8 * p and 1048576");
        return 0;
}

static int parse_kind(const char **p, struct phc *out, struct error *err)
{
        if (take(p, "$argon2id$"))
                out->type = Argon2_id;
        else if (take(p, "$argon2i$"))
                out->type = Argon2_i;
        else if (take(p, "$argon2d$"))
                out->type = Argon2_d;
        else
                return bad(err, "expected $argon2id$, $argon2i$ or $argon2d$");
        out->version = ARGON2_VERSION_10; /* what strings without v= were made with */
        if (!take(p, "v="))
                return 0;
        if (!take_decimal(p, &out->version) || !take(p, "$") ||
            (out->version != ARGON2_VERSION_10 && out->version != ARGON2_VERSION_13))
                return bad(err, "v must be 16 or 19");
        return 0;
}

static int parse(const char *p, struct phc *out, struct error *err)
{
        if (strnlen(p, PHC_MAX_BYTES) == PHC_MAX_BYTES)
                return bad(err, "too long");
        int r = parse_kind(&p, out, err);
        if (r == 0)
                r = parse_cost(&p, out, err);
        if (r != 0)
                return r;
        if (!take_base64(&p, out->salt, sizeof(out->salt), &out->salt_len) || out->salt_len < SALT_MIN ||
            !take(&p, "$"))
                return bad(err, "the salt must be 8 to 64 bytes of base64 without padding");
        if (!take_base64(&p, out->hash, sizeof(out->hash), &out->hash_len) || out->hash_len < HASH_MIN || *p)
                return bad(err, "the hash must be 16 to 128 bytes of base64 without padding");
        return 0;
}

static int from_argon2(int code)
{
        switch (code) {
        case ARGON2_OK: return 0;
        case ARGON2_MEMORY_ALLOCATION_ERROR: return -ENOMEM;
        default: return -EINVAL;
        }
}

int phc_check(const char *phc, struct error *err)
{
        struct phc parsed;
        int r = parse(phc, &parsed, err);
        OPENSSL_cleanse(&parsed, sizeof(parsed));
        return r;
}

/* One thread whatever p is: the lanes give the same hash one after the other, and no thread start can fail. */
static int compute(struct phc *phc, const char *secret, size_t secret_len, uint8_t *out)
{
        argon2_context context = {
                .out = out,
                .outlen = (uint32_t)phc->hash_len,
                .pwd = (uint8_t *)(uintptr_t)secret, /* not written to: ARGON2_FLAG_CLEAR_PASSWORD is not set */
                .pwdlen = (uint32_t)secret_len,
                .salt = phc->salt,
                .saltlen = (uint32_t)phc->salt_len,
                .t_cost = phc->passes,
                .m_cost = phc->memory_kib,
                .lanes = phc->lanes,
                .threads = 1,
                .version = phc->version,
                .flags = ARGON2_DEFAULT_FLAGS,
        };
        return from_argon2(argon2_ctx(&context, phc->type));
}

int phc_verify(const char *phc, const char *secret, size_t secret_len, bool *ret_match)
{
        struct phc parsed;
        uint8_t computed[HASH_MAX];
        if (parse(phc, &parsed, NULL) != 0 || secret_len > UINT32_MAX)
                return -EINVAL;
        int r = compute(&parsed, secret, secret_len, computed);
        if (r == 0)
                *ret_match = CRYPTO_memcmp(computed, parsed.hash, parsed.hash_len) == 0;
        OPENSSL_cleanse(computed, sizeof(computed));
        OPENSSL_cleanse(&parsed, sizeof(parsed));
        return r;
}

int phc_hash(const char *secret, size_t secret_len, char ret[PHC_MAX_BYTES])
{
        uint8_t salt[16];
        char encoded[PHC_MAX_BYTES];
        if (secret_len > UINT32_MAX)
                return -EINVAL;
        if (RAND_bytes(salt, sizeof(salt)) != 1)
                return -EIO;
        int r = from_argon2(argon2id_hash_encoded(2, 19456, 1, secret, secret_len, salt, sizeof(salt), 32, encoded,
                                                  sizeof(encoded)));
        if (r == 0)
                memcpy(ret, encoded, sizeof(encoded));
        OPENSSL_cleanse(encoded, sizeof(encoded));
        return r;
}
