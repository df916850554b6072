//! The command line as types. Help texts are what users read first.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Embedded storage for tensors: verified, memory-mapped, shared by several processes.
///
/// Exit codes: 0 done, 1 failed, 2 damage found (verify), 64 wrong usage, 130 interrupted.
#[derive(Debug, Parser)]
#[command(name = "tensoratom", version, styles = STYLES, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Examples:
  tensoratom init models
  tensoratom import models model.safetensors --prefix bert/
  tensoratom ls models bert/
  tensoratom stat models
  tensoratom get models bert/embeddings.weight --rows 0:4
  tensoratom verify models
  tensoratom export models --prefix bert/ -o same.safetensors")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a store
    #[command(after_help = "Examples:
  tensoratom init archive
  tensoratom init laptop --segment-size 64MiB
  tensoratom init photos --cold slow-disk/photos

JSON: {uuid, segment_bytes, chunk_bytes}.")]
    Init(Init),
    /// Import safetensors or .npy files as one atomic commit
    #[command(after_help = "Examples:
  tensoratom import models model.safetensors --prefix bert/
  tensoratom import models shard-*.safetensors --prefix llm/
  tensoratom import cache queries.npy --create

JSON: {atoms, file_bytes, payload_bytes, new_bytes, lsn, seconds}.
A file that contradicts itself is refused before anything is written. Tensors the store holds already take no space.")]
    Import(Import),
    /// Write atoms into a safetensors file; an imported file comes out bit for bit
    #[command(after_help = "Examples:
  tensoratom export models --prefix bert/ -o same.safetensors
  tensoratom export models --prefix llm/ --file-name shard-1.safetensors -o s1

JSON: {atoms, file_bytes, header_kept, seconds}.
The file appears when all of it is written and verified.")]
    Export(Export),
    /// List atoms
    #[command(after_help = "Examples:
  tensoratom ls models
  tensoratom ls models bert/encoder. --limit 20
  tensoratom ls models --json | jq -r '.[].key'

Integers come first, then names by their bytes. Long listings are printed as they are read.
JSON: a list of {key, dtype, shape, bytes, digest, tier, lsn}.")]
    Ls(Ls),
    /// Show an atom, or write it to a file
    #[command(after_help = "Examples:
  tensoratom get models bert/embeddings.weight  # descriptor and first values
  tensoratom get models bert/embeddings.weight --rows 100:104
  tensoratom get models bert/embeddings.weight --npy weight.npy
  tensoratom get models bert/embeddings.weight -o weight.bin  # raw bytes
  tensoratom get models bert/embeddings.weight --rows 0:1 -o - | od -t f4

JSON: {key, dtype, shape, bytes, digest, tier, lsn, metadata, created_us}.")]
    Get(Get),
    /// Store a file under a key
    #[command(after_help = "Examples:
  tensoratom put models queries queries.npy
  tensoratom put models table table.bin --dtype bf16 --shape 4096,128
  tensoratom put models bias bias.npy --metadata '{\"layer\": 3}'
  tensoratom put models scale scale.bin --dtype f32 --shape ''
  tensoratom put models 42 one.npy --int
  tensoratom put models again queries.npy --if-absent

JSON: {lsn}.")]
    Put(Put),
    /// Delete atoms
    #[command(after_help = "Examples:
  tensoratom rm models queries bias
  tensoratom rm models 42 --int
  tensoratom rm models --prefix llm/

JSON: {deleted, lsn}.")]
    Rm(Rm),
    /// Vector sets: add vectors, show, compact and drop sets
    #[command(subcommand, arg_required_else_help = true)]
    Vectors(Vectors),
    /// Find the nearest vectors, exactly
    #[command(after_help = "Examples:
  tensoratom search models words --query query.npy
  tensoratom search models words --query query.npy -k 100 --metric dot --json
  tensoratom search models --tensor bert/embeddings.weight --query query.npy

A query file holds one vector, or a matrix of one per row. Ids of a stored tensor are its row numbers.
JSON: a list per query of {id, distance}; NaN and infinite distances are strings.")]
    Search(Search),
    /// Show what the store holds and what every byte of its directory is for
    #[command(
        after_help = "Examples:\n  tensoratom stat models\n  tensoratom stat models --json\n\nJSON: {atoms, payloads, raw_bytes, stored_bytes, disk_bytes, accounted: {live, history, dead, slack, \
                            catalog, ...}, cold_directory: {path, disk_bytes, problem}}; the accounted parts sum to disk_bytes."
    )]
    Stat(Stat),
    /// Read everything back and report every damaged atom
    #[command(after_help = "Examples:
  tensoratom verify models
  tensoratom verify models --prefix bert/ --json

