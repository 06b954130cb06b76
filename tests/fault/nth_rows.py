"""The campaign's table: which sites of which function and action are tried."""

import dataclasses
import traceback

from nth_cases import SCENARIOS, Case
from nth_control import APPLICABLE

FEW = 4
START_MALLOC_STRIDE = 40


@dataclasses.dataclass
class Row:
    function: str
    action: str
    sites: int
    cases: int = 0
    wrong: dict = dataclasses.field(default_factory=dict)


def spread(sites, count):
    """About count of 1..sites, the first and the last among them, and the one beyond, where nothing may happen."""
    if sites <= count:
        return [*range(1, sites + 2)]
    return sorted({1 + round(i * (sites - 1) / (count - 1)) for i in range(count)}) + [sites + 1]


def chosen(scenario, function, sites, full):
    if not full:
        return spread(sites, FEW)
    count = sites if scenario == "requests" or function != "malloc" else sites // START_MALLOC_STRIDE
    return spread(sites, max(count, 2))


def run_case(scenario, case):
    try:
        return scenario.run(case)
    except Exception:  # a check that cannot even look is wrong too
        return [traceback.format_exc()]


def rows(name, directory, full=False, function=None, n=None, action=None):
    """Runs a scenario's rows one after another; each is given when it is done."""
    scenario = SCENARIOS[name](directory)
    try:
        counts = scenario.count()
        for each in [function] if function else APPLICABLE:
            for act in [action] if action else APPLICABLE[each]:
                row = Row(each, act, counts[each])
                for site in [n] if n else chosen(name, each, counts[each], full) if counts[each] else []:
                    case = Case(each, site, act)
                    wrong = run_case(scenario, case)
                    row.cases += 1
                    if wrong:
                        row.wrong[str(case)] = wrong
                yield row
    finally:
        scenario.close()
