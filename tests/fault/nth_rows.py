"""The campaign's tables: which sites of which function and action are tried, and how often each fault point fired."""

import collections
import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile
import traceback

from nth_cases import SCENARIOS, Case
from nth_control import APPLICABLE

FEW, FEW_STARTS = 5, 3
START_MALLOC_STRIDE = 40


@contextlib.contextmanager
def directory():
    """In memory where that can be: no power is cut here, so a sync need not reach a disk. Kept when something is wrong."""
    memory = "/dev/shm"
    path = pathlib.Path(tempfile.mkdtemp(prefix="nth-", dir=memory if os.access(memory, os.W_OK) else None))
    yield path
    shutil.rmtree(path)


@dataclasses.dataclass
class Row:
    function: str
    action: str
    sites: int
    cases: int = 0
    fired: int = 0
    places: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    wrong: dict = dataclasses.field(default_factory=dict)


def spread(sites, count):
    """About count of 1..sites, the first and the last among them, and the one beyond, where nothing may happen."""
    if sites <= count:
        return [*range(1, sites + 2)]
    return sorted({1 + round(i * (sites - 1) / (count - 1)) for i in range(count)}) + [sites + 1]


def chosen(scenario, function, sites, full):
    if not full:
        return spread(sites, FEW if scenario == "requests" else FEW_STARTS)
    if function == "malloc" and scenario != "requests" and sites > 1000:
        return spread(sites, sites // START_MALLOC_STRIDE)
    return spread(sites, sites)


def run_case(scenario, case):
    try:
        return scenario.run(case)
    except Exception:  # a check that cannot even look is wrong too
        return [traceback.format_exc()]


def place(where):
    """What kind of file it was; "" for an allocation."""
    below = where.partition("/data/")[2]
    if not below:
        return "data directory" if where else "memory"
    return below if below.startswith(("detritus.db", "lock", "reserve")) else "/".join(below.split("/")[:2 if below.startswith(
        "crashes") else 1])


class FaultPoints:
    """How often each function failed in each way, over all scenarios; a point that never fired tested nothing."""

    def __init__(self):
        self.fired = {(function, action): 0 for function in APPLICABLE for action in APPLICABLE[function]}
        self.places = collections.defaultdict(collections.Counter)
        self.scenarios = 0  # that were run whole

    def add(self, row):
        self.fired[row.function, row.action] += row.fired
        self.places[row.function].update(row.places)

    def never(self):
        return [f"{function} {action}" for (function, action), times in self.fired.items() if not times]

    def table(self):
        yield f"{'function':12}{'action':14}{'fired':>7}"
        for (function, action), times in self.fired.items():
            yield f"{function:12}{action:14}{times:7}"
        yield f"\n{'function':12}{'fired':>7}  where"
        for function, places in self.places.items():
            for where, times in places.most_common():
                yield f"{function:12}{times:7}  {where}"


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
                    for where in case.struck:
                        row.fired += 1
                        row.places[place(where)] += 1
                    if wrong:
                        row.wrong[str(case)] = wrong
                yield row
    finally:
        scenario.close()
