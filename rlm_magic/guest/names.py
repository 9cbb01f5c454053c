"""Names that both sides of a subkernel must agree on."""

RESERVED = (
    "answer",
    "context",
    "history",
    "FINAL",
    "FINAL_VAR",
    "FailedCall",
    "SHOW_VARS",
    "SubCallError",
    "allm_query",
    "arlm_query",
    "llm_query",
    "llm_query_batched",
    "rlm_query",
    "rlm_query_batched",
    "search",
)

# Set in the environment of a subkernel, and so of everything that its code starts.
SUBKERNEL_MARK = "RLM_SUBKERNEL"
CHANNEL_VARIABLE = "RLM_CHANNEL"
PARENT_VARIABLE = "RLM_PARENT"
PLAN_VARIABLE = "RLM_PLAN"

# Directories below the kernel's own, as seen from inside.
OUTBOX = "out"
INBOX = "in"
