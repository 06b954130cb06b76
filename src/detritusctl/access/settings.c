#include "detritusctl/access/settings.h"

#include "detritusctl/access/perform.h"
#include "detritusctl/cli/say.h"
#include "util/cleanup.h"

static int set(struct config *c, const char *flag, const char *value, struct error *err)
{
        return value ? config_set(c, flag, value, err) : 0;
}

int settings_read(const struct ctl *ctl, const char *path, const char *tokens_config, struct config **ret)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct error err = { "out of memory" };
        if (!tokens_config)
                tokens_config = ctl_environment("DETRITUS_TOKENS_CONFIG");
        int r = config_new(&config);
        if (r == 0 && path)
                r = config_read(config, path, &err);
        if (r == 0 && (!path || ctl->data_dir_given))
                r = set(config, "data-dir", ctl->data_dir, &err);
        if (r == 0)
                r = set(config, "tokens-config", tokens_config, &err);
        if (r != 0)
                return say_failed("%s", err.text);
        *ret = TAKE_PTR(config);
        return CTL_OK;
}

int settings_for_operation(const struct ctl *ctl, const struct perform_request *request, struct config **ret)
{
        _cleanup_(config_freep) struct config *config = NULL;
        struct error err = { "out of memory" };
        bool days = request->logs_ttl_days && request->crashes_ttl_days;
        if (request->retention && !ctl->config_path && !days)
                return say_failed(
                        "no daemon runs, so say how long things are kept: --config FILE, or --logs-ttl-days and "
                        "--crashes-ttl-days");
        int r = config_new(&config);
        if (r == 0 && ctl->config_path)
                r = config_read(config, ctl->config_path, &err);
        if (r == 0)
                r = set(config, "data-dir", ctl->data_dir, &err);
        if (r == 0)
                r = set(config, "logs-ttl-days", request->logs_ttl_days, &err);
        if (r == 0)
                r = set(config, "crashes-ttl-days", request->crashes_ttl_days, &err);
        if (r != 0)
                return say_failed("%s", err.text);
        *ret = TAKE_PTR(config);
        return CTL_OK;
}
