"""Parses every script with the T-SQL grammar of sqlglot, which cannot read all of it (listed, and the list must stay true), and
checks what no grammar sees: sqlcmd's rules, settings, names across scripts, and transactions. `make sql-parse` asks another parser."""

import logging
import pathlib
import re
import sys

import sqlglot
from sqlglot import exp

# (script, words that the batch holds, why sqlglot cannot read it). A batch that can be read after all must leave the list.
UNREADABLE = [
    ("external_language.sql", "GRANT EXECUTE ANY EXTERNAL SCRIPT", "permissions on external languages"),
    ("functions.sql", "AS EXTERNAL NAME", "CLR routines"),
    ("install.sql", "THROW 50000", "IF (SELECT ...) with a scalar subquery"),
    ("migrate_filestream.sql", "PROCEDURE tensoratom.MigrateBatch", "TRY and CATCH in a WHILE"),
    ("reconcile.sql", "PROCEDURE tensoratom.CollectOrphans", "TRY and CATCH in a WHILE"),
    ("reconcile.sql", "PROCEDURE tensoratom.ReconcileStore\n", "TRY and CATCH in a WHILE"),
    ("reconcile.sql", "PROCEDURE tensoratom.ReconcileStores", "TRY and CATCH in a WHILE"),
    ("reconcile.sql", "sp_add_job", "TRY and CATCH outside a procedure"),
    ("trust_hash.sql", "OPENROWSET(BULK", "bulk rowsets"),
    ("trust_key.sql", "FROM EXECUTABLE FILE", "bulk rowsets"),
    ("uninstall.sql", "DROP ASSEMBLY", "DROP ASSEMBLY"),
    ("uninstall.sql", "DROP ROLE IF EXISTS", "DROP ROLE"),
    ("untrust.sql", "THROW 50005", "IF with nothing but THROW"),
    ("upgrade.sql", "BEGIN TRY", "TRY and CATCH outside a procedure"),
]
# Words that must not appear: each would weaken the server for everybody.
FORBIDDEN = ["TRUSTWORTHY ON", "SYSADMIN", "TO PUBLIC", "XP_CMDSHELL", "CLR STRICT SECURITY"]
FIRST_IN_BATCH = r"CREATE (?:OR ALTER )?(?:PROCEDURE|FUNCTION|VIEW|TRIGGER|SCHEMA)\b"


def batches(text: str) -> list[str]:
    """The parts between lines that say GO."""
    return [part for part in re.split(r"(?im)^GO\s*$", text) if part.strip()]


def code(text: str) -> str:
    """Without the comments at the starts of lines."""
    return re.sub(r"(?m)^\s*--.*$", "", text)


def readable(batch: str) -> bool:
    """Whether the grammar understands every statement, rather than keeping it as a text."""
    try:
        trees = sqlglot.parse(batch, dialect="tsql")
    except sqlglot.errors.SqlglotError:
        return False
    return not any(isinstance(node, exp.Command) for tree in trees if tree for node in tree.find_all(exp.Command))


def of_script(name: str, text: str) -> list[str]:
    """What is wrong with a script by itself."""
    wrong = [f"says {word}" for word in FORBIDDEN if word in code(text).upper()]
    if not text.startswith("-- "):
        wrong.append("the first line must say what the script does")
    # sqlcmd reads files in the code page of the machine unless told otherwise.
    if not text.isascii():
        wrong.append("is not plain ASCII")
    header = text.split("\nSET ", 1)[0]
    wrong += [
        f"sqlcmd line at the top does not pass {variable}"
        for variable in sorted(set(re.findall(r"\$\((\w+)\)", code(text))))
        if not re.search(rf"sqlcmd .*\b{variable}=", header)
    ]
    # Without these the statements of a procedure fail on tables with filtered indexes: sqlcmd has QUOTED_IDENTIFIER off.
    if re.search(r"CREATE (OR ALTER )?(PROCEDURE|FUNCTION)|CREATE TABLE", text):
        wrong += [f"lacks SET {x} ON" for x in ("QUOTED_IDENTIFIER", "ANSI_NULLS") if f"SET {x} ON;" not in batches(text)[0]]
    for number, batch in enumerate(map(code, batches(text)), 1):
        plain = re.sub(r"N?'(?:[^']|'')*'", "''", batch)
        if re.search(FIRST_IN_BATCH, plain) and not re.match(rf"\s*{FIRST_IN_BATCH}", plain):
            wrong.append(f"batch {number}: CREATE must be the first statement")
        # Else a statement that fails in the middle lets the rest be committed.
        if re.match(r"\s*CREATE OR ALTER PROCEDURE", plain) and "BEGIN TRANSACTION" in plain and "SET XACT_ABORT ON" not in plain:
            wrong.append(f"batch {number}: a transaction without XACT_ABORT")
        if plain.count("BEGIN TRANSACTION") != plain.count("COMMIT TRANSACTION"):
            wrong.append(f"batch {number}: a transaction that is not committed")
    return [f"{name}: {what}" for what in wrong]