Exit code 0 when all is sound, 2 when damage was found, 1 when the cold directory is away.
JSON: {atoms_checked, payloads_checked, chunks_checked, bytes_checked, is_sound, payloads_unavailable, unavailable,
damaged: [{namespace, key, lsn, is_current, segment, offset, what}]}.")]
    Verify(Verify),
    /// Make store.json or the catalog anew from the segments
    #[command(after_help = "Examples:
  tensoratom repair models
  tensoratom repair models --rebuild-catalog

JSON: {identity_rewritten, catalog_rebuilt, segments_scanned, records_found, commits_applied, commits_missing, payloads_adopted,
atoms, findings}.
Needs the store to itself. The old catalog is kept aside as catalog.old.tadb; delete it when you are satisfied.")]
    Repair(Repair),
    /// Move payloads between the warm tier (raw) and the cold one (coded, smaller), by hand or by policy
    #[command(after_help = "Examples:
  tensoratom tier models --to cold
  tensoratom tier models minilm/encoder.layer.3 --to cold
  tensoratom tier models tuned/ --to cold --base minilm/  # what differs
  tensoratom tier models minilm/ --to warm
  tensoratom tier models --policy show > policy.json  # to start from
  tensoratom tier models --policy policy.json
  tensoratom tier models --pin minilm/  # stays warm, read into memory at open
  tensoratom tier models --unpin minilm/
  tensoratom tier models --plan   # what the policy would move, and why
  tensoratom tier models --apply  # do it; for a nightly job
  tensoratom tier models --cold slow-disk/models  # another disk

JSON: with --to {payloads_moved, payloads_there, raw_bytes, stored_bytes_before, stored_bytes_after, deltas, commits},
with --apply also {payloads_told, planned, skipped, damaged} and the counts of gc, with --plan {moves: [{namespace, name, digest, bytes,
stored_bytes, from, to, reason, base}]}, with --pin, --unpin and --policy FILE {changed}, with --cold {segments_copied, bytes_copied,
left_behind}.
Every new copy is read back and verified before the old one gives way. Interrupted, run it again.
A policy: {hot_days, warm_days, min_bytes, warm_bytes_max, deltas, codec, rules: [{namespace, prefix, hot_days, warm_days, tier,
codec}], pins: [{namespace, prefix, exact, integer}]}; what is left out has its default. A codec is auto, raw, lz4, zstd, zstd:1 to
zstd:19, or float.")]
    Tier(Tier),
    /// Reclaim space: garbage, and with --keep history that is older
    #[command(after_help = "Examples:
  tensoratom gc models --dry-run
  tensoratom gc models
  tensoratom gc models --keep 7d
  tensoratom gc models --keep 0s --dead-share 0

JSON: {horizon, forgotten, segments_condemned, segments_deleted, segments_held, segments_busy, payloads_moved, bytes_moved,
bytes_freed, findings}.
Without --keep all history stays. Every payload moved is read back and verified before its segment goes, and a segment goes
only when no process reads it. Interrupted, run it again.")]
    Gc(Gc),
    /// Query the store with SQL
    #[command(after_help = "Examples:
  tensoratom sql models \"SELECT key, bytes FROM atoms ORDER BY bytes DESC\"
  tensoratom sql models \"SELECT key FROM atoms WHERE metadata ->> '$.layer' = 3\"

JSON: a list of {column: value}; blobs are hexadecimal.
Views: atoms, versions, payloads, segments, commits, changes, lineages, manifests,
vector_sets, vector_parts.")]
    Sql(Sql),
    /// Measure this machine: ingest, first touch, repeated read, commits, in a store made for it
    #[command(after_help = "Example:
  tensoratom bench . --size 64MiB

