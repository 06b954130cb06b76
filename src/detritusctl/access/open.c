#include "detritusctl/access/open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "detritusctl/cli/say.h"

int open_index(const struct ctl *ctl, struct index **ret)
{
        struct error err = { "out of memory" };
        int r = index_open_readonly(ctl->data_dir, ret, &err);
        return r == 0 ? CTL_OK : say_failed("%s", err.text);
}

int open_data_dir(const struct ctl *ctl, int *ret_fd)
{
        int fd = open(ctl->data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return say_failed("cannot open the data directory %s: %s", ctl->data_dir, strerror(errno));
        *ret_fd = fd;
        return CTL_OK;
}
