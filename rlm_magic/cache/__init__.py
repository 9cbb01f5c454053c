"""Where models' replies are kept: one database for all notebooks, or a cassette, which is a file to share."""

from .cassette import Cassette
from .database import BOUND, Database
from .entry import KeptModel
from .upkeep import contents, database_path, trim

__all__ = ["BOUND", "Cassette", "Database", "KeptModel", "contents", "database_path", "trim"]
