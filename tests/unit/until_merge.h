#pragma once
/* Stands in for modules written on other branches; weak, so that the real ones win. Remove with the merge. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "protocol/answer.h"
#include "protocol/source.h"
#include "storage/crashes/blob.h"

__attribute__((weak)) int refuse(struct refusal *r, enum answer a, const char *fmt, ...)
{
        va_list args;
        va_start(args, fmt);
        r->answer = a;
        r->retry_after_ms = 0;
        vsnprintf(r->message, sizeof(r->message), fmt, args);
        va_end(args);
        return (int)a;
}

__attribute__((weak)) bool source_component_valid(const char *s, size_t len)
{
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-@+:~";
        return len >= 1 && len <= SOURCE_COMPONENT_MAX && s[0] != '.' && strspn(s, alphabet) >= len;
}

__attribute__((weak)) void blob_path(const char *sha256, char ret[BLOB_PATH_SIZE])
{
        snprintf(ret, BLOB_PATH_SIZE, "crashes/by-hash/%.2s/%.64s.bin", sha256, sha256);
}