JSON: {bytes, results: {what: {value, unit}}}.")]
    Bench(Bench),
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  tensoratom completions bash > tensoratom.bash  # then: source tensoratom.bash")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct StoreArg {
    /// Directory of the store
    pub(crate) store: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct NamespaceArg {
    /// Namespace (tenant) inside the store
    #[arg(long, short = 'n', value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) namespace: String,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Capacity of a segment file
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub(crate) segment_size: u64,
    /// Unit of checksum and partial read, a power of two
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = parse_size)]
    pub(crate) chunk_size: u64,
    /// Keep the cold tier in this directory, perhaps on another disk; made if it is missing, else empty
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) cold: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Files to import
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Put in front of every key, literally
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Create the store if there is none
    #[arg(long)]
    pub(crate) create: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Atoms whose names start with this; taken off in the file
    #[arg(long, value_name = "P", default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// File to write
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Which of several files imported under the prefix
    #[arg(long, value_name = "NAME")]
    pub(crate) file_name: Option<String>,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Only names that start with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Only keys behind this one
    #[arg(long, value_name = "KEY", allow_negative_numbers = true)]
    pub(crate) after: Option<String>,
    /// The key of --after is an integer
    #[arg(long, requires = "after")]
    pub(crate) int: bool,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct KeyArg {
    /// Key of the atom; put '--' in front of one that starts with a dash
    #[arg(allow_negative_numbers = true)]
    pub(crate) key: String,
    /// The key is an integer (SQL BIGINT), not a name
    #[arg(long)]
    pub(crate) int: bool,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    #[command(flatten)]
    pub(crate) key: KeyArg,
    /// Write the raw bytes to a file, or to standard output with '-'
    #[arg(long, short, value_name = "FILE", conflicts_with = "npy")]
    pub(crate) output: Option<PathBuf>,
    /// Write a NumPy file
    #[arg(long, value_name = "FILE", conflicts_with = "rows")]
    pub(crate) npy: Option<PathBuf>,
    /// Only rows A to B (B excluded) of the first dimension
    #[arg(long, value_name = "A:B", value_parser = parse_rows)]
    pub(crate) rows: Option<std::ops::Range<u64>>,
    /// Print the descriptor as JSON
    #[arg(long, conflicts_with_all = ["output", "npy", "rows"])]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Put {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    #[command(flatten)]
    pub(crate) key: KeyArg,
    /// File to store: .npy, or raw bytes
    pub(crate) file: PathBuf,
    /// Element type of raw bytes
    #[arg(long, value_name = "TYPE")]
    pub(crate) dtype: Option<tensoratom::DType>,
    /// Dimensions of raw bytes, separated by commas; '' for a scalar
    #[arg(long, value_name = "N,N,...")]
    pub(crate) shape: Option<Shape>,
    /// One JSON object to keep with the atom
    #[arg(long, value_name = "JSON")]
    pub(crate) metadata: Option<String>,
    /// Fail unless the key has this version (the lsn that `ls` shows)
    #[arg(long, value_name = "LSN", conflicts_with = "if_absent")]
    pub(crate) if_version: Option<u64>,
    /// Fail if the key exists
    #[arg(long)]
    pub(crate) if_absent: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Keys to delete; all of them or, when one is not there, none
    #[arg(value_name = "KEY", required_unless_present = "prefix", allow_negative_numbers = true)]
    pub(crate) keys: Vec<String>,
    /// Delete every name that starts with this
    #[arg(long, value_name = "P", conflicts_with = "keys")]
    pub(crate) prefix: Option<String>,
    /// The keys are integers
    #[arg(long, conflicts_with = "prefix")]
    pub(crate) int: bool,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Vectors {
    /// Add vectors from a NumPy file, or replace those of the same ids
    #[command(after_help = "Examples:
  tensoratom vectors add models words --data words.npy --create --metric cosine
  tensoratom vectors add models words --data more.npy --ids more_ids.npy
  tensoratom vectors add models words --data changed.npy --ids ids.npy --replace

Without --ids, ids go on from the largest one, from 0 in a new set. All of it is one commit.
--dtype f16 or bf16 rounds floats on the way in; --dtype b1 takes bytes as packed bits, lowest first.

JSON: {added, lsn, set}.")]
    Add(VectorsAdd),
    /// Show a vector set, or all of them
    #[command(
        after_help = "Examples:\n  tensoratom vectors info models words\n  tensoratom vectors info models --json\n\nJSON: {name, dim, dtype, metric, vectors, parts, deleted_rows, vector_bytes, id_bytes,\ncompanion_bytes, companion_rows, created_lsn}, or a list of these."
    )]
    Info(VectorsInfo),
    /// List vector sets
    #[command(after_help = "Example:\n  tensoratom vectors ls models\n\nJSON: as of info.")]
    Ls(VectorsLs),
    /// Put parts of a vector set together, without the deleted rows
    #[command(after_help = "Examples:
  tensoratom vectors compact models words
  tensoratom vectors compact models words --dead-fraction 0 --companions

What was found before is found afterwards. Snapshots made before still read the old parts; `gc`
gives their space back.

