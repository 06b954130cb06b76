#pragma once
/* Frees what a function owns at the end of its scope, unless it is given away. Source: GCC's cleanup attribute. */

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))
#define _printf_(fmt, args) __attribute__((format(printf, fmt, args)))
#define _unused_ __attribute__((unused))

/* Returns the pointer and sets the variable to NULL, so that _cleanup_ does not free what was given away. */
#define TAKE_PTR(ptr)                                                                                                  \
        ({                                                                                                             \
                __auto_type _taken = (ptr);                                                                            \
                (ptr) = NULL;                                                                                          \
                _taken;                                                                                                \
        })

/* The same for descriptors: sets the variable to -1. */
#define TAKE_FD(fd)                                                                                                    \
        ({                                                                                                             \
                int _taken = (fd);                                                                                     \
                (fd) = -1;                                                                                             \
                _taken;                                                                                                \
        })

/* DEFINE_FREEP(foo_free, struct foo) makes foo_freep() for _cleanup_(foo_freep) struct foo *f = NULL. */
#define DEFINE_FREEP(fn, type)                                                                                         \
        static inline void fn##p(type **p)                                                                             \
        {                                                                                                              \
                fn(*p);                                                                                                \
        }

static inline void freep(void *p)
{
        free(*(void **)p);
}

static inline void closep(const int *fd)
{
        if (*fd >= 0)
                close(*fd);
}

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
