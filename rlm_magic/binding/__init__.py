"""Edge: a value of the notebook as a file that a subkernel can open, and the card that describes it to a model."""

from .bind import bind, bind_all
from .store import ValueStore

__all__ = ["ValueStore", "bind", "bind_all"]
