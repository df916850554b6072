"""Parses every script with the T-SQL grammar of sqlglot; what that grammar cannot read is listed here, and the list must stay true."""

import logging
import pathlib
import re
import sys

import sqlglot
from sqlglot import exp

# (script, words that the batch holds, why sqlglot cannot read it). A batch that can be read after all must leave the list.
UNREADABLE = [
    ("external_language.sql", "CREATE EXTERNAL LANGUAGE", "external languages"),
    ("external_language.sql", "GRANT EXECUTE ANY EXTERNAL SCRIPT", "permissions on external languages"),
    ("functions.sql", "AS EXTERNAL NAME", "CLR routines"),
    ("install.sql", "THROW 50000", "IF (SELECT ...) with a scalar subquery"),
    ("migrate_filestream.sql", "PROCEDURE tensoratom.MigrateBatch", "table variables, TRY and CATCH"),
    ("reconcile.sql", "PROCEDURE tensoratom.CollectOrphans", "TRY and CATCH in a WHILE"),
    ("trust_hash.sql", "OPENROWSET(BULK", "bulk rowsets"),
    ("trust_key.sql", "FROM EXECUTABLE FILE", "IF followed by EXEC and another IF"),
    ("uninstall.sql", "DROP AGGREGATE", "DROP AGGREGATE"),
    ("uninstall.sql", "DROP ASSEMBLY", "DROP ASSEMBLY"),
    ("upgrade.sql", "BEGIN TRY", "TRY and CATCH outside a procedure"),
]
# Words that must not appear: each would weaken the server for everybody.
FORBIDDEN = ["TRUSTWORTHY ON", "SYSADMIN", "TO PUBLIC", "XP_CMDSHELL", "CLR STRICT SECURITY"]


def batches(text: str) -> list[str]:
    """The parts between lines that say GO."""
    return [part for part in re.split(r"(?im)^GO\s*$", text) if part.strip()]


def readable(batch: str) -> bool:
    """Whether the grammar understands every statement, rather than keeping it as a text."""
    try:
        trees = sqlglot.parse(batch, dialect="tsql")
    except sqlglot.errors.SqlglotError:
        return False
    return not any(isinstance(node, exp.Command) for tree in trees if tree for node in tree.find_all(exp.Command))


def main() -> int:
    logging.disable(logging.CRITICAL)
    complaints, used, count = [], set(), 0
    for path in sorted(pathlib.Path(__file__).parent.glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        complaints += [f"{path.name}: says {word}" for word in FORBIDDEN if word in text.upper()]
        if not text.startswith("-- "):
            complaints.append(f"{path.name}: the first line must say what the script does")
        for number, batch in enumerate(batches(text), 1):
            count += 1
            listed = [entry for entry in UNREADABLE if entry[0] == path.name and entry[1] in batch]
            used.update(listed)
            if readable(batch) == bool(listed):
                state = "can be read, take it off the list" if listed else "cannot be read: correct it, or list it with a reason"
                complaints.append(f"{path.name}: batch {number} {state}: {batch.strip()[:80]!r}")
    complaints += [f"{entry[0]}: no batch holds {entry[1]!r} any more" for entry in UNREADABLE if entry not in used]
    print("\n".join(complaints) or f"{count} batches: parsed, but for {len(UNREADABLE)} kinds that the grammar does not know")
    return 1 if complaints or not count else 0


if __name__ == "__main__":
    sys.exit(main())
