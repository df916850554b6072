//! What crosses between C++ and the engine. Failures come back in `Failure`; the thrown exception only says that there is one.

#[cxx::bridge(namespace = "tensoratom::bridge")]
pub(crate) mod ffi {
    /// The facts of an error.
    #[derive(Default)]
    struct Failure {
        kind: u16,
        os_code: i32,
        name: String,
        message: String,
        key: String,
        path: String,
    }

    /// A borrowed key.
    struct KeyRef<'a> {
        is_name: bool,
        number: i64,
        name: &'a str,
    }

    /// An owned key.
    struct OwnedKey {
        is_name: bool,
        number: i64,
        name: String,
    }

    struct OpenOptions {
        /// 0 open, 1 open or create, 2 create.
        mode: u8,
        read_only: bool,
        positioned: bool,
        process_durability: bool,
        /// 0 takes the default, here and below.
        segment_bytes: u64,
        chunk_bytes: u32,
        cache_bytes: u64,
        threads: usize,
        lock_timeout_ms: u64,
        /// Empty for none.
        cold_directory: Vec<u8>,
        has_hot_bytes: bool,
        hot_bytes: u64,
    }

    /// How elements are to be understood: 0 plain, 1 blocks, 2 quantised.
    #[derive(Default)]
    struct Encoding {
        kind: u8,
        block: u32,
        scale: Vec<f32>,
        zero_point: Vec<i32>,
        layout: String,
        block_elements: u32,
        block_bytes: u32,
    }

    struct PutOptions<'a> {
        metadata: &'a str,
        /// 0 any, 1 absent, 2 the version `expect_lsn`.
        expect: u8,
        expect_lsn: u64,
        parents: Vec<OwnedKey>,
        encoding: Encoding,
    }

    struct AtomInfo {
        key: OwnedKey,
        dtype: u8,
        shape: Vec<u64>,
        bytes: u64,
        digest: String,
        has_metadata: bool,
        metadata: String,
        encoding: Encoding,
        lsn: u64,
        created_us: u64,
    }

    struct Part {
        name: String,
        bytes: u64,
    }

    struct Stat {
        lsn: u64,
        atoms: u64,
        versions: u64,
        payloads: u64,
        namespaces: u64,
        vector_sets: u64,
        segments: u64,
        raw_bytes: u64,
        stored_bytes: u64,
        disk_bytes: u64,
        parts: Vec<Part>,
    }

    struct Damage {
        name_space: String,
        key: String,
        what: String,
        is_current: bool,
    }

    struct VerifyReport {
        atoms_checked: u64,
        payloads_checked: u64,
        chunks_checked: u64,
        bytes_checked: u64,
        damaged: Vec<Damage>,
        payloads_unavailable: u64,
        /// Empty when all could be looked at.
        unavailable: String,
    }

    struct SqlValue {
        /// 0 NULL, 1 integer, 2 real, 3 text, 4 blob.
        kind: u8,
        integer: i64,
        real: f64,
        text: String,
        blob: Vec<u8>,
    }

    struct QueryResult {
        columns: Vec<String>,
        /// Row after row.
        values: Vec<SqlValue>,
    }

    struct ImportReport {
        atoms: u64,
        file_bytes: u64,
        payload_bytes: u64,
        new_bytes: u64,
        lsn: u64,
    }

    struct ExportReport {
        atoms: u64,
        file_bytes: u64,
        header_kept: bool,
    }

    /// Vectors in memory; a stride of 0 is dense.
    struct RowsRef<'a> {
        dtype: u8,
        rows: usize,
        dim: usize,
        stride_bytes: usize,
        bytes: &'a [u8],
    }

    struct SearchOptions<'a> {
        /// 0 is the set's own.
        metric: u8,
        has_allow: bool,
        allow: &'a [i64],
        deny: &'a [i64],
        has_id_range: bool,
        id_min: i64,
        id_max: i64,
        has_distance_max: bool,
        distance_max: f64,
        threads: usize,
        full_scan: bool,
    }

    struct Near {
        id: i64,
        distance: f64,
    }

    struct Found {
        neighbors: Vec<Near>,
        /// Neighbours of each query.
        counts: Vec<usize>,
    }

    /// A count or a sum, with its name.
    struct Fact {
        name: String,
        value: u64,
    }

    /// What an operation on a whole store did.
    struct Report {
        facts: Vec<Fact>,
        /// Sentences.
        findings: Vec<String>,
        /// Empty when all could be looked at.
        unavailable: String,
    }

    struct PlannedMove {
        name_space: String,
        name: String,
        digest: String,
        bytes: u64,
        stored_bytes: u64,
        from: String,
        to: String,
        reason: String,
        /// Empty for none.
        base: String,
    }

    struct MoveOptions {
        has_base: bool,
        base: String,
        has_deltas: bool,
        deltas: bool,
    }

    struct ChangeRow {
        lsn: u64,
        key: OwnedKey,
        is_put: bool,
    }

    struct StoreFacts {
        uuid: String,
        path: Vec<u8>,
        created_us: u64,
        segment_bytes: u64,
        chunk_bytes: u32,
        is_read_only: bool,
    }

    struct CompactOptions {
        dead_fraction: f64,
        small_rows: u64,
        part_bytes_max: u64,
    }

    struct GcOptions {
        keeps_history: bool,
        keep_seconds: f64,
        dead_share: f64,
        dry_run: bool,
    }

    struct VectorSetInfo {
        name: String,
        dim: usize,
        dtype: u8,
        metric: u8,
        created_lsn: u64,
        vectors: u64,
        parts: u64,
        deleted_rows: u64,
        vector_bytes: u64,
        id_bytes: u64,
        companion_bytes: u64,
        companion_rows: u64,
    }

    /// The value of an aggregate.
    struct Value {
        has_value: bool,
        rows: usize,
        dim: usize,
        values: Vec<f64>,
        beside: Vec<f64>,
    }

    struct MomentsValue {
        count: u64,
        mean: f64,
        variance: f64,
        min: f64,
        max: f64,
    }

    struct GridRef {
        min: f64,
        max: f64,
        bits: u32,
    }

    unsafe extern "C++" {
        include!("tensoratom/listener.hpp");

        type Listener;
        fn report(self: &Listener, bytes_done: u64, bytes_total: u64, items_done: u64, items_total: u64) -> bool;
    }

    extern "Rust" {
        type Cancel;
        fn cancel_new() -> Box<Cancel>;
        fn cancel_never() -> Box<Cancel>;
        fn cancel_after(milliseconds: u64) -> Box<Cancel>;
        fn set(self: &Cancel);
        fn is_set(self: &Cancel) -> bool;

        type Scope;
        fn open(path: &[u8], options: &OpenOptions, failure: &mut Failure) -> Result<Box<Scope>>;
        fn in_namespace(self: &Scope, name: &str, create: bool, failure: &mut Failure) -> Result<Box<Scope>>;
        fn namespaces(self: &Scope, failure: &mut Failure) -> Result<Vec<String>>;
        fn duplicate(self: &Scope) -> Box<Scope>;
        fn uuid(self: &Scope) -> String;
        fn facts(self: &Scope) -> StoreFacts;
        fn lsn(self: &Scope, failure: &mut Failure) -> Result<u64>;
        fn get(self: &Scope, key: KeyRef, failure: &mut Failure) -> Result<Box<Payload>>;
        fn exists(self: &Scope, key: KeyRef, failure: &mut Failure) -> Result<bool>;
        fn stat(self: &Scope, listener: &Listener, cancel: &Cancel, failure: &mut Failure) -> Result<Stat>;
        fn verify(
            self: &Scope,
            prefix: &str,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<VerifyReport>;
        fn query(
            self: &Scope,
            sql: &str,
            row_limit: usize,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<QueryResult>;
        fn vector_sets(self: &Scope, failure: &mut Failure) -> Result<Vec<VectorSetInfo>>;

        type Changes;
        fn changes(self: &Scope, since: u64, failure: &mut Failure) -> Result<Box<Changes>>;
        fn next_changes(self: &mut Changes, count: usize, failure: &mut Failure) -> Result<Vec<ChangeRow>>;

        fn tier_policy(self: &Scope, failure: &mut Failure) -> Result<String>;
        fn set_tier_policy(self: &Scope, json: &str, failure: &mut Failure) -> Result<()>;
        fn pin(self: &Scope, key: KeyRef, exact: bool, failure: &mut Failure) -> Result<bool>;
        fn unpin(self: &Scope, key: KeyRef, exact: bool, failure: &mut Failure) -> Result<bool>;
        fn move_to_tier(
            self: &Scope,
            prefix: &str,
            tier: u8,
            options: &MoveOptions,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Report>;
        fn gc(
            self: &Scope,
            options: &GcOptions,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Report>;
        fn maintain(self: &Scope, listener: &Listener, cancel: &Cancel, failure: &mut Failure) -> Result<Report>;

        type Plan;
        fn plan(self: &Scope, listener: &Listener, cancel: &Cancel, failure: &mut Failure) -> Result<Box<Plan>>;
        fn plan_of_json(json: &str, failure: &mut Failure) -> Result<Box<Plan>>;
        fn plan_to_json(self: &Plan, failure: &mut Failure) -> Result<String>;
        fn plan_moves(self: &Plan) -> Vec<PlannedMove>;
        fn apply(
            self: &Scope,
            plan: &Plan,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Report>;

        fn version() -> String;
        fn repair(
            path: &[u8],
            rebuild_catalog: bool,
            without_cold: bool,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Report>;
        fn decode_cache() -> Report;
        fn set_decode_cache_bytes(budget: u64);
        fn set_cold_directory(
            path: &[u8],
            directory: &[u8],
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Report>;

        fn import_file(
            self: &Scope,
            path: &[u8],
            prefix: &str,
            format: u8,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<ImportReport>;

        type Moment;
        fn snapshot(self: &Scope, failure: &mut Failure) -> Result<Box<Moment>>;
        fn snapshot_at(self: &Scope, lsn: u64, failure: &mut Failure) -> Result<Box<Moment>>;
        fn snapshot_at_time(self: &Scope, time_us: u64, failure: &mut Failure) -> Result<Box<Moment>>;
        fn snapshot_lsn(self: &Moment) -> u64;
        fn snapshot_get(self: &Moment, key: KeyRef, failure: &mut Failure) -> Result<Box<Payload>>;
        /// Behind a key, if `is_after`.
        fn snapshot_list(
            self: &Moment,
            prefix: &str,
            limit: usize,
            is_after: bool,
            after: KeyRef,
            failure: &mut Failure,
        ) -> Result<Vec<AtomInfo>>;
        fn export_file(
            self: &Moment,
            path: &[u8],
            prefix: &str,
            file_name: &str,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<ExportReport>;
        fn export_npy(moment: &Moment, key: KeyRef, path: &[u8], failure: &mut Failure) -> Result<()>;

        type Payload;
        fn info(self: &Payload, failure: &mut Failure) -> Result<AtomInfo>;
        fn len(self: &Payload) -> u64;
        fn bytes(self: &Payload, failure: &mut Failure) -> Result<Box<Bytes>>;
        fn range(self: &Payload, start: u64, end: u64, failure: &mut Failure) -> Result<Box<Bytes>>;
        fn rows(self: &Payload, start: u64, end: u64, failure: &mut Failure) -> Result<Box<Bytes>>;
        fn read_into(self: &Payload, offset: u64, target: &mut [u8], failure: &mut Failure) -> Result<()>;
        fn row_range(self: &Payload, start: u64, end: u64, failure: &mut Failure) -> Result<Vec<u64>>;
        fn range_within(
            self: &Payload,
            start: u64,
            end: u64,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Box<Bytes>>;
        fn read_f32(
            self: &Payload,
            target: &mut [f32],
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<()>;
        fn read_into_within(
            self: &Payload,
            offset: u64,
            target: &mut [u8],
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<()>;

        type Bytes;
        fn as_slice(self: &Bytes) -> &[u8];
        fn is_mapped(self: &Bytes) -> bool;

        type Txn;
        fn begin(self: &Scope, failure: &mut Failure) -> Result<Box<Txn>>;
        fn txn_put(
            self: &mut Txn,
            scope: &Scope,
            key: KeyRef,
            dtype: u8,
            shape: &[u64],
            bytes: &[u8],
            options: PutOptions,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<()>;
        fn txn_set_metadata(
            self: &mut Txn,
            scope: &Scope,
            key: KeyRef,
            has_metadata: bool,
            metadata: &str,
            failure: &mut Failure,
        ) -> Result<()>;
        fn txn_delete_version(
            self: &mut Txn,
            scope: &Scope,
            key: KeyRef,
            lsn: u64,
            failure: &mut Failure,
        ) -> Result<bool>;
        fn txn_delete_prefix(
            self: &mut Txn,
            scope: &Scope,
            prefix: &str,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<u64>;
        fn txn_delete(self: &mut Txn, scope: &Scope, key: KeyRef, failure: &mut Failure) -> Result<bool>;
        fn txn_rename(self: &mut Txn, scope: &Scope, from: KeyRef, to: KeyRef, failure: &mut Failure) -> Result<()>;
        fn txn_import(
            self: &mut Txn,
            scope: &Scope,
            path: &[u8],
            prefix: &str,
            format: u8,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<ImportReport>;
        fn txn_get(self: &mut Txn, scope: &Scope, key: KeyRef, failure: &mut Failure) -> Result<Box<Payload>>;
        fn txn_commit(txn: Box<Txn>, listener: &Listener, cancel: &Cancel, failure: &mut Failure) -> Result<u64>;

        type Writer<'a>;
        /// The header keeps the transaction where it is, and untouched, while the writer lives.
        unsafe fn txn_writer<'a>(
            txn: &'a mut Txn,
            scope: &Scope,
            key: KeyRef,
            dtype: u8,
            shape: &[u64],
            open_rows: bool,
            options: PutOptions,
            failure: &mut Failure,
        ) -> Result<Box<Writer<'a>>>;
        unsafe fn append<'a>(
            self: &mut Writer<'a>,
            bytes: &[u8],
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<()>;
        unsafe fn writer_finish<'a>(writer: Box<Writer<'a>>, failure: &mut Failure) -> Result<()>;

        type Vectors;
        fn vectors_open(scope: &Scope, name: &str, failure: &mut Failure) -> Result<Box<Vectors>>;
        fn vectors_create(
            scope: &Scope,
            name: &str,
            dim: usize,
            dtype: u8,
            metric: u8,
            failure: &mut Failure,
        ) -> Result<Box<Vectors>>;
        fn vectors_dim(self: &Vectors) -> usize;
        fn vectors_dtype(self: &Vectors) -> u8;
        fn vectors_metric(self: &Vectors) -> u8;
        fn vectors_len(self: &Vectors, failure: &mut Failure) -> Result<u64>;
        fn vectors_contains(self: &Vectors, id: i64, failure: &mut Failure) -> Result<bool>;
        fn vectors_info(self: &Vectors, failure: &mut Failure) -> Result<VectorSetInfo>;
        /// Fills a place of the length of a vector for each id; returns whether each was there.
        fn vectors_get(self: &Vectors, ids: &[i64], out: &mut [u8], failure: &mut Failure) -> Result<Vec<bool>>;
        fn vectors_add(
            self: &Vectors,
            ids: &[i64],
            rows: RowsRef,
            replace: bool,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<()>;
        fn vectors_delete(
            self: &Vectors,
            ids: &[i64],
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<u64>;
        fn vectors_view(moment: &Moment, name: &str, failure: &mut Failure) -> Result<Box<Vectors>>;
        fn vectors_ids(self: &Vectors, failure: &mut Failure) -> Result<Vec<i64>>;
        fn vectors_companions(self: &Vectors, companions: u8, failure: &mut Failure) -> Result<Box<Vectors>>;
        fn vectors_compact(
            self: &Vectors,
            options: &CompactOptions,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<u64>;
        fn vectors_build_companions(
            self: &Vectors,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<u64>;
        fn txn_vectors_create(
            self: &mut Txn,
            scope: &Scope,
            name: &str,
            dim: usize,
            dtype: u8,
            metric: u8,
            failure: &mut Failure,
        ) -> Result<()>;
        fn txn_vectors_add(
            self: &mut Txn,
            scope: &Scope,
            name: &str,
            ids: &[i64],
            rows: RowsRef,
            replace: bool,
            failure: &mut Failure,
        ) -> Result<()>;
        fn txn_vectors_delete(
            self: &mut Txn,
            scope: &Scope,
            name: &str,
            ids: &[i64],
            failure: &mut Failure,
        ) -> Result<u64>;
        fn txn_vectors_view(self: &mut Txn, scope: &Scope, name: &str, failure: &mut Failure) -> Result<Box<Vectors>>;
        fn txn_vectors_drop(self: &mut Txn, scope: &Scope, name: &str, failure: &mut Failure) -> Result<bool>;
        fn vectors_search(
            self: &Vectors,
            queries: RowsRef,
            k: usize,
            options: SearchOptions,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Found>;
        fn tensor_search(
            moment: &Moment,
            key: KeyRef,
            queries: RowsRef,
            k: usize,
            options: SearchOptions,
            listener: &Listener,
            cancel: &Cancel,
            failure: &mut Failure,
        ) -> Result<Found>;

        fn kernel_isa() -> String;
        fn many_to_many(
            metric: u8,
            queries: RowsRef,
            data: RowsRef,
            out: &mut [f64],
            failure: &mut Failure,
        ) -> Result<()>;
        /// `what`: the number of a `kernels::Reduction`.
        fn reduce(what: u8, row: RowsRef, failure: &mut Failure) -> Result<f64>;
        fn variance(row: RowsRef, ddof: u64, failure: &mut Failure) -> Result<f64>;
        fn arg_extreme(row: RowsRef, largest: bool, failure: &mut Failure) -> Result<usize>;
        fn centroid(rows: RowsRef, weights: &[f64], out: &mut [f64], failure: &mut Failure) -> Result<()>;
        fn top_k(distances: &[f64], k: usize, failure: &mut Failure) -> Result<Vec<usize>>;
        /// `what`: 0 add, 1 sub, 2 lerp by `t`, 3 scale `a` by `t`, 4 normalize `a`, 5 softmax of `a`, 6 `a * b + c`.
        fn elementwise_f32(
            what: u8,
            a: &[f32],
            b: &[f32],
            c: &[f32],
            t: f64,
            out: &mut [f32],
            failure: &mut Failure,
        ) -> Result<()>;
        fn elementwise_f64(
            what: u8,
            a: &[f64],
            b: &[f64],
            c: &[f64],
            t: f64,
            out: &mut [f64],
            failure: &mut Failure,
        ) -> Result<()>;
        /// Of the bits of floats.
        fn elementwise_f16(
            what: u8,
            a: &[u16],
            b: &[u16],
            c: &[u16],
            t: f64,
            out: &mut [u16],
            failure: &mut Failure,
        ) -> Result<()>;
        fn elementwise_bf16(
            what: u8,
            a: &[u16],
            b: &[u16],
            c: &[u16],
            t: f64,
            out: &mut [u16],
            failure: &mut Failure,
        ) -> Result<()>;
        fn convert(
            source: &[u8],
            from: u8,
            target: &mut [u8],
            to: u8,
            saturate: bool,
            failure: &mut Failure,
        ) -> Result<()>;
        fn quantize(
            source: &[f32],
            affine: bool,
            block: usize,
            codes: &mut [i8],
            scale: &mut [f32],
            zero_point: &mut [i32],
            failure: &mut Failure,
        ) -> Result<()>;
        fn json_parse(text: &[u8], failure: &mut Failure) -> Result<Vec<f32>>;
        fn json_write(values: &[f32], nulls: bool, failure: &mut Failure) -> Result<String>;
        fn digest(bytes: &[u8]) -> [u8; 32];
        fn gguf_block_bytes(layout: &str, elements: usize, failure: &mut Failure) -> Result<usize>;
        fn gguf_quantize(layout: &str, source: &[f32], blocks: &mut [u8], failure: &mut Failure) -> Result<()>;
        fn gguf_dequantize(layout: &str, blocks: &[u8], target: &mut [f32], failure: &mut Failure) -> Result<()>;
        fn dequantize(
            codes: &[i8],
            block: usize,
            scale: &[f32],
            zero_point: &[i32],
            target: &mut [f32],
            failure: &mut Failure,
        ) -> Result<()>;

        type State;
        fn aggregate_new(kind: &str, failure: &mut Failure) -> Result<Box<State>>;
        fn aggregate_import(bytes: &[u8], failure: &mut Failure) -> Result<Box<State>>;
        fn aggregate_push(self: &mut State, rows: RowsRef, weights: &[f64], failure: &mut Failure) -> Result<()>;
        fn aggregate_merge(self: &mut State, other: &State, failure: &mut Failure) -> Result<()>;
        fn aggregate_export(self: &State, failure: &mut Failure) -> Result<Vec<u8>>;
        fn aggregate_finish(self: &State, failure: &mut Failure) -> Result<Value>;
        fn aggregate_count(self: &State) -> u64;
        fn aggregate_reset(self: &mut State);
        fn aggregate_clone(self: &State, failure: &mut Failure) -> Result<Box<State>>;

        /// States are bytes; none is that of nothing.
        fn moments_push(state: &[u8], rows: RowsRef, failure: &mut Failure) -> Result<Vec<u8>>;
        fn moments_merge(a: &[u8], b: &[u8], failure: &mut Failure) -> Result<Vec<u8>>;
        fn moments_finish(state: &[u8], ddof: u64, failure: &mut Failure) -> Result<MomentsValue>;

        type Projection;
        fn projection_landmarks(dim: usize, failure: &mut Failure) -> Result<Box<Projection>>;
        fn projection_random(dim: usize, axes: usize, seed: u64, failure: &mut Failure) -> Result<Box<Projection>>;
        fn projection_dim(self: &Projection) -> usize;
        fn projection_axes(self: &Projection) -> usize;
        fn projection_axis(self: &Projection, axis: usize) -> &[f64];
        fn project(self: &Projection, vectors: &[f32], out: &mut [f64], failure: &mut Failure) -> Result<()>;
        fn curve_encode(is_hilbert: bool, cells: &[u32], bits: u32, failure: &mut Failure) -> Result<u64>;
        fn curve_decode(is_hilbert: bool, code: u64, bits: u32, cells: &mut [u32], failure: &mut Failure)
        -> Result<()>;
        fn grid_cells(grid: &GridRef, values: &[f64], cells: &mut [u32], failure: &mut Failure) -> Result<()>;
        fn grid_centers(grid: &GridRef, cells: &[u32], values: &mut [f64], failure: &mut Failure) -> Result<()>;

        fn matmul_f32(
            a: &[f32],
            b: &[f32],
            rows: usize,
            inner: usize,
            cols: usize,
            out: &mut [f32],
            failure: &mut Failure,
        ) -> Result<()>;
        fn svd_f32(
            a: &[f32],
            rows: usize,
            cols: usize,
            rank: usize,
            u: &mut Vec<f32>,
            values: &mut Vec<f32>,
            vt: &mut Vec<f32>,
            failure: &mut Failure,
        ) -> Result<()>;
        fn pca_f32(
            a: &[f32],
            rows: usize,
            cols: usize,
            count: usize,
            mean: &mut Vec<f32>,
            components: &mut Vec<f32>,
            variances: &mut Vec<f32>,
            scores: &mut [f32],
            failure: &mut Failure,
        ) -> Result<()>;
        fn pca_transform_f32(
            a: &[f32],
            rows: usize,
            cols: usize,
            mean: &[f32],
            components: &[f32],
            count: usize,
            scores: &mut [f32],
            failure: &mut Failure,
        ) -> Result<()>;
        fn pca_transform_f64(
            a: &[f64],
            rows: usize,
            cols: usize,
            mean: &[f64],
            components: &[f64],
            count: usize,
            scores: &mut [f64],
            failure: &mut Failure,
        ) -> Result<()>;
        fn matmul_f64(
            a: &[f64],
            b: &[f64],
            rows: usize,
            inner: usize,
            cols: usize,
            out: &mut [f64],
            failure: &mut Failure,
        ) -> Result<()>;
        fn svd_f64(
            a: &[f64],
            rows: usize,
            cols: usize,
            rank: usize,
            u: &mut Vec<f64>,
            values: &mut Vec<f64>,
            vt: &mut Vec<f64>,
            failure: &mut Failure,
        ) -> Result<()>;
        fn pca_f64(
            a: &[f64],
            rows: usize,
            cols: usize,
            count: usize,
            mean: &mut Vec<f64>,
            components: &mut Vec<f64>,
            variances: &mut Vec<f64>,
            scores: &mut [f64],
            failure: &mut Failure,
        ) -> Result<()>;
    }
}

use crate::aggregate::{State, aggregate_import, aggregate_new, moments_finish, moments_merge, moments_push};
use crate::geometry::{
    Projection, curve_decode, curve_encode, grid_cells, grid_centers, projection_landmarks, projection_random,
};
use crate::kernels::{
    arg_extreme, centroid, convert, dequantize, digest, elementwise_bf16, elementwise_f16, elementwise_f32,
    elementwise_f64, gguf_block_bytes, gguf_dequantize, gguf_quantize, json_parse, json_write, kernel_isa,
    many_to_many, quantize, reduce, top_k, variance,
};
use crate::linalg::{matmul_f32, matmul_f64, pca_f32, pca_f64, pca_transform_f32, pca_transform_f64, svd_f32, svd_f64};
use crate::store::{Bytes, Moment, Payload, Scope, export_npy, open};
use crate::tier::{
    Changes, Plan, decode_cache, plan_of_json, repair, set_cold_directory, set_decode_cache_bytes, version,
};
use crate::txn::{Txn, Writer, txn_commit, txn_writer, writer_finish};
use crate::vectors::{Vectors, tensor_search, vectors_create, vectors_open, vectors_view};
use crate::wall::{Cancel, cancel_after, cancel_never, cancel_new};

// SAFETY: the class guards its function with a mutex, and `report` touches nothing else.
unsafe impl Sync for ffi::Listener {}
