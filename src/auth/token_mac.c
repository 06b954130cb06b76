/* HMAC is spelled out as its two SHA-256 contexts with the padded key already absorbed: making a MAC copies them, which
 * costs less than half of EVP_MAC_CTX_dup() and can be done by many threads at once. */

#include "auth/token_mac.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>

struct token_mac {
        EVP_MD_CTX *inner, *outer; /* never changed after token_mac_new() */
};

static EVP_MD_CTX *prepare(const uint8_t key[TOKEN_MAC_KEY_BYTES], uint8_t pad)
{
        uint8_t block[TOKEN_MAC_KEY_BYTES];
        for (size_t i = 0; i < sizeof(block); i++)
                block[i] = key[i] ^ pad;
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        if (md && (!EVP_DigestInit_ex(md, EVP_sha256(), NULL) || !EVP_DigestUpdate(md, block, sizeof(block)))) {
                EVP_MD_CTX_free(md);
                md = NULL;
        }
        OPENSSL_cleanse(block, sizeof(block));
        return md;
}

int token_mac_new(const uint8_t key[TOKEN_MAC_KEY_BYTES], struct token_mac **ret)
{
        _cleanup_(token_mac_freep) struct token_mac *m = calloc(1, sizeof(*m));
        if (!m)
                return -ENOMEM;
        m->inner = prepare(key, 0x36); /* RFC 2104 §2 */
        m->outer = prepare(key, 0x5c);
        if (!m->inner || !m->outer)
                return -ENOMEM;
        *ret = TAKE_PTR(m);
        return 0;
}

struct token_mac *token_mac_free(struct token_mac *m)
{
        if (!m)
                return NULL;
        EVP_MD_CTX_free(m->inner);
        EVP_MD_CTX_free(m->outer);
        free(m);
        return NULL;
}

static int digest(EVP_MD_CTX *md, const EVP_MD_CTX *prepared, const void *data, size_t len,
                  uint8_t ret[TOKEN_MAC_BYTES])
{
        return EVP_MD_CTX_copy_ex(md, prepared) && EVP_DigestUpdate(md, data, len) && EVP_DigestFinal_ex(md, ret, NULL)
                       ? 0
                       : -ENOMEM;
}

int token_mac_make(const struct token_mac *m, const void *data, size_t len, uint8_t ret[TOKEN_MAC_BYTES])
{
        uint8_t inner[TOKEN_MAC_BYTES];
        EVP_MD_CTX *md = EVP_MD_CTX_new();
        int r = md ? digest(md, m->inner, data, len, inner) : -ENOMEM;
        if (r == 0)
                r = digest(md, m->outer, inner, sizeof(inner), ret);
        EVP_MD_CTX_free(md);
        return r;
}