def across(scripts: dict[str, str]) -> list[str]:
    """Names that one script uses and no other makes, and what is made and never taken away."""
    everything = "\n".join(map(code, scripts.values()))
    made = set(re.findall(r"(?:CREATE OR ALTER \w+|CREATE AGGREGATE|CREATE TABLE) ((?:dbo|tensoratom)\.\w+)", everything))
    used = set(re.findall(r"(?<![\w.])((?:dbo\.clr_|tensoratom\.)\w+)", re.sub(r"DROP PROCEDURE IF EXISTS \S+", "", everything)))
    wrong = [f"{name} is used and made nowhere" for name in sorted(used - made)]
    uninstall = scripts["uninstall.sql"]
    procedures = re.findall(r"CREATE OR ALTER PROCEDURE (tensoratom\.\w+)", everything)
    wrong += [f"uninstall.sql leaves {name}" for name in procedures if f"DROP PROCEDURE IF EXISTS {name};" not in uninstall]
    roles = set(re.findall(r"CREATE ROLE (\w+)", everything))
    wrong += [f"the role {role} is made nowhere" for role in sorted(set(re.findall(r"TO (tensoratom_\w+)", everything)) - roles)]
    wrong += [f"uninstall.sql leaves the role {role}" for role in sorted(roles) if f"DROP ROLE IF EXISTS {role};" not in uninstall]
    # An error number says one thing.
    numbers: dict[str, set[str]] = {}
    for number, words in re.findall(r"THROW (\d+), N'TensorAtom: (\S+ \S+ \S+)", everything):
        numbers.setdefault(number, set()).add(words.split()[0])
    wrong += [f"error {number} begins in several ways: {sorted(words)}" for number, words in numbers.items() if len(words) > 1]
    return wrong


def main() -> int:
    logging.disable(logging.CRITICAL)
    complaints, used, count = [], set(), 0
    scripts = {path.name: path.read_text(encoding="utf-8") for path in sorted(pathlib.Path(__file__).parent.glob("*.sql"))}
    for name, text in scripts.items():
        complaints += of_script(name, text)
        for number, batch in enumerate(batches(text), 1):
            count += 1
            listed = [entry for entry in UNREADABLE if entry[0] == name and entry[1] in batch]
            used.update(listed)
            if readable(batch) == bool(listed):
                state = "can be read, take it off the list" if listed else "cannot be read: correct it, or list it with a reason"
                complaints.append(f"{name}: batch {number} {state}: {batch.strip()[:80]!r}")
    complaints += across(scripts)
    for block in re.findall(r"(?s)```sql\n(.*?)```", (pathlib.Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")):
        complaints += [f"README.md: cannot be read: {line}" for line in block.splitlines() if not readable(line)]
        complaints += across({**scripts, "README.md": block})
    complaints += [f"{entry[0]}: no batch holds {entry[1]!r} any more" for entry in UNREADABLE if entry not in used]
    print("\n".join(complaints) or f"{count} batches: parsed, but for {len(UNREADABLE)} kinds that the grammar does not know")
    return 1 if complaints or not count else 0


if __name__ == "__main__":
    sys.exit(main())
