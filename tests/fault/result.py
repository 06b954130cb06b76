"""What a campaign found, as a row of a table."""

import dataclasses

from verify import Findings

COLUMNS = ("campaign", "cases", "records", "blobs", "lost", "doubled", "torn", "disorder", "seconds")


@dataclasses.dataclass
class Result:
    campaign: str
    cases: int = 0
    findings: Findings = dataclasses.field(default_factory=Findings)
    failures: list = dataclasses.field(default_factory=list)  # (which case, its findings)
    seconds: float = 0.0

    def add(self, case, findings):
        self.cases += 1
        self.findings.add(findings)
        if findings:
            self.failures.append((case, str(findings)))

    def row(self):
        found = self.findings
        return (self.campaign, self.cases, found.records, found.blobs, len(found.lost), len(found.doubled),
                len(found.torn), len(found.disorder), f"{self.seconds:.0f}")

    def __str__(self):
        return "\n".join(f"{case}:\n{findings}" for case, findings in self.failures) or "nothing wrong"


def table(results):
    """records and blobs: looked for because they were acknowledged, summed over the cases."""
    rows = [COLUMNS, *(result.row() for result in results)]
    widths = [max(len(str(row[at])) for row in rows) for at in range(len(COLUMNS))]
    return "\n".join("  ".join(str(cell).ljust(width) if not at else str(cell).rjust(width)
                               for at, (cell, width) in enumerate(zip(row, widths))) for row in rows)
