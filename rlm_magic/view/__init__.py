"""Edge: what a person sees of a run. Whatever a model wrote is shown as text, never as markup."""

from .comms import serve_bodies
from .feed import Feed
from .markdown import document
from .record import page, record
from .text import status_line

__all__ = ["Feed", "document", "page", "record", "serve_bodies", "status_line"]