JSON: {parts_replaced, companions_built, set}.")]
    Compact(VectorsCompact),
    /// Drop a vector set with all its vectors
    #[command(after_help = "Example:
  tensoratom vectors drop models words

Snapshots made before still show it; `gc` gives the space back.

JSON: {dropped, vectors, lsn}.")]
    Drop(VectorsDrop),
}

#[derive(Debug, Args)]
pub(crate) struct VectorsCompact {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Name of the vector set
    pub(crate) set: String,
    /// Rewrite parts of which at least this share of rows is deleted; 0 for every part with one
    #[arg(long, value_name = "F", default_value_t = tensoratom::CompactOptions::DEAD_FRACTION)]
    pub(crate) dead_fraction: f64,
    /// Also build the companions that parts lack, whatever their size, for faster searches
    #[arg(long)]
    pub(crate) companions: bool,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VectorsDrop {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Name of the vector set
    pub(crate) set: String,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VectorsAdd {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Name of the vector set
    pub(crate) set: String,
    /// NumPy file of the vectors, one per row
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// NumPy file of integers, one per row
    #[arg(long, value_name = "FILE")]
    pub(crate) ids: Option<PathBuf>,
    /// Replace vectors whose ids are there instead of failing
    #[arg(long, requires = "ids")]
    pub(crate) replace: bool,
    /// Create the set if there is none (and the store, if there is none either)
    #[arg(long)]
    pub(crate) create: bool,
    /// Element type of a new set; default that of the data
    #[arg(long, value_name = "TYPE", requires = "create")]
    pub(crate) dtype: Option<tensoratom::DType>,
    /// Metric of a new set: dot, cosine, sqeuclidean, euclidean, manhattan, hamming, jaccard [default: cosine]
    #[arg(long, value_name = "METRIC", requires = "create")]
    pub(crate) metric: Option<tensoratom::kernels::Metric>,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VectorsInfo {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Name of the vector set
    pub(crate) set: Option<String>,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VectorsLs {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Name of the vector set
    #[arg(required_unless_present = "tensor", conflicts_with = "tensor")]
    pub(crate) set: Option<String>,
    /// Search in a stored tensor of two dimensions instead
    #[arg(long, value_name = "KEY")]
    pub(crate) tensor: Option<String>,
    /// NumPy file of the queries
    #[arg(long, short, value_name = "FILE")]
    pub(crate) query: PathBuf,
    /// How many neighbours to find per query
    #[arg(short, value_name = "K", default_value_t = 10)]
    pub(crate) k: usize,
    /// Another metric than the set's own; of a tensor the default is cosine
    #[arg(long, value_name = "METRIC")]
    pub(crate) metric: Option<tensoratom::kernels::Metric>,
    /// Nothing farther away than this
    #[arg(long, value_name = "DISTANCE", allow_hyphen_values = true)]
    pub(crate) distance_max: Option<f64>,
    /// At most so many threads; 0 for all
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stat {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Only atoms whose names start with this
    #[arg(long, value_name = "P")]
    pub(crate) prefix: Option<String>,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Repair {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Build the catalog anew by replaying the commits logged in the segments
    #[arg(long)]
    pub(crate) rebuild_catalog: bool,
    /// Rebuild although the cold directory is away; what lies there can be read again after another rebuild with it
    #[arg(long, requires = "rebuild_catalog")]
    pub(crate) without_cold: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tier {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Only names that start with this
    #[arg(default_value = "", hide_default_value = true)]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) namespace: NamespaceArg,
    #[command(flatten)]
    pub(crate) action: TierAction,
    /// With --pin and --unpin: this very name, not those that start with it
    #[arg(long, conflicts_with_all = ["to", "plan", "apply", "policy", "cold"])]
    pub(crate) exact: bool,
    /// With --pin and --unpin: this integer key
    #[arg(long, conflicts_with_all = ["to", "plan", "apply", "policy", "exact"])]
    pub(crate) int: bool,
    /// With --to cold: code each atom against the one of the same name under this prefix instead of PREFIX, where that makes
    /// it clearly smaller
    #[arg(long, value_name = "PREFIX", conflicts_with_all = ["plan", "apply", "policy", "pin", "unpin", "cold"])]
    pub(crate) base: Option<String>,
    /// With --to cold: do not code anything against its parents or its earlier version
    #[arg(long, conflicts_with_all = ["plan", "apply", "policy", "pin", "unpin", "cold"])]
    pub(crate) no_deltas: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Gc {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Give up history older than this: 90s, 15m, 12h, 7d
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) keep: Option<std::time::Duration>,
    /// Share of dead bytes from which a segment is rewritten, 0 to 1
    #[arg(long, value_name = "SHARE", default_value_t = tensoratom::GcOptions::DEAD_SHARE)]
    pub(crate) dead_share: f64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A length of time: a whole number and its unit.
fn age(text: &str) -> Result<std::time::Duration, String> {
    let wrong = || format!("'{text}' is no length of time; write 90s, 15m, 12h or 7d");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text.strip_suffix(unit).unwrap_or_default().parse().map_err(|_| wrong())?;
    number.checked_mul(seconds).map(std::time::Duration::from_secs).ok_or_else(wrong)
}

/// What `tier` does: one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct TierAction {
    /// Move what starts with PREFIX, whatever the policy says
    #[arg(long, value_name = "TIER")]
    pub(crate) to: Option<TierName>,
    /// Print what the policy would move now, and why; changes nothing
    #[arg(long, conflicts_with = "prefix")]
    pub(crate) plan: bool,
    /// Note what was read, and move what the policy asks for
    #[arg(long, conflicts_with = "prefix")]
    pub(crate) apply: bool,
    /// Keep names that start with this warm, and read them into memory at open
    #[arg(long, value_name = "PREFIX", conflicts_with = "prefix")]
    pub(crate) pin: Option<String>,
    /// Take a pin back
    #[arg(long, value_name = "PREFIX", conflicts_with = "prefix")]
    pub(crate) unpin: Option<String>,
    /// Set the policy from a JSON file (`-`: standard input), or print it
    #[arg(long, value_name = "FILE|show", conflicts_with = "prefix")]
    pub(crate) policy: Option<PathBuf>,
    /// Keep the cold tier in this directory: copied there, read back, then deleted where it was; needs the store to itself
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "prefix")]
    pub(crate) cold: Option<PathBuf>,
}

/// Tiers that atoms can be moved to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum TierName {
    Warm,
    Cold,
}

#[derive(Debug, Args)]
pub(crate) struct Sql {
    #[command(flatten)]
    pub(crate) store: StoreArg,
    /// One SELECT statement
    pub(crate) query: String,
    /// Refuse answers with more rows
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    pub(crate) row_limit: usize,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// Directory to measure in; a store is made there and removed
    pub(crate) directory: PathBuf,
    /// Payload bytes to write
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub(crate) size: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A number of bytes with an optional unit: `1048576`, `256KiB`, `1GiB`, `10MB`.
fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.trim().parse().map_err(|_| "not a size; try 256MiB".to_owned())?;
    let factor: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kib" => 1 << 10,
        "m" | "mib" => 1 << 20,
        "g" | "gib" => 1 << 30,
        "t" | "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        unit => return Err(format!("unknown unit '{unit}'; use KiB, MiB, GiB or TiB")),
    };
    number.checked_mul(factor).ok_or_else(|| "too large".to_owned())
}

/// Dimensions of a tensor; none for a scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shape(pub(crate) Vec<u64>);

impl std::str::FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let dims = text.split(',').filter(|_| !text.is_empty());
        let wrong = |_| "a shape is written N,N,..., say 4096,128".to_owned();
        dims.map(|dim| dim.trim().parse().map_err(wrong)).collect::<Result<_, _>>().map(Shape)
    }
}

fn parse_rows(text: &str) -> Result<std::ops::Range<u64>, String> {
    let wrong = || "rows are written A:B, say 0:10".to_owned();
    let (start, end) = text.split_once(':').ok_or_else(wrong)?;
    let (start, end) = (start.parse().map_err(|_| wrong())?, end.parse().map_err(|_| wrong())?);
    if start > end { Err("the first row lies behind the last".to_owned()) } else { Ok(start..end) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_shapes_and_rows() {
        assert_eq!(parse_size("256KiB"), Ok(262_144));
        assert_eq!(parse_size("10MB"), Ok(10_000_000));
        assert_eq!(parse_size("7"), Ok(7));
        assert!(parse_size("7 parsecs").is_err() && parse_size("").is_err() && parse_size("99999999TiB").is_err());
        assert_eq!("4096, 128".parse(), Ok(Shape(vec![4096, 128])));
        assert_eq!("".parse(), Ok(Shape(vec![])));
        assert!(["4,", ",", "-1", "x", "18446744073709551616"].iter().all(|text| text.parse::<Shape>().is_err()));
        assert_eq!(parse_rows("3:5"), Ok(3..5));
        assert!(parse_rows("5:3").is_err() && parse_rows("5").is_err() && parse_rows("a:b").is_err());
    }
}
