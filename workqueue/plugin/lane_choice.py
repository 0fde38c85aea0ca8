"""Which lane feeds each informer: what its user wants, what the environment says, what this Kopf allows."""

import logging
import os
from collections.abc import Mapping
from importlib.metadata import version
from typing import Literal, get_args

from workqueue.base.errors import ConfigurationError
from workqueue.informer.lane import LaneName
from workqueue.plugin.internals import obstacles

logger = logging.getLogger("workqueue.plugin")

#: The environment's word for lanes that nobody has chosen.
LANE_VARIABLE = "WORKQUEUE_LANE"


def choose_lanes(wanted: Mapping[str, LaneName]) -> dict[str, Literal["stream", "handlers"]]:
    """The lanes of one run; a warning tells if this Kopf has one only.

    :param wanted: by the informers' names, what each was made with.
    :raises ConfigurationError: if there is no such lane, or one was demanded that this Kopf has not.
    """
    choice = os.environ.get(LANE_VARIABLE) or "auto"
    if choice not in get_args(LaneName):
        raise ConfigurationError(f"{LANE_VARIABLE}={choice}: expected one of {', '.join(get_args(LaneName))}")
    asked = {name: choice if lane == "auto" else lane for name, lane in wanted.items()}
    lacks = obstacles()
    told = f"Kopf {version('kopf')} lacks or changed {', '.join(lacks)}"
    if lacks and (demanded := [name for name, lane in asked.items() if lane == "stream"]):
        raise ConfigurationError(
            f"informer {demanded[0]} cannot have lane='stream': {told}; leave the choice to 'auto', or take a Kopf "
            "that this version knows"
        )
    if lacks and "auto" in asked.values():
        logger.warning("%s: informers run on the handlers lane, which is slower and sees less", told)
    return {name: "handlers" if lacks or lane == "handlers" else "stream" for name, lane in asked.items()}
