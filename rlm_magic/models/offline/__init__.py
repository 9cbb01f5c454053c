"""Two models without a language model, a key or a network, so that the first command of a new user works.

`policy` is the root: it writes real exploring code for a few families of questions (counts, sums and rankings over
logs, tables and JSON lines; facts of a text; counting by categories) and says so where it does not know. `reader`
answers its sub-calls with word statistics. Both are deterministic.
"""

from .model import policy, reader
from .policy import LABEL

__all__ = ["LABEL", "policy", "reader"]
