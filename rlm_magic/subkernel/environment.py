"""The environment of a subkernel: nothing of the notebook's, so no keys."""

from __future__ import annotations

import os
import site
import sys
from pathlib import Path

from ..guest.names import PARENT_VARIABLE, SUBKERNEL_MARK
from .rundir import Place

HASH_SEED = "0"


def environment(place: Place, python: str) -> dict[str, str]:
    """Variables for the subkernel at ``place``, which runs this ``python``."""
    home = str(place.work)
    variables = {
        "PATH": os.pathsep.join([str(Path(python).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "LANG": "C.UTF-8",
        "HOME": home,
        "LOGNAME": "rlm",
        "TMPDIR": home,
        "IPYTHONDIR": str(place.work / ".ipython"),
        "JUPYTER_RUNTIME_DIR": home,
        "MPLCONFIGDIR": home,
        "PYTHONHASHSEED": HASH_SEED,
        "PYTHONDONTWRITEBYTECODE": "1",
        SUBKERNEL_MARK: "1",
        PARENT_VARIABLE: str(os.getpid()),
    }
    # one thread each, and n_jobs counts as 1: many subkernels share the processor
    variables.update(dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    variables["JOBLIB_MULTIPROCESSING"] = "0"
    if python == sys.executable and site.ENABLE_USER_SITE:
        variables["PYTHONUSERBASE"] = site.getuserbase()  # it would be looked for below HOME
    return variables
