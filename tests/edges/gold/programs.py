"""One program for each question of the evaluation data, written by hand: what a good root model would write.

They prove the plumbing (binding, running, sub-calls, answers), not any model's skill.
"""

from __future__ import annotations

LOG = r"""
import re
from collections import Counter
rows = []
for line in context.splitlines():
    head, _, tail = line.partition('" ')
    client, request = head.split(" ", 1)[0], head.rpartition('"')[2].split()
    status, size = (tail.split() + ["", ""])[:2]
    rows.append((client, line[line.index("[") + 1 :][:11], request[1] if len(request) > 1 else "", status, size))
"""

PEPS = r"""
import json
from collections import Counter
docs = {}
for line in context.splitlines():
    record = json.loads(line)
    fields, key = {}, None
    for row in record["text"].split("\n\n", 1)[0].split("\n"):
        if row[:1] in " \t" and key:
            fields[key] += " " + row.strip()
        elif ":" in row:
            key, value = row.split(":", 1)
            fields[key] = value.strip()
    docs[int(record["id"][4:])] = fields

def authors(pep):
    return [name.split("<")[0].strip() for name in docs[pep]["Author"].split(",") if name.split("<")[0].strip()]
"""

TABLE = """
import csv, io
from collections import Counter, defaultdict
rows = list(csv.DictReader(io.StringIO(context)))
"""

SUBMIT = "\nanswer['content'] = {}\nanswer['ready'] = True\n"

PROGRAMS = {
    "log1": LOG + SUBMIT.format("sum(r[3] == '404' for r in rows)"),
    "log2": LOG + "top, n = Counter(r[0] for r in rows).most_common(1)[0]" + SUBMIT.format("f'{top} {n}'"),
    "log3": LOG + SUBMIT.format("len({r[0] for r in rows})"),
    "log4": LOG + SUBMIT.format("sum(int(r[4]) for r in rows if r[1] == '18/May/2015' and r[4].isdigit())"),
    "log5": LOG + "Final = sorted({r[2] for r in rows if r[3].startswith('5')})",
    "log6": LOG
    + "top, n = Counter(r[2] for r in rows if r[3] == '404').most_common(1)[0]"
    + SUBMIT.format("f'{top} {n}'"),
    "pep1": PEPS + "FINAL(sum(d['Status'] == 'Rejected' for d in docs.values()))",
    "pep2": PEPS + "n = int(docs[601]['Superseded-By'])\nFINAL(authors(n) + [docs[n]['Python-Version']])",
    "pep3": PEPS
    + "title = 'Easier suppression of file descriptor inheritance'\n"
    + "n = next(n for n, d in docs.items() if d['Title'] == title)\n"
    + "created = docs[int(docs[n]['Superseded-By'])]['Created']\nFINAL_VAR('created')",
    "pep4": PEPS
    + "who, n = Counter(a for p in docs for a in set(authors(p))).most_common(1)[0]"
    + SUBMIT.format("f'{who} {n}'"),
    "pep5": PEPS
    + "hits = sorted(n for n, d in docs.items() if d.get('Python-Version') == '3.8' and d['Status'] == 'Final')"
    + SUBMIT.format("hits"),
    "pep6": PEPS + SUBMIT.format("f\"{authors(20)[0]}, {docs[20]['Created']}\""),
    "tab1": TABLE + SUBMIT.format("len({r['bioguide'] for r in rows})"),
    "tab2": TABLE
    + "chambers = defaultdict(set)\nfor r in rows: chambers[r['bioguide']].add(r['chamber'])"
    + SUBMIT.format("sum(len(c) == 2 for c in chambers.values())"),
    "tab3": TABLE
    + "old = max(rows, key=lambda r: float(r['age']))"
    + SUBMIT.format("' '.join([old['firstname'].strip(), old['lastname'].strip(), old['age']])"),
    "tab4": TABLE
    + "ages = defaultdict(list)\n"
    + "for r in rows:\n    if r['chamber'] == 'senate': ages[r['congress']].append(float(r['age']))"
    + SUBMIT.format("int(max(ages, key=lambda c: sum(ages[c]) / len(ages[c])))"),
    "tab5": TABLE + SUBMIT.format("sum(r['Group'].strip().lower() == 'media' for r in rows)"),
    "tab6": TABLE
    + "who, n = Counter(r['Raw_Guest_List'].strip() for r in rows).most_common(1)[0]"
    + SUBMIT.format("f'{who} {n}'"),
}

CLASSIFY = r"""
import itertools, re
from collections import Counter, defaultdict
lines = context.splitlines()
batches = [lines[i : i + 50] for i in range(0, len(lines), 50)]
replies = llm_query_batched(["Classify each query, one 'number: category' a line.\n"
                             + "\n".join(f"{n}: {line}" for n, line in enumerate(batch)) for batch in batches])
rows = []
for batch, reply in zip(batches, replies):
    labels = dict(line.split(": ", 1) for line in reply.splitlines())
    assert len(labels) == len(batch), "an id is missing"
    for n, line in enumerate(batch):
        date, user, _ = line.split(" || ")
        rows.append((date[6:], int(user[6:]), labels[str(n)]))
counts = Counter(label for _, _, label in rows)
"""

CLASSIFYING = {
    "o1_count": CLASSIFY + SUBMIT.format("counts['PIN or passcode']"),
    "o2_most": CLASSIFY + SUBMIT.format("counts.most_common()[0][0]"),
    "o3_least": CLASSIFY + SUBMIT.format("counts.most_common()[-1][0]"),
    "o4_compare": CLASSIFY
    + "half = Counter(label for date, _, label in rows if date < '2025-07-01')\n"
    + "a, b = half['refund'], half['card delivery']"
    + SUBMIT.format("'more' if a > b else 'fewer' if a < b else 'equally many'"),
    "o5_user": CLASSIFY
    + "users = Counter(user for _, user, label in rows if label == 'cash withdrawal')"
    + SUBMIT.format("sorted(u for u, n in users.items() if n == max(users.values()))"),
    "o6_pairs": CLASSIFY
    + "by = defaultdict(Counter)\nfor _, user, label in rows: by[user][label] += 1\n"
    + "good = sorted(u for u, c in by.items() if c['top-up'] >= 5 and c['exchange rate'] >= 2)"
    + SUBMIT.format("[list(p) for p in itertools.combinations(good, 2)]"),
}
