"""Makes measurements, round by round, each beside what it is compared with; and sums the rounds up."""

import statistics

from .machine import Busy
from .process import BenchError
from .sample import bare


OTHERS_CPU_PERCENT_MAX = 10  # beyond which no verdict is given


def usable(name, measurements, rivals):
    rival = measurements[name].rival
    return not rival or rival in rivals


def _in_turn(names, round_number):
    """The names of one scenario stand together, in another order each round, so that none is always the first."""
    groups = {}
    for name in names:
        groups.setdefault(name.partition("/")[0], []).append(name)
    for group in groups.values():
        at = round_number % len(group)
        yield from group[at:] + group[:at]


def run(bench, measurements, names, rounds, progress):
    """{name: [sample or None, one a round]}. Measurements that give several samples give several names."""
    samples = {}

    def put(name, round_number, sample):
        samples.setdefault(name, [None] * rounds)[round_number] = sample

    for round_number in range(rounds):
        for name in _in_turn(names, round_number):
            progress(f"round {round_number + 1} of {rounds}: {name}")
            busy = Busy()
            try:
                got = measurements[name].make(bench)
            except BenchError as error:
                got = bare(0, "", void=str(error))
            noise = busy.report()
            for label, sample in ({name: got} if "rate" in got else
                                  {f"{name}/{label}": sample for label, sample in got.items()}).items():
                put(label, round_number, {**sample, **noise})
    return samples


def good(samples):
    return [sample for sample in samples if sample and not sample["void"]]


def median_of(samples, value):
    """None when no sample that counts has it."""
    values = [sample[value] for sample in good(samples) if sample.get(value) is not None]
    return statistics.median(values) if values else None


def summary(samples):
    counted = good(samples)
    rates = [sample["rate"] for sample in counted]
    rate = statistics.median(rates) if rates else None
    values = {value: median_of(samples, value) for value in (
        "mb_per_sec", "requests_per_sec", "p50_ms", "p99_ms", "cpu_us", "rss_mb", "load_cpu", "start_ms", "list_ms",
        "deleted_meanwhile", "cycle_secs", "disk_mb_per_sec", "cold_rate", "bytes_per_record", "unwritten", "whole_rate",
        "others_cpu_percent")}
    return {"rate": rate, "spread": (max(rates) - min(rates)) / rate if rate else None,
            "unit": counted[0]["unit"] if counted else "", "rounds": len(counted),
            "void": [sample["void"] for sample in samples if sample and sample["void"]],
            **{value: figure for value, figure in values.items() if figure is not None}}


def ratio(ours, theirs, value="rate", their_value=None):
    """The median of the ratios within each round: what disturbs a whole round does not touch it. None: none such."""
    their_value = their_value or value
    ratios = [a[value] / b[their_value] for a, b in zip(ours, theirs)
              if good([a]) and good([b]) and a.get(value) is not None and b.get(their_value)]
    return statistics.median(ratios) if ratios else None


def judge(bar, samples):
    """{"figure", "verdict"}: beyond, met, missed, shown (there is no bar, or what lies beyond it is not reached), no figure,
    when something that it needs was not measured or is void, or withheld, when other processes had too much of the CPU."""
    name, value = bar.of
    if bar.to:
        figure = ratio(samples.get(name, []), samples.get(bar.to[0], []), value, bar.to[1])
    else:
        figure = median_of(samples.get(name, []), value)

    def reaches(limit):
        return limit is not None and (figure <= limit if bar.less_is_better else figure >= limit)

    noise = max(median_of(samples.get(end[0], []), "others_cpu_percent") or 0 for end in (bar.of, bar.to) if end)
    if figure is None:
        verdict = "no figure"
    elif noise > OTHERS_CPU_PERCENT_MAX:
        verdict = "withheld"
    elif reaches(bar.beyond):
        verdict = "beyond"
    elif bar.bar is None:
        verdict = "shown"
    else:
        verdict = "met" if reaches(bar.bar) else "missed"
    return {"what": bar.what, "figure": figure, "unit": bar.unit, "bar": bar.bar, "beyond": bar.beyond,
            "less_is_better": bar.less_is_better, "either": bar.either, "verdict": verdict,
            "others_cpu_percent": noise}


def judge_all(bars, samples):
    judged = [judge(bar, samples) for bar in bars]
    for one in judged:
        others = [other for other in judged if other is not one and one["either"] and other["either"] == one["either"]]
        if one["verdict"] == "missed" and any(other["verdict"] in ("met", "beyond") for other in others):
            one["verdict"] = "not needed"
        elif one["verdict"] == "missed" and any(other["verdict"] == "withheld" for other in others):
            one["verdict"] = "withheld"
    return judged
