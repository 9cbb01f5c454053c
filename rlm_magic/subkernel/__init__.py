"""Edge: the model's code runs in an ipykernel of its own, which this package starts, watches and ends."""

from ..guest.names import RESERVED, SUBKERNEL_MARK
from .environment import HASH_SEED
from .probe import probe, probe_tiers
from .sandbox import Subkernel
from .sandboxes import Subkernels, close_all
from .specs import kernel_names
from .threads import in_thread
from .tiers import Tier, choose

__all__ = [
    "HASH_SEED",
    "RESERVED",
    "SUBKERNEL_MARK",
    "Subkernel",
    "Subkernels",
    "Tier",
    "choose",
    "close_all",
    "in_thread",
    "kernel_names",
    "probe",
    "probe_tiers",
]
