#include "detritusctl/crashes/crash_filter.h"

#include "detritusctl/cli/arg.h"

const char *const crash_filter_kinds[] = { "Minidump", "PanicTarball", "RustcIce", NULL };

/* option: "--since". */
static int read_time(const struct ctl *ctl, const char *option, struct moment *at, const struct moment **ret)
{
        const char *text = ctl_value(ctl, option + 2);
        int status = text ? arg_moment(option, text, at) : CTL_OK;
        *ret = text ? at : NULL;
        return status;
}

int crash_filter_read(const struct ctl *ctl, bool with_times, struct crash_filter *f)
{
        *f = (struct crash_filter){ .index = {
                                            .project = ctl_value(ctl, "project"),
                                            .install_id = ctl_value(ctl, "install"),
                                            .platform = ctl_value(ctl, "platform"),
                                            .version = ctl_value(ctl, "version"),
                                            .kind = ctl_value(ctl, "kind"),
                                            .grep = ctl_value(ctl, "grep"),
                                    } };
        int status = names_find(ctl->data_dir, f->index.project, f->index.install_id, &f->names);
        f->index.project = *f->names.project ? f->names.project : NULL;
        f->index.install_id = *f->names.install_id ? f->names.install_id : NULL;
        if (!with_times || status != CTL_OK)
                return status;
        status = read_time(ctl, "--since", &f->since, &f->index.since);
        return status == CTL_OK ? read_time(ctl, "--until", &f->until, &f->index.until) : status;
}
