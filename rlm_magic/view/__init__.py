"""Edge: what a person sees of a run. Whatever a model wrote is shown as text, never as markup."""

from .markdown import document
from .record import page, record
from .text import status_line

__all__ = ["document", "page", "record", "status_line"]
