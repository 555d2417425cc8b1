"""What a page says beside a verdict that rows do not hold: where the rows come from, and how to make them again."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Context:
    """The surroundings of one verdict; whatever is left out is not said.

    Attributes:
        heading: the space, or the file of the table.
        question: what the comparison asks.
        protocol: its name, such as "reference".
        reference: what the space is called that draws the targets.
        heldout: fresh samples on which students were scored.
        unit: of the measure, such as "parameters".
        curves: training curves, see `archab.evidence.curves.checked`.
        tuning: the trials by which the routines were chosen, see `archab.evidence.tuning.choose`.
        commands: what to type to make the rows and the page again, in this order.
        versions: of whatever made the rows and the page, by name.
        config: the configuration, as YAML.
    """

    heading: str = ""
    question: str = ""
    protocol: str = ""
    reference: str = ""
    heldout: int | None = None
    unit: str = ""
    curves: pd.DataFrame | None = None
    tuning: pd.DataFrame | None = None
    commands: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
