#include "detritusctl/tokens/token_secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "detritusctl/cli/command.h"
#include "detritusctl/cli/say.h"

#define SECRET_BYTES 32
#define SECRET_TEXT_SIZE 44 /* base64url of 32 bytes, no padding, + NUL */

/* base64url (RFC 4648 §5) of fresh random bytes. */
static int make_secret(char ret[SECRET_TEXT_SIZE])
{
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        uint8_t bytes[SECRET_BYTES + 1] = { 0 };
        char *p = ret;
        if (RAND_bytes(bytes, SECRET_BYTES) != 1)
                return -EIO;
        for (size_t bit = 0; bit < SECRET_BYTES * 8; bit += 6) {
                unsigned pair = (unsigned)bytes[bit / 8] << 8 | bytes[bit / 8 + 1];
                *p++ = digits[pair >> (10 - bit % 8) & 63];
        }
        *p = '\0';
        OPENSSL_cleanse(bytes, sizeof(bytes));
        return 0;
}

const char *token_secret_id_problem(const char *id, char ret[TOKEN_SECRET_WHY_SIZE])
{
        static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
        size_t len = strlen(id);
        unsigned char odd = (unsigned char)id[strspn(id, allowed)];
        if (len == 0 || len > 64)
                snprintf(ret, TOKEN_SECRET_WHY_SIZE, "it is %s", len == 0 ? "empty" : "too long");
        else if (odd >= 0x80)
                snprintf(ret, TOKEN_SECRET_WHY_SIZE, "it is not ASCII");
        else if (odd == ' ')
                snprintf(ret, TOKEN_SECRET_WHY_SIZE, "it has a blank");
        else if (odd < ' ' || odd == 0x7F)
                snprintf(ret, TOKEN_SECRET_WHY_SIZE, "it has a control character");
        else
                snprintf(ret, TOKEN_SECRET_WHY_SIZE, "it has \"%c\"", odd);
        return odd || len == 0 || len > 64 ? ret : NULL;
}

int token_secret_new(const char *id, struct token_secret *ret, struct error *err)
{
        char secret[SECRET_TEXT_SIZE];
        int r = make_secret(secret);
        if (r < 0)
                return r;
        int n = snprintf(ret->text, sizeof(ret->text), "dt_%s_%s", id, secret);
        OPENSSL_cleanse(secret, sizeof(secret));
        if ((size_t)n >= sizeof(ret->text)) {
                error_set(err, "the id is too long");
                return 1;
        }
        return phc_hash(ret->text, (size_t)n, ret->phc);
}

void token_secret_done(struct token_secret *s)
{
        OPENSSL_cleanse(s, sizeof(*s));
}

int token_secret_read(FILE *from, char ret[TOKEN_SECRET_INPUT_SIZE])
{
        if (!fgets(ret, TOKEN_SECRET_INPUT_SIZE, from))
                ret[0] = '\0';
        size_t len = strcspn(ret, "\r\n");
        if (len == TOKEN_SECRET_INPUT_SIZE - 1) /* a part of it would be another token */
                return say_failed("the token is too long; the limit is %d bytes", TOKEN_SECRET_INPUT_SIZE - 2);
        ret[len] = '\0';
        return len > 0 ? CTL_OK : say_failed("the token is empty; write it on the first line");
}
