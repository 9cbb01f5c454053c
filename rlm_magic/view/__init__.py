"""Edge: what a person sees of a run. Whatever a model wrote is shown as text, never as markup."""

from .comms import serve_bodies
from .feed import Feed
from .markdown import document
from .record import page, record
from .sheet import sheet
from .text import status_line
from .words import clean, count, dollars, duration, one_line

__all__ = [
    "Feed",
    "clean",
    "count",
    "document",
    "dollars",
    "duration",
    "one_line",
    "page",
    "record",
    "serve_bodies",
    "sheet",
    "status_line",
]
