-- Schema of catalog format 1. Tables are private and may change with a migration; the views at the end are public.
-- Integers are signed 64-bit; what is unsigned elsewhere (salts) is stored with the same bits.

CREATE TABLE head (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    store_uuid    BLOB    NOT NULL,
    lsn           INTEGER NOT NULL,          -- of the newest commit; 0 for none
    commit_id     BLOB    NOT NULL,          -- of the newest commit; zeros for none
    time_us       INTEGER NOT NULL,          -- of the newest commit; never goes backwards
    synced_lsn    INTEGER NOT NULL,          -- every commit up to here is known to survive power loss
    boot_id       BLOB    NOT NULL,          -- of the machine when a commit behind synced_lsn was made
    fences        INTEGER NOT NULL DEFAULT 0 -- counts commits that only bury what a dead process left in the log
);

CREATE TABLE namespace (
    id            INTEGER PRIMARY KEY,       -- 0 is the default namespace
    name          TEXT    NOT NULL UNIQUE,
    lsn           INTEGER NOT NULL
);

-- One row per version of a key. A version is valid for lsn_from <= lsn < lsn_to; lsn_to is NULL for the current one.
CREATE TABLE atom_version (
    ns            INTEGER NOT NULL,
    key           NOT NULL,                  -- INTEGER or TEXT; integers sort first, text by its bytes
    lsn_from      INTEGER NOT NULL,
    lsn_to        INTEGER,
    payload       INTEGER NOT NULL,
    digest        BLOB    NOT NULL,          -- of the payload, so that a look-up need not visit its row
    dtype         TEXT    NOT NULL,
    shape         TEXT    NOT NULL,          -- JSON array
    encoding      TEXT,                      -- JSON object; NULL for plain
    metadata      TEXT,                      -- JSON object
    created_us    INTEGER NOT NULL,          -- time of the commit lsn_from
    PRIMARY KEY (ns, key, lsn_from)
) WITHOUT ROWID;
CREATE INDEX atom_version_from ON atom_version (lsn_from);
CREATE INDEX atom_version_to   ON atom_version (lsn_to) WHERE lsn_to IS NOT NULL;

-- What a version was made from.
CREATE TABLE lineage (
    ns            INTEGER NOT NULL,
    key           NOT NULL,
    lsn_from      INTEGER NOT NULL,
    ordinal       INTEGER NOT NULL,
    parent_key    NOT NULL,
    parent_lsn    INTEGER NOT NULL,
    PRIMARY KEY (ns, key, lsn_from, ordinal)
) WITHOUT ROWID;

