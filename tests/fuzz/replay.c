/* Runs a libFuzzer target over files, without libFuzzer: seeds and past findings replay in the normal suite, with any
 * compiler. Arguments are files and directories (read one level deep). Fails when it found nothing to run. */

#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned inputs;

static bool run_file(const char *path)
{
        _cleanup_(buf_done) struct buf b = { 0 };
        FILE *f = fopen(path, "rb");
        size_t n;
        if (!f || buf_reserve(&b, 1) < 0) {
                perror(path);
                return false;
        }
        while (buf_reserve(&b, 65536) == 0 && (n = fread(b.data + b.len, 1, 65536, f)) > 0)
                b.len += n;
        bool good = !ferror(f);
        fclose(f);
        uint8_t *exact = malloc(b.len + !b.len); /* so that reading past it is seen */
        if (!good || !exact)
                return false;
        memcpy(exact, b.data, b.len);
        LLVMFuzzerTestOneInput(exact, b.len);
        free(exact);
        inputs++;
        return true;
}

static bool run_directory(const char *path)
{
        bool good = true;
        DIR *d = opendir(path);
        if (!d) {
                perror(path);
                return false;
        }
        for (const struct dirent *e; good && (e = readdir(d)) != NULL;) {
                char file[4096];
                if (e->d_name[0] == '.')
                        continue;
                snprintf(file, sizeof(file), "%s/%s", path, e->d_name);
                good = run_file(file);
        }
        closedir(d);
        return good;
}

int main(int argc, char **argv)
{
        for (int i = 1; i < argc; i++) {
                struct stat st;
                bool directory = stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode);
                if (!(directory ? run_directory(argv[i]) : run_file(argv[i])))
                        return 1;
        }
        printf("%u inputs\n", inputs);
        return inputs > 0 ? 0 : 1;
}
