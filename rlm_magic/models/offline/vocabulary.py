"""The words that the grammar knows. To teach it a wording, add it here."""

from __future__ import annotations

from collections.abc import Mapping

from .words import spaced, stem

# Cue to the wordings that announce it. The longest wording wins.
CUES: Mapping[str, tuple[str, ...]] = {
    "count": ("how many times", "how often", "how many", "number of", "count", "count of"),
    "total": ("total", "total number of", "in total", "sum of", "altogether", "how much"),
    "mean": ("average", "mean", "average number of", "mean number of"),
    "max": ("largest", "highest", "maximum", "biggest", "greatest", "longest"),
    "min": ("smallest", "lowest", "minimum", "shortest"),
    "most": ("most", "most often", "most frequent", "most frequently", "most common", "most commonly", "most popular",
             "most active", "largest number of", "highest number of", "busiest", "top"),
    "least": ("least", "least often", "least frequent", "least common", "fewest", "rarest"),
    "distinct": ("different", "distinct", "unique", "each once"),
    "with_count": ("and how many", "and how many times", "and how often", "and of how many", "and with how many"),
    "list": ("which", "what", "who", "list", "list each", "name", "show", "once", "numbers of"),
    "per": ("by", "per", "for each", "each", "every"),
    "multi": ("or co-author", "or coauthor"),
    "or": ("or",),
    "ne": ("other than", "not"),
    "gt": ("more than", "greater than", "larger than", "above", "over"),
    "ge": ("at least", "since", "from at least"),
    "lt": ("less than", "fewer than", "smaller than", "below", "under"),
    "le": ("at most", "up to", "until"),
    "before": ("before",),
    "after": ("after",),
    "contains": ("contain", "containing", "mention", "mentioning", "include", "including", "with the word"),
    "starts": ("start with", "starting with", "begin with", "beginning with", "under the path"),
    "ends": ("end with", "ending with"),
    "filler": (
        *spaced("""a an the of in on to with were was is are be been did do does have has had this these that those and
                for at from there here their its it whose where any all given equal exactly file table dataset data
                context column sent send got get gave answered answer returned return made make appear occur belong
                wrote written listed please seen come came"""),
        "per response", "per request", "responded with", "entry of", "value of", "in this text", "of them",
        "over the whole",
    ),
}  # fmt: skip

INTENTS = ("count", "total", "mean", "max", "min", "most", "least", "distinct", "per")
NEUTRAL = ("list", "with_count", "multi", "field", "row")
RANKINGS = ("top", "bottom", "groups")
BOUNDS = ("gt", "ge", "lt", "le")
OPERATORS = ("ne", "gt", "ge", "lt", "le", "before", "after", "contains", "starts", "ends")
VALUES = ("quoted", "date", "address", "class", "path", "number", "cell")

# What the intents of a question, taken together, ask for.
OPERATIONS: Mapping[frozenset[str], str] = {
    frozenset(intents.split()): operation
    for intents, operation in {
        "": "list", "distinct": "list", "count": "count", "count distinct": "distinct", "count total": "sum",
        "total": "sum", "mean": "mean", "max": "max", "min": "min", "most": "top", "least": "bottom",
        "count per": "groups",
    }.items()
}  # fmt: skip

# Sentences and asides that say how to answer, not what: (words that it holds, further words that it may hold).
NOTES = (
    ("answer with", "only count number name address path as the and in one line value"),
    ("treat case", "different spelling by as one group the same of"),
    ("ignore case", "upper and lower the"),
    ("count zero", "as a is"),
    ("list tie", "all user that value name address path"),
    ("list once", "each path address value name one them it"),
)
NOTE_STEMS = tuple(({stem(w) for w in spaced(a)}, {stem(w) for w in spaced(f"{a} {b}")}) for a, b in NOTES)
ANSWER_FORMATS = {"COUNT", "NUMBER", "N"}