CREATE TABLE payload (
    id            INTEGER PRIMARY KEY,
    ns            INTEGER NOT NULL,
    digest        BLOB    NOT NULL,          -- BLAKE3-256
    raw_bytes     INTEGER NOT NULL,
    lsn           INTEGER NOT NULL,          -- of the commit that stored it first
    live_refs     INTEGER NOT NULL,          -- current versions, manifests, vector parts and tombstones that use it
    all_refs      INTEGER NOT NULL,          -- all of them, closed ones included
    base          INTEGER,                   -- payload this one is coded against
    last_used_us  INTEGER,
    use_count     INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX payload_digest ON payload (ns, digest);

CREATE TABLE copy (
    payload       INTEGER NOT NULL,
    segment       INTEGER NOT NULL,
    offset        INTEGER NOT NULL,          -- of the record
    extent_bytes  INTEGER NOT NULL,          -- of the record with its padding
    stored_bytes  INTEGER NOT NULL,
    codec         INTEGER NOT NULL,
    tier          INTEGER NOT NULL,
    lsn           INTEGER NOT NULL,
    PRIMARY KEY (payload, segment, offset)
) WITHOUT ROWID;
CREATE INDEX copy_segment ON copy (segment, offset);

CREATE TABLE segment (
    id             INTEGER PRIMARY KEY,
    tier           INTEGER NOT NULL,
    state          INTEGER NOT NULL,         -- 1 open, 2 sealed, 3 condemned, 4 deleted
    suspect        INTEGER NOT NULL,         -- 1 after a failed sync: never append again
    salt           INTEGER NOT NULL,
    capacity_bytes INTEGER NOT NULL,
    used_bytes     INTEGER NOT NULL,         -- end of the last committed record
    dead_bytes     INTEGER NOT NULL,         -- committed bytes that no current version needs
    lsn            INTEGER NOT NULL          -- of the first commit in it
);

CREATE TABLE commit_log (
    lsn           INTEGER PRIMARY KEY,
    time_us       INTEGER NOT NULL,
    id            BLOB    NOT NULL,
    segment       INTEGER NOT NULL,          -- where the commit record lies
    offset        INTEGER NOT NULL,
    extent_bytes  INTEGER NOT NULL
);
CREATE INDEX commit_time    ON commit_log (time_us);
CREATE INDEX commit_segment ON commit_log (segment, offset);

-- The layout of an imported file, from which it is exported bit for bit.
CREATE TABLE manifest (
    ns            INTEGER NOT NULL,
    prefix        TEXT    NOT NULL,
    name          TEXT    NOT NULL,          -- file name without directory
    lsn_from      INTEGER NOT NULL,
    lsn_to        INTEGER,
    format        TEXT    NOT NULL,
    header        INTEGER NOT NULL,          -- payload that holds the file's header as it was
    PRIMARY KEY (ns, prefix, name, lsn_from)
) WITHOUT ROWID;

CREATE TABLE tag      (name TEXT PRIMARY KEY, lsn INTEGER NOT NULL, created_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE consumer (name TEXT PRIMARY KEY, lsn INTEGER NOT NULL, updated_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE setting  (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Batches that are durable and invisible until a coordinator decides.
CREATE TABLE prepared (
    gtrid         TEXT    PRIMARY KEY,
    created_us    INTEGER NOT NULL,
    segment       INTEGER NOT NULL,          -- where the batch's record lies
    offset        INTEGER NOT NULL,
    extent_bytes  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE vector_set (
    id            INTEGER PRIMARY KEY,       -- never used again, whatever becomes of the set
    ns            INTEGER NOT NULL,
    name          TEXT    NOT NULL,
    dim           INTEGER NOT NULL,
    dtype         TEXT    NOT NULL,
    metric        TEXT    NOT NULL,
    lsn_from      INTEGER NOT NULL,
    lsn_to        INTEGER
);
CREATE INDEX vector_set_name ON vector_set (ns, name);

CREATE TABLE vector_part (
    vector_set    INTEGER NOT NULL,
    part          INTEGER NOT NULL,
    lsn_from      INTEGER NOT NULL,
    lsn_to        INTEGER,
    rows          INTEGER NOT NULL,
    vectors       INTEGER NOT NULL,          -- payload: matrix
    ids           INTEGER NOT NULL,          -- payload: i64 ids
    companion     INTEGER,                   -- payload: quantised form with error bounds
    PRIMARY KEY (vector_set, part, lsn_from)
) WITHOUT ROWID;

CREATE TABLE tombstone (
    vector_set    INTEGER NOT NULL,
    part          INTEGER NOT NULL,
    lsn_from      INTEGER NOT NULL,
    lsn_to        INTEGER,
    bitmap        INTEGER NOT NULL,          -- payload: rows of the part that are deleted
    PRIMARY KEY (vector_set, part, lsn_from)
) WITHOUT ROWID;

-- Public views.

CREATE VIEW versions AS
    SELECT n.name AS namespace, v.key, v.lsn_from, v.lsn_to, v.dtype, v.shape, p.raw_bytes AS bytes,
           lower(hex(p.digest)) AS digest, v.encoding, v.metadata, v.created_us
      FROM atom_version v JOIN namespace n ON n.id = v.ns JOIN payload p ON p.id = v.payload;

CREATE VIEW atoms AS
    SELECT n.name AS namespace, v.key, v.dtype, v.shape, p.raw_bytes AS bytes, lower(hex(p.digest)) AS digest,
           (SELECT CASE min(c.tier) WHEN 1 THEN 'hot' WHEN 2 THEN 'warm' WHEN 3 THEN 'cold' END
              FROM copy c WHERE c.payload = p.id) AS tier,
           v.lsn_from AS lsn, v.encoding, v.metadata, v.created_us
      FROM atom_version v JOIN namespace n ON n.id = v.ns JOIN payload p ON p.id = v.payload
     WHERE v.lsn_to IS NULL;

CREATE VIEW payloads AS
    SELECT n.name AS namespace, lower(hex(p.digest)) AS digest, p.raw_bytes AS bytes, p.live_refs, p.all_refs,
           c.segment, c.offset, c.stored_bytes,
           CASE c.tier WHEN 1 THEN 'hot' WHEN 2 THEN 'warm' WHEN 3 THEN 'cold' END AS tier,
           CASE c.codec WHEN 1 THEN 'raw' WHEN 2 THEN 'lz4' WHEN 3 THEN 'zstd' WHEN 4 THEN 'float'
                        WHEN 5 THEN 'delta' END AS codec,
           (SELECT lower(hex(b.digest)) FROM payload b WHERE b.id = p.base) AS base
      FROM payload p JOIN namespace n ON n.id = p.ns LEFT JOIN copy c ON c.payload = p.id;

CREATE VIEW segments AS
    SELECT id, CASE tier WHEN 1 THEN 'hot' WHEN 2 THEN 'warm' WHEN 3 THEN 'cold' END AS tier,
           CASE state WHEN 1 THEN 'open' WHEN 2 THEN 'sealed' WHEN 3 THEN 'condemned' WHEN 4 THEN 'deleted' END AS state,
           suspect, capacity_bytes, used_bytes, dead_bytes
      FROM segment;

CREATE VIEW commits AS SELECT lsn, time_us, lower(hex(id)) AS id, segment, offset FROM commit_log;

CREATE VIEW changes AS
    SELECT v.lsn_from AS lsn, 'put' AS operation, n.name AS namespace, v.key
      FROM atom_version v JOIN namespace n ON n.id = v.ns
    UNION ALL
    SELECT v.lsn_to, 'delete', n.name, v.key
      FROM atom_version v JOIN namespace n ON n.id = v.ns
     WHERE v.lsn_to IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM atom_version w WHERE w.ns = v.ns AND w.key = v.key AND w.lsn_from = v.lsn_to);

CREATE VIEW lineages AS
    SELECT n.name AS namespace, l.key, l.lsn_from AS lsn, l.parent_key, l.parent_lsn
      FROM lineage l JOIN namespace n ON n.id = l.ns;

CREATE VIEW manifests AS
    SELECT n.name AS namespace, m.prefix, m.name, m.format, m.lsn_from AS lsn, p.raw_bytes AS header_bytes
      FROM manifest m JOIN namespace n ON n.id = m.ns JOIN payload p ON p.id = m.header
     WHERE m.lsn_to IS NULL;

CREATE VIEW vector_sets AS
    SELECT n.name AS namespace, s.name, s.dim, s.dtype, s.metric, s.lsn_from AS lsn,
           (SELECT count(*) FROM vector_part p WHERE p.vector_set = s.id AND p.lsn_to IS NULL) AS parts,
           (SELECT coalesce(sum(p.rows), 0) FROM vector_part p WHERE p.vector_set = s.id AND p.lsn_to IS NULL) AS rows
      FROM vector_set s JOIN namespace n ON n.id = s.ns WHERE s.lsn_to IS NULL;

CREATE VIEW vector_parts AS
    SELECT n.name AS namespace, s.name, p.part, p.lsn_from AS lsn, p.rows,
           (SELECT raw_bytes FROM payload WHERE id = p.vectors) AS vector_bytes,
           (SELECT raw_bytes FROM payload WHERE id = p.ids) AS id_bytes,
           coalesce((SELECT raw_bytes FROM payload WHERE id = p.companion), 0) AS companion_bytes,
           coalesce((SELECT b.raw_bytes FROM tombstone t JOIN payload b ON b.id = t.bitmap
                      WHERE t.vector_set = p.vector_set AND t.part = p.part AND t.lsn_to IS NULL), 0) AS tombstone_bytes
      FROM vector_part p JOIN vector_set s ON s.id = p.vector_set JOIN namespace n ON n.id = s.ns
     WHERE p.lsn_to IS NULL;
