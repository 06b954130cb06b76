#include "detritusctl/cli/ctl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "detritusctl/cli/command.h"
#include "detritusctl/cli/say.h"

const char *ctl_value(const struct ctl *ctl, const char *name)
{
        for (size_t i = 0; ctl->command->options[i].name; i++) {
                if (strcmp(ctl->command->options[i].name, name) == 0)
                        return ctl->values[i];
        }
        assert(!"an option of this command");
        return NULL;
}

bool ctl_flag(const struct ctl *ctl, const char *name)
{
        return ctl_value(ctl, name);
}

const char *ctl_environment(const char *name)
{
        const char *value = getenv(name);
        return value && *value ? value : NULL;
}

int ctl_find_data_dir(struct ctl *ctl, struct config **ret_config)
{
        const char *from_env = ctl_environment("DETRITUS_DATA_DIR");
        struct error err = { "out of memory" };
        bool config_given = ctl->config_path;
        if (!ctl->config_path)
                ctl->config_path = ctl_environment("DETRITUS_CONFIG");
        if (!ctl->data_dir && !config_given && from_env) {
                ctl->data_dir = from_env;
                ctl->data_dir_given = true;
        }
        if (ctl->data_dir || !ctl->config_path || (ctl->command->flags & COMMAND_NO_DATA_DIR)) {
                ctl->data_dir = ctl->data_dir ? ctl->data_dir : "./data/";
                return CTL_OK;
        }
        int r = config_new(ret_config);
        if (r == 0)
                r = config_read(*ret_config, ctl->config_path, &err);
        if (r != 0)
                return say_failed("%s", err.text);
        ctl->data_dir = (*ret_config)->data_dir;
        return CTL_OK;
}

void ctl_hint_data_dir(const struct ctl *ctl)
{
        if (!ctl->data_dir_given && !ctl->config_path && !(ctl->command->flags & COMMAND_NO_DATA_DIR) &&
            access(ctl->data_dir, F_OK) < 0)
                say_note("there is no directory %s here; say where the data is with --data-dir DIR, --config FILE, "
                         "$DETRITUS_DATA_DIR or $DETRITUS_CONFIG",
                         ctl->data_dir);
}
