"""Edge: the record of a run, written while it runs and read back."""

from .journal import FileJournal
from .reader import read_events
from .store import RecordedRun, Runs, is_live

__all__ = ["FileJournal", "RecordedRun", "Runs", "is_live", "read_events"]
