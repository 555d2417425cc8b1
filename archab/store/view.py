"""How MLflow opens the runs of an experiment: the evidence first, and the columns that a reviewer wants.

MLflow keeps a shared view as a tag of the experiment, which a link names (tried in its versions 3.10 and 3.17).
"""

import json
from typing import Any

NAME = "archab"
TAG = f"mlflow.sharedViewState.{NAME}"
DEFAULTS: dict[str, Any] = {  # MLflow's own; where one is missing, some of its versions wait for ever
    "searchFilter": "",
    "orderByKey": "attributes.start_time",
    "orderByAsc": False,
    "startTime": "ALL",
    "lifecycleFilter": "Active",
    "datasetsFilter": [],
    "modelVersionFilter": "All Runs",
    "columnOrder": [],
    "columnWidths": {},
    "runsExpanded": {},
    "runsPinned": [],
    "runsHidden": [],
    "runsHiddenMode": "FIRST_10_RUNS",
    "runsVisibilityMap": {},
    "viewMaximized": False,
    "runListHidden": False,
    "hideEmptyCharts": True,
    "groupBy": None,
    "groupsExpanded": {},
    "useGroupedValuesInCharts": True,
    "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
}
COLUMNS = ("gmr", "p_value", "log_e", "blocks", "seeds")
SECTIONS = {
    "Evidence by round": {"log_e": "linear", "gmr": "log", "p_anytime": "log"},
    "By member": {"a/nmse": "log", "b/nmse": "log", "member/gmr": "log"},
}


def state() -> str:
    """The tag's value."""
    return json.dumps(
        {
            **DEFAULTS,
            "selectedColumns": ["tags.`archab.verdict`", *(f"metrics.`{name}`" for name in COLUMNS)],
            "isAccordionReordered": True,  # or sections are sorted by name
            "compareRunSections": [_section(name) for name in SECTIONS],
            "compareRunCharts": [
                _chart(section, key, scale) for section, charts in SECTIONS.items() for key, scale in charts.items()
            ],
        }
    )


def _section(name: str) -> dict[str, Any]:
    return {
        "uuid": name,
        "name": name,
        "display": True,
        "isReordered": False,
        "deleted": False,
        "isGenerated": False,
        "columns": 2,
    }


def _chart(section: str, metric: str, scale: str) -> dict[str, Any]:
    return {
        "uuid": metric,
        "type": "LINE",
        "metricSectionId": section,
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "scaleType": scale,
        "xAxisScaleType": "linear",
        "xAxisKey": "step",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "range": {},
        "runsCountToCompare": 10,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
        "deleted": False,
        "isGenerated": False,
    }
