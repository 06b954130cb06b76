"""The one table, as text, and the same as JSON."""

import textwrap

from . import runner

WIDTH = 120
UNWRITTEN_SHOWN = 0.01
HEAD = (f"{'':4} {'':24} {'rate':>19} {'spread':>6} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>8} {'RSS MB':>7}"
        f" {'load CPU':>8} {'ours ÷ it':>9}")


def number(value, digits=2):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{digits}f}" if value < 100 else f"{value:.0f}"


def percent(value):
    return "-" if value is None else f"{value:.0%}"


def row(label, result, ratio):
    rate = f"{number(result['rate'])} {result['unit']}" if result["rate"] is not None else "void"
    figures = [(percent(result["spread"]), 6), (number(result.get("p50_ms")), 8), (number(result.get("p99_ms")), 8),
               (number(result.get("cpu_us"), 1), 8), (number(result.get("rss_mb"), 0), 7),
               (number(result.get("load_cpu"), 0), 8), ("" if ratio is None else number(ratio), 9)]
    return (f"{'':4} {label:24} {rate:>19} " + " ".join(f"{text:>{width}}" for text, width in figures)).rstrip()


def _limit(judged, which):
    sign = "<=" if judged["less_is_better"] else ">="
    return f"{which} {sign} {judged[which]:g}" if judged[which] is not None else ""


def bar_line(judged):
    figure = "-" if judged["figure"] is None else number(judged["figure"]) + judged["unit"].replace("×", " ×")
    limits = ", ".join(filter(None, (_limit(judged, "bar"), _limit(judged, "beyond"))))
    noise = judged["others_cpu_percent"]
    why = f": others used {noise:.0f} % of the CPU" if judged["verdict"] == "withheld" and noise else ""
    return f"{'':4} -> {judged['verdict'].upper():10} {figure} {judged['what']} ({limits}){why}"


def _void_lines(result):
    return [f"{'':4}    void: {reason}"[:WIDTH * 2] for reason in result["void"]]


def _extra(result):
    said = []
    if "deleted_meanwhile" in result:
        said.append(f"{result['deleted_meanwhile']:,.0f} crashes deleted meanwhile, the janitor's cycle took"
                    f" {result['cycle_secs']:.1f} s")
    if "list_ms" in result:
        said.append(f"crashes list {result['list_ms']:.1f} ms, start {result['start_ms']:.0f} ms")
    if "cold_rate" in result:
        said.append(f"the first uploads, for which directories are made: {number(result['cold_rate'])}/s")
    if result["unit"] == "MB/s" and "requests_per_sec" in result:
        said.append(f"{number(result['requests_per_sec'])} uploads/s")
    if result["unit"] == "records/s" and "disk_mb_per_sec" in result:
        said.append(f"{number(result['disk_mb_per_sec'])} MB/s of lines")
    if "bytes_per_record" in result:
        said.append(f"{result['bytes_per_record']:.0f} bytes a record")
    if "whole_rate" in result and result["unwritten"] >= UNWRITTEN_SHOWN:
        said.append(f"{result['unwritten']:.0%} of them not written when the load ended: {number(result['whole_rate'])}"
                    " records/s until all was")
    return [f"{'':4}    {', '.join(said)}"] if said else []


def _ratio(scenario, name, samples):
    """None: nothing to divide."""
    ours = scenario.against.get(name, scenario.rows[0])
    if ours is None or name == scenario.rows[0] or ours not in samples:
        return None
    if runner.summary(samples[ours])["unit"] != runner.summary(samples[name])["unit"]:
        return None
    return runner.ratio(samples[ours], samples[name])


def scenario_lines(key, scenario, samples, label_of):
    lines = [f"{key:4} {scenario.title}"]
    for name in scenario.rows:
        if name in samples:
            result = runner.summary(samples[name])
            home = name.partition("/")[0]
            label = label_of(name) if home == key else f"{home} {label_of(name)}"
            lines += [row(label, result, _ratio(scenario, name, samples)), *_void_lines(result), *_extra(result)]
    return lines + [bar_line(judged) for judged in runner.judge_all(scenario.bars, samples)]


def scaling_lines(title, table, samples):
    lines = [f"{table.title} (expected: {table.expected})"]
    first = None
    for label in table.points:
        result = runner.summary(samples[label])
        first = first or result["rate"]
        lines += [row(label, result, result["rate"] / first if result["rate"] and first else None),
                  *_void_lines(result), *_extra(result)]
    return lines


def machine_lines(machine, busy):
    return [f"{machine['date']}, commit {machine['commit']}: {machine['cores']} cores of {machine['cpu']},"
            f" {machine['memory_gb']} GB, Linux {machine['kernel']}",
            f"{machine['file_system']}: fdatasync of 4 KiB {machine['fdatasync_ms']:.2f} ms. While this ran, others"
            f" used {busy['others_cpu_percent']} % of the CPU, and {busy['stolen_cpu_percent']} % was stolen"]


def rival_lines(rivals, skipped):
    said = [f"{' '.join(filter(None, (name, rival['version'])))}: {rival['note']}" for name, rival in rivals.items()]
    said += [f"{name}: skipped, {why}" for name, why in skipped.items()]
    return ["Rivals:", *(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in said)]


EXPLAIN = """\
detritus: durability commit, tokens checked, every attribute kept, unless the row says otherwise. rate: median over the
rounds. spread: (highest - lowest) / median. CPU us: of the server, for each request or record, what it does at its end
included. RSS: its peak. load CPU: of the generator, in per cent of a core. ours ÷ it: median of the ratios within each
round; in tables of growth, the rate by the first row's. A rate is void, and in no median, when an answer was not good
or something acknowledged is not on disk exactly once. A verdict is withheld when other processes used more than 10 % of
the CPU during half of its rounds."""


def text(outcome, scenarios, scaling, label_of):
    """outcome: as main.py puts it together; it is also what the JSON file has."""
    lines = [*machine_lines(outcome["machine"], outcome["busy"]),
             f"{outcome['rounds']} rounds, about {outcome['seconds']} s a measurement", *EXPLAIN.splitlines(),
             *rival_lines(outcome["rivals"], outcome["skipped"]), ""]
    if scenarios:
        lines += [HEAD, *sum((scenario_lines(key, scenario, outcome["samples"], label_of) + [""]
                              for key, scenario in scenarios.items()), [])]
    if scaling:
        lines += ["How cost grows", HEAD.replace("ours ÷ it", "÷ 1st row"),
                  *sum((scaling_lines(title, table, outcome["scaling"][title]) + [""]
                        for title, table in scaling.items()), [])]
    return "\n".join(lines).rstrip()
