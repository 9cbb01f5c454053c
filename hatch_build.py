"""Puts the JupyterLab extension into the wheel where it has been built (`make wheel`); Python alone builds the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILT = "rlm_magic/labextension"
INSTALLED = "share/jupyter/labextensions/rlm-magic"


class LabExtension(BuildHookInterface[Any]):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if Path(self.root, BUILT, "package.json").exists():
            build_data["shared_data"][BUILT] = INSTALLED
