//! TensorAtom for C++17: stores of tensors, exact vector search, vector mathematics.
//!
//!     tensoratom::Store store("models");                                                       // made where there is none
//!     store.put("encoder/weight", {2, 3}, std::vector<float>{0, 1, 2, 3, 4, 5});               // durable when it returns
//!     tensoratom::TensorView<float> view = store.get("encoder/weight").view<float>();          // a slice of the file
//!
//! Compile with `pkg-config --cflags --libs tensoratom-cxx`, or with CMake's target `TensorAtom::cxx`.
//!
//! Here are `Store`, its `Namespace`s, `Transaction` and `Writer`, `Snapshot`, `Atom` and `VectorSet`. `base.hpp` has errors, spans,
//! element types, `Control` and `Rows`; `upkeep.hpp` reports, tiers, reclaiming, changes and repair; and for what needs no store
//! there are `kernels.hpp`, `aggregate.hpp` and `geometry.hpp`.
//!
//! Every class owns what it stands for and releases it when it goes. Classes that can be copied share; `Transaction`, `Writer`,
//! `Changes` and `Aggregate` only move, and are for one thread at a time; all others may be used from several at once. What was
//! moved from, committed or finished throws an error of kind `Closed`. Bytes and views stay valid as long as they are held,
//! whatever becomes of the store. Failures are exceptions of class `Error`. Lengths and offsets are bytes, times microseconds
//! since 1970; text and names are UTF-8. Tensors are in C order, little-endian.
//!
//! Calls that may be long take a `Control`: progress, a token that cancels, a deadline. All others end by themselves after a few
//! accesses of the device and, where another process commits, after `Options::lock_timeout_ms` at the latest.
#pragma once

#include "tensoratom/aggregate.hpp"
#include "tensoratom/base.hpp"
#include "tensoratom/geometry.hpp"
#include "tensoratom/kernels.hpp"
#include "tensoratom/upkeep.hpp"

namespace tensoratom {

// ---- reading ----

/// Verified bytes, a slice of the file where possible. Copies share them.
class Bytes {
public:
    Bytes() = default;
    explicit Bytes(::rust::Box<bridge::Bytes> box) : box_(detail::share(std::move(box))) {
        const auto slice = (*box_)->as_slice();
        bytes_ = {slice.data(), slice.size()};
    }

    const std::uint8_t* data() const noexcept { return box_ ? bytes_.data() : nullptr; }
    std::size_t size() const noexcept { return box_ ? bytes_.size() : 0; }
    /// Whether they lie in a memory map of the file.
    bool is_mapped() const { return box_ && (*box_)->is_mapped(); }

private:
    std::shared_ptr<::rust::Box<bridge::Bytes>> box_;
    span<const std::uint8_t> bytes_;
};

/// Elements of a stored tensor, not copied, kept alive by the view.
template <class T>
class TensorView {
public:
    using value_type = T;

    TensorView(Bytes bytes, std::vector<std::uint64_t> shape) : bytes_(std::move(bytes)), shape_(std::move(shape)) {}

    const T* data() const noexcept { return reinterpret_cast<const T*>(bytes_.data()); }
    std::size_t size() const noexcept { return bytes_.size() / sizeof(T); }
    const T* begin() const noexcept { return data(); }
    const T* end() const noexcept { return data() + size(); }
    const T& operator[](std::size_t index) const { return data()[index]; }
    /// Dimensions, outermost first; empty for a scalar.
    const std::vector<std::uint64_t>& shape() const noexcept { return shape_; }
    const Bytes& bytes() const noexcept { return bytes_; }

private:
    Bytes bytes_;
    std::vector<std::uint64_t> shape_;
};

/// How elements are to be understood beyond their type.
struct Encoding {
    enum class Kind : std::uint8_t { plain, blocks, quantized };

    Kind kind = Kind::plain;
    /// Of quantised elements, value = scale * (element - zero point): how many share a scale; 0 for all.
    std::uint32_t block = 0;
    std::vector<float> scale{};
    /// As many as scales, or none for symmetric codes.
    std::vector<std::int32_t> zero_point{};
    /// Of blocks: the name of the layout, elements and bytes of one.
    std::string layout{};
    std::uint32_t block_elements = 0, block_bytes = 0;

    /// Integers with a scale per `block` elements.
    static Encoding quantized(std::vector<float> scale, std::vector<std::int32_t> zero_point = {}, std::uint32_t block = 0) {
        Encoding out;
        out.kind = Kind::quantized, out.block = block;
        out.scale = std::move(scale), out.zero_point = std::move(zero_point);
        return out;
    }
    /// Blocks of a named layout, of the type `DType::opaque`.
    static Encoding blocks(std::string layout, std::uint32_t elements, std::uint32_t bytes) {
        Encoding out;
        out.kind = Kind::blocks, out.layout = std::move(layout);
        out.block_elements = elements, out.block_bytes = bytes;
        return out;
    }
    static Encoding of(const bridge::Encoding& e) {
        Encoding out;
        out.kind = static_cast<Kind>(e.kind), out.block = e.block;
        out.scale.assign(e.scale.begin(), e.scale.end());
        out.zero_point.assign(e.zero_point.begin(), e.zero_point.end());
        out.layout = std::string(e.layout);
        out.block_elements = e.block_elements, out.block_bytes = e.block_bytes;
        return out;
    }

    bridge::Encoding ref() const {
        bridge::Encoding out{};
        out.kind = static_cast<std::uint8_t>(kind), out.block = block;
        for (const float value : scale) out.scale.push_back(value);
        for (const std::int32_t value : zero_point) out.zero_point.push_back(value);
        out.layout = ::rust::String(layout.data(), layout.size());
        out.block_elements = block_elements, out.block_bytes = block_bytes;
        return out;
    }
};

/// Descriptor of one version of a key.
struct AtomInfo {
    /// Exactly one of the two is set.
    std::optional<std::string> name;
    std::optional<std::int64_t> number;
    DType dtype;
    std::vector<std::uint64_t> shape;
    std::uint64_t bytes;
    /// BLAKE3-256 of the payload in hexadecimal.
    std::string digest;
    /// One JSON object.
    std::optional<std::string> metadata;
    Encoding encoding;
    std::uint64_t lsn, created_us;

    explicit AtomInfo(const bridge::AtomInfo& info)
        : dtype(static_cast<DType>(info.dtype)), shape(info.shape.begin(), info.shape.end()), bytes(info.bytes),
          digest(info.digest), encoding(Encoding::of(info.encoding)), lsn(info.lsn), created_us(info.created_us) {
        if (info.key.is_name) name = std::string(info.key.name);
        else number = info.key.number;
        if (info.has_metadata) metadata = std::string(info.metadata);
    }
};

/// One version of a tensor. Reads nothing until asked.
class Atom {
public:
    explicit Atom(::rust::Box<bridge::Payload> box) : box_(detail::share(std::move(box))) {}

    AtomInfo info() const {
        return detail::call([&](auto& failure) { return AtomInfo(self().info(failure)); });
    }
    std::uint64_t size_bytes() const { return self().len(); }
    /// All of it, verified. Throws `CorruptError`.
    Bytes bytes() const {
        return detail::call([&](auto& failure) { return Bytes(self().bytes(failure)); });
    }
    /// Bytes `start` to `end`, reading and verifying the chunks touched alone.
    Bytes range(std::uint64_t start, std::uint64_t end) const {
        return detail::call([&](auto& failure) { return Bytes(self().range(start, end, failure)); });
    }
    /// Fills `target` from byte `offset` on.
    void read_into(std::uint64_t offset, span<std::uint8_t> target) const {
        detail::call([&](auto& failure) {
            self().read_into(offset, detail::slice(target.data(), target.size()), failure);
        });
    }
    /// The same, stopped by a token or a deadline within 64 MiB of what is touched for the first time.
    Bytes bytes(const Control& control) const { return range(0, size_bytes(), control); }
    Bytes range(std::uint64_t start, std::uint64_t end, const Control& control) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return Bytes(self().range_within(start, end, listener, cancel, failure));
        });
    }
    void read_into(std::uint64_t offset, span<std::uint8_t> target, const Control& control) const {
        detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            self().read_into_within(offset, detail::slice(target.data(), target.size()), listener, cancel, failure);
        });
    }
    /// All elements as f32, whatever their type and encoding: floats are rounded, integers converted, codes scaled, blocks of
    /// a GGUF layout decoded.
    std::vector<float> floats(const Control& control = Control::none()) const {
        std::size_t count = 1;
        for (const std::uint64_t side : info().shape) count *= static_cast<std::size_t>(side);
        std::vector<float> out(count);
        detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            self().read_f32(detail::slice(out.data(), out.size()), listener, cancel, failure);
        });
        return out;
    }
    /// Elements as numbers. Throws `UnsupportedError` when the stored type is another one.
    template <class T>
    TensorView<T> view() const {
        AtomInfo facts = typed_info<T>();
        return TensorView<T>(bytes(), std::move(facts.shape));
    }
    template <class T>
    TensorView<T> view(const Control& control) const {
        AtomInfo facts = typed_info<T>();
        return TensorView<T>(bytes(control), std::move(facts.shape));
    }
    /// Rows `start` to `end` of the first dimension.
    template <class T>
    TensorView<T> view_rows(std::uint64_t start, std::uint64_t end) const {
        AtomInfo facts = typed_info<T>();
        Bytes part = detail::call([&](auto& failure) { return Bytes(self().rows(start, end, failure)); });
        facts.shape.at(0) = end - start;
        return TensorView<T>(std::move(part), std::move(facts.shape));
    }
    template <class T>
    TensorView<T> view_rows(std::uint64_t start, std::uint64_t end, const Control& control) const {
        AtomInfo facts = typed_info<T>();
        const auto place = detail::call([&](auto& failure) { return self().row_range(start, end, failure); });
        Bytes part = range(place.at(0), place.at(1), control);
        facts.shape.at(0) = end - start;
        return TensorView<T>(std::move(part), std::move(facts.shape));
    }

private:
    const bridge::Payload& self() const { return detail::alive(box_, "the atom"); }

    template <class T>
    AtomInfo typed_info() const {
        AtomInfo facts = info();
        if (facts.dtype != dtype_of<T>::value) {
            detail::raise(8, "Unsupported", "view: the atom holds elements of another type");
        }
        return facts;
    }

    std::shared_ptr<::rust::Box<bridge::Payload>> box_;
};

// ---- vectors ----

/// A vector found.
struct Neighbor {
    std::int64_t id;
    double distance;
};

/// What a search takes besides queries and k.
struct SearchOptions {
    /// Another metric than the set's own.
    std::optional<Metric> metric{};
    std::optional<std::vector<std::int64_t>> allow{};
    std::vector<std::int64_t> deny{};
    /// First and last id.
    std::optional<std::pair<std::int64_t, std::int64_t>> id_range{};
    std::optional<double> distance_max{};
    /// 0 is all of them.
    std::size_t threads = 0;
    bool full_scan = false;
    /// Progress, a token, a deadline.
    Control control{};
};

namespace detail {
inline bridge::SearchOptions options(const SearchOptions& from) {
    static const std::vector<std::int64_t> none;
    const auto& allow = from.allow ? *from.allow : none;
    const auto range = from.id_range.value_or(std::pair<std::int64_t, std::int64_t>{0, 0});
    return bridge::SearchOptions{
        from.metric ? static_cast<std::uint8_t>(*from.metric) : std::uint8_t{0},
        from.allow.has_value(), slice(allow.data(), allow.size()), slice(from.deny.data(), from.deny.size()),
        from.id_range.has_value(), range.first, range.second,
        from.distance_max.has_value(), from.distance_max.value_or(0.0), from.threads, from.full_scan};
}

inline std::vector<std::vector<Neighbor>> answers(const bridge::Found& found) {
    std::vector<std::vector<Neighbor>> out;
    auto next = found.neighbors.begin();
    for (const std::size_t count : found.counts) {
        auto& answer = out.emplace_back();
        for (std::size_t i = 0; i < count; ++i, ++next) answer.push_back({next->id, next->distance});
    }
    return out;
}
}  // namespace detail

/// Facts and sums of a vector set.
struct VectorSetInfo {
    std::string name;
    std::size_t dim;
    DType dtype;
    Metric metric;
    /// Commit that made it.
    std::uint64_t created_lsn;
    /// Vectors, deleted ones not counted; parts; rows of parts that are deleted and not freed yet.
    std::uint64_t vectors, parts, deleted_rows;
    std::uint64_t vector_bytes, id_bytes, companion_bytes, companion_rows;

    explicit VectorSetInfo(const bridge::VectorSetInfo& i)
        : name(std::string(i.name)), dim(i.dim), dtype(static_cast<DType>(i.dtype)), metric(static_cast<Metric>(i.metric)),
          created_lsn(i.created_lsn), vectors(i.vectors), parts(i.parts), deleted_rows(i.deleted_rows),
          vector_bytes(i.vector_bytes), id_bytes(i.id_bytes), companion_bytes(i.companion_bytes),
          companion_rows(i.companion_rows) {}
};

/// When appended vectors get the companions that speed searches up: where that pays, in parts of any size, or not now.
enum class Companions : std::uint8_t { automatic, always, never };

/// Which parts a compaction puts together.
struct CompactOptions {
    /// Parts of which at least this share of rows is deleted.
    double dead_fraction = 0.2;
    /// Parts of fewer rows.
    std::uint64_t small_rows = 16384;
    /// New parts have at most so many bytes, which is also the memory it takes.
    std::uint64_t part_bytes_max = std::uint64_t{256} << 20;
};

/// A named set of vectors under ids. Every change is a durable commit. One that a snapshot or a transaction gave is a view: it
/// shows the same whatever is committed, and changes throw `InvalidArgumentError`.
class VectorSet {
public:
    explicit VectorSet(::rust::Box<bridge::Vectors> box) : box_(detail::share(std::move(box))) {}

    std::size_t dim() const { return self().vectors_dim(); }
    DType dtype() const { return static_cast<DType>(self().vectors_dtype()); }
    Metric metric() const { return static_cast<Metric>(self().vectors_metric()); }
    std::uint64_t size() const {
        return detail::call([&](auto& failure) { return self().vectors_len(failure); });
    }
    bool contains(std::int64_t id) const {
        return detail::call([&](auto& failure) { return self().vectors_contains(id, failure); });
    }
    VectorSetInfo info() const {
        return detail::call([&](auto& failure) { return VectorSetInfo(self().vectors_info(failure)); });
    }
    /// Ids of all vectors: part by part in the order they were appended, ascending in each.
    std::vector<std::int64_t> ids() const {
        return detail::call([&](auto& failure) {
            const auto found = self().vectors_ids(failure);
            return std::vector<std::int64_t>(found.begin(), found.end());
        });
    }
    /// Another handle of the set, through which vectors are added with companions as said.
    VectorSet with_companions(Companions companions) const {
        return detail::call([&](auto& failure) {
            return VectorSet(self().vectors_companions(static_cast<std::uint8_t>(companions), failure));
        });
    }
    /// Copies of vectors by id, nothing where there is none. Throws `UnsupportedError` when the set has another type.
    template <class T>
    std::vector<std::optional<std::vector<T>>> get(span<const std::int64_t> ids) const {
        if (dtype() != dtype_of<T>::value) detail::raise(8, "Unsupported", "get: the set has elements of another type");
        const std::size_t width = dim();
        std::vector<T> all(ids.size() * width);
        const auto found = detail::call([&](auto& failure) {
            return self().vectors_get(detail::slice(ids.data(), ids.size()),
                                      detail::slice(reinterpret_cast<std::uint8_t*>(all.data()), all.size() * sizeof(T)),
                                      failure);
        });
        std::vector<std::optional<std::vector<T>>> out(ids.size());
        for (std::size_t i = 0; i < out.size(); ++i) {
            const T* start = all.data() + i * width;
            if (found[i]) out[i].emplace(start, start + width);
        }
        return out;
    }
    /// Throws `AlreadyExistsError` for an id that is there.
    void append(span<const std::int64_t> ids, const Rows& rows, const Control& control = Control::none()) {
        add(ids, rows, false, control);
    }
    void upsert(span<const std::int64_t> ids, const Rows& rows, const Control& control = Control::none()) {
        add(ids, rows, true, control);
    }
    /// Returns how many were there.
    std::uint64_t erase(span<const std::int64_t> ids, const Control& control = Control::none()) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return self().vectors_delete(detail::slice(ids.data(), ids.size()), listener, cancel, failure);
        });
    }
    /// Rewrites parts with many deleted rows and joins small ones. Returns how many were rewritten.
    std::uint64_t compact(const Control& control = Control::none()) { return compact(CompactOptions{}, control); }
    std::uint64_t compact(const CompactOptions& options, const Control& control = Control::none()) {
        const bridge::CompactOptions to{options.dead_fraction, options.small_rows, options.part_bytes_max};
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return self().vectors_compact(to, listener, cancel, failure);
        });
    }
    /// Makes the companions that speed searches up, for parts that have none. Returns how many.
    std::uint64_t build_companions(const Control& control = Control::none()) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return self().vectors_build_companions(listener, cancel, failure);
        });
    }
    /// The k nearest of each query, nearest first. Exact.
    std::vector<std::vector<Neighbor>> search(const Rows& queries, std::size_t k,
                                              const SearchOptions& options = {}) const {
        return detail::controlled(options.control, [&](auto& listener, auto& cancel, auto& failure) {
            return detail::answers(self().vectors_search(queries.ref(), k, detail::options(options), listener, cancel,
                                                         failure));
        });
    }

private:
    const bridge::Vectors& self() const { return detail::alive(box_, "the vector set"); }
    void add(span<const std::int64_t> ids, const Rows& rows, bool replace, const Control& control) {
        detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            self().vectors_add(detail::slice(ids.data(), ids.size()), rows.ref(), replace, listener, cancel, failure);
        });
    }

    std::shared_ptr<::rust::Box<bridge::Vectors>> box_;
};

// ---- snapshots, transactions ----

/// What an export did.
struct ExportReport {
    std::uint64_t atoms, file_bytes;
    /// Whether the header is that of the file once imported, and so the file the same bit for bit.
    bool header_kept;
};

/// What an import did. Of `payload_bytes`, `new_bytes` were not in the store before; `lsn` is 0 in a transaction.
struct ImportReport {
    std::uint64_t atoms, file_bytes, payload_bytes, new_bytes, lsn;

    explicit ImportReport(const bridge::ImportReport& r)
        : atoms(r.atoms), file_bytes(r.file_bytes), payload_bytes(r.payload_bytes), new_bytes(r.new_bytes), lsn(r.lsn) {}
};

/// Of a file: as its name says, or whatever that says.
enum class FileFormat : std::uint8_t { by_name, safetensors, npy };

/// A namespace at one moment.
class Snapshot {
public:
    explicit Snapshot(::rust::Box<bridge::Moment> box) : box_(detail::share(std::move(box))) {}

    std::uint64_t lsn() const { return self().snapshot_lsn(); }
    /// Throws `NotFoundError`.
    Atom get(const Key& key) const {
        return detail::call([&](auto& failure) { return Atom(self().snapshot_get(key.ref(), failure)); });
    }
    /// Descriptors in the order of keys: integers, then names by their bytes. Long listings are read in pieces: `limit` of
    /// them, `after` the key of the last one.
    std::vector<AtomInfo> list(std::string_view prefix = {}, std::size_t limit = SIZE_MAX,
                               const std::optional<Key>& after = {}) const {
        return detail::call([&](auto& failure) {
            const auto found = self().snapshot_list(detail::str(prefix), limit, after.has_value(),
                                                    after.value_or(Key(0)).ref(), failure);
            return std::vector<AtomInfo>(found.begin(), found.end());
        });
    }
    /// Writes a safetensors file, which appears complete or not at all. Where several files were imported below the prefix,
    /// `file_name` says which of them is meant.
    ExportReport export_file(const std::string& path, std::string_view prefix = {}, const Control& control = Control::none(),
                             std::string_view file_name = {}) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            const auto r = self().export_file(detail::path(path), detail::str(prefix), detail::str(file_name), listener,
                                              cancel, failure);
            return ExportReport{r.atoms, r.file_bytes, r.header_kept};
        });
    }
    /// Writes one atom into an npy file. Throws `UnsupportedError` for packed bits and blocks.
    void export_npy(const Key& key, const std::string& path) const {
        detail::call([&](auto& failure) { bridge::export_npy(self(), key.ref(), detail::path(path), failure); });
    }
    /// A vector set as it was at this moment. Throws `NotFoundError`.
    VectorSet vectors(std::string_view name) const {
        return detail::call([&](auto& failure) {
            return VectorSet(bridge::vectors_view(self(), detail::str(name), failure));
        });
    }
    /// Searches the rows of a stored tensor, in place; ids are row numbers. By cosine unless told otherwise.
    std::vector<std::vector<Neighbor>> search(const Key& key, const Rows& queries, std::size_t k,
                                              const SearchOptions& options = {}) const {
        return detail::controlled(options.control, [&](auto& listener, auto& cancel, auto& failure) {
            return detail::answers(bridge::tensor_search(self(), key.ref(), queries.ref(), k,
                                                         detail::options(options), listener, cancel, failure));
        });
    }

private:
    const bridge::Moment& self() const { return detail::alive(box_, "the snapshot"); }
    std::shared_ptr<::rust::Box<bridge::Moment>> box_;
};

/// What a put takes besides the tensor.
struct PutOptions {
    /// One JSON object, or nothing.
    std::string_view metadata{};
    /// The commit fails with `ConflictError` or `AlreadyExistsError` when the key is there.
    bool expect_absent = false;
    /// The commit fails with `ConflictError` unless the key has the version of this commit.
    std::optional<std::uint64_t> expect_version{};
    /// What the tensor was made from, in its namespace. Must be there at the commit.
    std::vector<Key> parents{};
    Encoding encoding{};
    /// Progress, a token, a deadline: heeded every 4 MiB, and by the commit where the put has one of its own. A transaction
    /// is as it was when its put was stopped.
    std::optional<Control> control{};

    const Control& given() const { return control ? *control : Control::none(); }
    bridge::PutOptions ref() const {
        bridge::PutOptions out{};
        out.metadata = detail::str(metadata);
        out.expect = expect_version ? 2 : expect_absent ? 1 : 0;
        out.expect_lsn = expect_version.value_or(0);
        for (const Key& key : parents) out.parents.push_back(key.owned());
        out.encoding = encoding.ref();
        return out;
    }
};

namespace detail {
using Scope = std::shared_ptr<::rust::Box<bridge::Scope>>;

/// A transaction, shared with the writer that is open in it. `box` is empty once it has ended.
struct Txn {
    std::optional<::rust::Box<bridge::Txn>> box;
    bool is_writing = false;
    Scope scope;
};
}  // namespace detail

/// Writes one tensor piece by piece, in bounded memory. Given up unless finished; the transaction waits meanwhile.
class Writer {
public:
    Writer(std::shared_ptr<detail::Txn> txn, ::rust::Box<bridge::Writer> box)
        : txn_(std::move(txn)), box_(std::move(box)) {
        txn_->is_writing = true;
    }
    Writer(Writer&& other) noexcept : txn_(std::move(other.txn_)), box_(std::move(other.box_)) { other.box_.reset(); }
    Writer& operator=(Writer&& other) noexcept {
        if (this != &other) {
            end();
            txn_ = std::move(other.txn_);
            box_ = std::move(other.box_);
            other.box_.reset();
        }
        return *this;
    }
    ~Writer() { end(); }

    /// After an exception the tensor is given up.
    template <class T>
    void append(span<const T> elements, const Control& control = Control::none()) {
        if (!box_) detail::closed("the writer");
        detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            (*box_)->append(detail::bytes_of(elements), listener, cancel, failure);
        });
    }
    template <class C, class T = typename C::value_type>
    void append(const C& elements, const Control& control = Control::none()) {
        append(span<const T>(elements.data(), elements.size()), control);
    }
    /// Makes the tensor part of the transaction. Throws `InvalidShapeError` unless the bytes fit the shape.
    void finish() {
        if (!box_) detail::closed("the writer");
        ::rust::Box<bridge::Writer> box = std::move(*box_);
        box_.reset();
        txn_->is_writing = false;
        detail::call([&](auto& failure) { bridge::writer_finish(std::move(box), failure); });
    }

private:
    void end() noexcept {
        if (box_) {
            box_.reset();
            txn_->is_writing = false;
        }
    }

    std::shared_ptr<detail::Txn> txn_;  // outlives the box below
    std::optional<::rust::Box<bridge::Writer>> box_;
};

/// A batch of changes, committed all or nothing; given up unless committed.
class Transaction {
public:
    Transaction(::rust::Box<bridge::Txn> box, detail::Scope scope)
        : txn_(std::make_shared<detail::Txn>(detail::Txn{std::move(box), false, std::move(scope)})) {}

    /// Stores elements with a shape; copies or writes them before it returns.
    template <class T>
    void put(const Key& key, span<const std::uint64_t> shape, span<const T> elements, const PutOptions& options = {}) {
        put_bytes(key, dtype_of<T>::value, shape, as_bytes(elements), options);
    }
    template <class C, class T = typename C::value_type>
    void put(const Key& key, span<const std::uint64_t> shape, const C& elements, const PutOptions& options = {}) {
        put(key, shape, span<const T>(elements.data(), elements.size()), options);
    }
    void put_bytes(const Key& key, DType dtype, span<const std::uint64_t> shape, span<const std::uint8_t> bytes,
                   const PutOptions& options = {}) {
        auto& txn = self();
        detail::controlled(options.given(), [&](auto& listener, auto& cancel, auto& failure) {
            txn.txn_put(scope(), key.ref(), static_cast<std::uint8_t>(dtype), detail::slice(shape.data(), shape.size()),
                        detail::slice(bytes.data(), bytes.size()), options.ref(), listener, cancel, failure);
        });
    }
    /// A writer for a tensor whose number of rows is not known; `row_shape` is the shape of one row.
    Writer write_rows(const Key& key, DType dtype, span<const std::uint64_t> row_shape, const PutOptions& options = {}) {
        return writer(key, dtype, row_shape, true, options);
    }
    /// A writer for a tensor of known shape.
    Writer write(const Key& key, DType dtype, span<const std::uint64_t> shape, const PutOptions& options = {}) {
        return writer(key, dtype, shape, false, options);
    }
    /// Returns whether the key was there.
    bool erase(const Key& key) {
        auto& txn = self();
        return detail::call([&](auto& failure) { return txn.txn_delete(scope(), key.ref(), failure); });
    }
    /// The same of the version that the commit `lsn` made: where there is another one by then, or none, the commit throws
    /// `ConflictError`.
    bool erase_version(const Key& key, std::uint64_t lsn) {
        auto& txn = self();
        return detail::call([&](auto& failure) { return txn.txn_delete_version(scope(), key.ref(), lsn, failure); });
    }
    /// Every name that starts with a prefix; all atoms of the namespace where it is empty. Returns how many there were.
    std::uint64_t erase_prefix(std::string_view prefix, const Control& control = Control::none()) {
        auto& txn = self();
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return txn.txn_delete_prefix(scope(), detail::str(prefix), listener, cancel, failure);
        });
    }
    /// Replaces the metadata: one JSON object, or nothing.
    void set_metadata(const Key& key, std::optional<std::string_view> metadata) {
        auto& txn = self();
        detail::call([&](auto& failure) {
            txn.txn_set_metadata(scope(), key.ref(), metadata.has_value(), detail::str(metadata.value_or("")), failure);
        });
    }
    void rename(const Key& from, const Key& to) {
        auto& txn = self();
        detail::call([&](auto& failure) { txn.txn_rename(scope(), from.ref(), to.ref(), failure); });
    }
    /// Sees the changes of this transaction.
    Atom get(const Key& key) {
        auto& txn = self();
        return detail::call([&](auto& failure) { return Atom(txn.txn_get(scope(), key.ref(), failure)); });
    }
    /// Makes a vector set, there after the commit. Throws `AlreadyExistsError` where one of that name is.
    void create_vectors(std::string_view name, std::size_t dim, DType dtype, Metric metric) {
        auto& txn = self();
        detail::call([&](auto& failure) {
            txn.txn_vectors_create(scope(), detail::str(name), dim, static_cast<std::uint8_t>(dtype),
                                   static_cast<std::uint8_t>(metric), failure);
        });
    }
    /// Throws `AlreadyExistsError` for an id that is there, `NotFoundError` where there is no such set.
    void append_vectors(std::string_view name, span<const std::int64_t> ids, const Rows& rows) {
        add_vectors(name, ids, rows, false);
    }
    void upsert_vectors(std::string_view name, span<const std::int64_t> ids, const Rows& rows) {
        add_vectors(name, ids, rows, true);
    }
    /// Returns how many were there.
    std::uint64_t erase_vectors(std::string_view name, span<const std::int64_t> ids) {
        auto& txn = self();
        return detail::call([&](auto& failure) {
            return txn.txn_vectors_delete(scope(), detail::str(name), detail::slice(ids.data(), ids.size()), failure);
        });
    }
    /// Drops a set with all its vectors. Returns whether it was there.
    bool drop_vectors(std::string_view name) {
        auto& txn = self();
        return detail::call([&](auto& failure) { return txn.txn_vectors_drop(scope(), detail::str(name), failure); });
    }
    /// A vector set as this transaction sees it, what it added included. Usable until the transaction ends.
    VectorSet vectors(std::string_view name) {
        auto& txn = self();
        return detail::call([&](auto& failure) {
            return VectorSet(txn.txn_vectors_view(scope(), detail::str(name), failure));
        });
    }
    /// Puts all of a file, with other files and changes in one commit. After an exception the transaction should be given up.
    ImportReport import_file(const std::string& path, std::string_view prefix = {}, const Control& control = Control::none(),
                             FileFormat format = FileFormat::by_name) {
        auto& txn = self();
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return ImportReport(txn.txn_import(scope(), detail::path(path), detail::str(prefix),
                                               static_cast<std::uint8_t>(format), listener, cancel, failure));
        });
    }
    /// Durable and visible when it returns, unless it throws. Ends the transaction either way. Returns the LSN.
    std::uint64_t commit(const Control& control = Control::none()) {
        self();
        ::rust::Box<bridge::Txn> box = std::move(*txn_->box);
        txn_->box.reset();
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return bridge::txn_commit(std::move(box), listener, cancel, failure);
        });
    }
    /// Gives the changes up.
    void abort() {
        self();
        txn_->box.reset();
    }

private:
    bridge::Txn& self() {
        if (!txn_ || !txn_->box) detail::closed("the transaction");
        if (txn_->is_writing) detail::raise(8, "Unsupported", "a writer is open in this transaction; finish it first");
        return **txn_->box;
    }
    const bridge::Scope& scope() const { return **txn_->scope; }
    void add_vectors(std::string_view name, span<const std::int64_t> ids, const Rows& rows, bool replace) {
        auto& txn = self();
        detail::call([&](auto& failure) {
            txn.txn_vectors_add(scope(), detail::str(name), detail::slice(ids.data(), ids.size()), rows.ref(), replace,
                                failure);
        });
    }
    template <class T>
    static span<const std::uint8_t> as_bytes(span<const T> elements) {
        return {reinterpret_cast<const std::uint8_t*>(elements.data()), elements.size_bytes()};
    }
    Writer writer(const Key& key, DType dtype, span<const std::uint64_t> shape, bool open_rows,
                  const PutOptions& options) {
        auto& txn = self();
        return detail::call([&](auto& failure) {
            return Writer(txn_, bridge::txn_writer(txn, scope(), key.ref(), static_cast<std::uint8_t>(dtype),
                                                   detail::slice(shape.data(), shape.size()), open_rows, options.ref(),
                                                   failure));
        });
    }

    std::shared_ptr<detail::Txn> txn_;
};

// ---- stores ----

/// How a store is opened. Zero takes the default.
struct Options {
    enum class Mode : std::uint8_t { open, open_or_create, create };
    Mode mode = Mode::open_or_create;
    bool read_only = false;
    /// Reads payloads by calls that can fail, never through a map.
    bool positioned = false;
    /// Commits survive the death of processes, but are not synced.
    bool process_durability = false;
    std::uint64_t segment_bytes = 0;
    std::uint32_t chunk_bytes = 0;
    std::uint64_t cache_bytes = 0;
    std::size_t threads = 0;
    std::uint64_t lock_timeout_ms = 0;
    /// Where a store that is made keeps its cold tier, perhaps on another disk; of one that is there, the directory in use.
    /// Absolute, or relative to the store. Empty: the store's own.
    std::string cold_directory = {};
    /// Bytes of pinned payloads that are read into memory when the store is opened, at most; nothing for the default.
    std::optional<std::uint64_t> hot_bytes = {};
};

/// Damage found by `verify`.
struct Damage {
    std::string name_space, key, what;
    bool is_current;
};

/// What `verify` read, and found damaged.
struct VerifyReport {
    std::uint64_t atoms_checked, payloads_checked, chunks_checked, bytes_checked;
    std::vector<Damage> damaged;
    /// Payloads in a cold directory that is away, and why; nothing is known of them.
    std::uint64_t payloads_unavailable;
    std::string unavailable;
    bool is_sound() const noexcept { return damaged.empty(); }
    bool is_complete() const noexcept { return unavailable.empty(); }
};

/// A namespace of a store: keys, listings and searches never leave it.
class Namespace {
public:
    explicit Namespace(::rust::Box<bridge::Scope> box) : scope_(detail::share(std::move(box))) {}

    /// The current version of a key. Throws `NotFoundError`.
    Atom get(const Key& key) const {
        return detail::call([&](auto& failure) { return Atom(self().get(key.ref(), failure)); });
    }
    bool exists(const Key& key) const {
        return detail::call([&](auto& failure) { return self().exists(key.ref(), failure); });
    }
    Transaction begin() {
        return detail::call([&](auto& failure) { return Transaction(self().begin(failure), scope_); });
    }
    /// One tensor in a transaction of its own. Returns the LSN.
    template <class C>
    std::uint64_t put(const Key& key, span<const std::uint64_t> shape, const C& elements,
                      const PutOptions& options = {}) {
        Transaction txn = begin();
        txn.put(key, shape, elements, options);
        return txn.commit(options.given());
    }
    bool erase(const Key& key) {
        Transaction txn = begin();
        const bool existed = txn.erase(key);
        if (existed) txn.commit();
        return existed;
    }
    std::vector<AtomInfo> list(std::string_view prefix = {}, std::size_t limit = SIZE_MAX,
                               const std::optional<Key>& after = {}) const {
        return snapshot().list(prefix, limit, after);
    }
    Snapshot snapshot() const {
        return detail::call([&](auto& failure) { return Snapshot(self().snapshot(failure)); });
    }
    /// As it was after commit `lsn`.
    Snapshot snapshot_at(std::uint64_t lsn) const {
        return detail::call([&](auto& failure) { return Snapshot(self().snapshot_at(lsn, failure)); });
    }
    /// As it was after the newest commit at or before a time, in microseconds since 1970.
    Snapshot snapshot_at_time(std::uint64_t time_us) const {
        return detail::call([&](auto& failure) { return Snapshot(self().snapshot_at_time(time_us, failure)); });
    }
    /// What commits after `since` changed, up to the newest one now, as far as history still holds it.
    Changes changes(std::uint64_t since = 0) const {
        return detail::call([&](auto& failure) { return Changes(self().changes(since, failure)); });
    }
    /// Moves the payloads of all atoms below a prefix, in steps, each durable. The policy may bring them back.
    Report move_to_tier(std::string_view prefix, Tier tier, const MoveOptions& options = {},
                        const Control& control = Control::none()) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return detail::report(self().move_to_tier(detail::str(prefix), static_cast<std::uint8_t>(tier), options.ref(),
                                                      listener, cancel, failure));
        });
    }
    /// Keeps the payload of a key warm, and has it read into memory when the store is opened. Whether that is new.
    bool pin(const Key& key) {
        return detail::call([&](auto& failure) { return self().pin(key.ref(), true, failure); });
    }
    /// The same for all names that start with a prefix.
    bool pin_prefix(std::string_view prefix) {
        return detail::call([&](auto& failure) { return self().pin(Key(prefix).ref(), false, failure); });
    }
    /// Take a pin back that was set with the same words. Whether there was one.
    bool unpin(const Key& key) {
        return detail::call([&](auto& failure) { return self().unpin(key.ref(), true, failure); });
    }
    bool unpin_prefix(std::string_view prefix) {
        return detail::call([&](auto& failure) { return self().unpin(Key(prefix).ref(), false, failure); });
    }
    /// The vector sets of the namespace, by name.
    std::vector<VectorSetInfo> vector_sets() const {
        return detail::call([&](auto& failure) {
            const auto sets = self().vector_sets(failure);
            return std::vector<VectorSetInfo>(sets.begin(), sets.end());
        });
    }
    /// Opens a vector set, creating it first where there is none.
    VectorSet vectors(std::string_view name, std::size_t dim, DType dtype = DType::f32,
                      Metric metric = Metric::cosine) {
        return detail::call([&](auto& failure) {
            return VectorSet(bridge::vectors_create(self(), detail::str(name), dim, static_cast<std::uint8_t>(dtype),
                                                    static_cast<std::uint8_t>(metric), failure));
        });
    }
    /// Opens a vector set. Throws `NotFoundError`.
    VectorSet vectors(std::string_view name) const {
        return detail::call([&](auto& failure) {
            return VectorSet(bridge::vectors_open(self(), detail::str(name), failure));
        });
    }
    /// Imports a safetensors or npy file: all of it becomes visible at once, or nothing does.
    ImportReport import_file(const std::string& path, std::string_view prefix = {}, const Control& control = Control::none(),
                             FileFormat format = FileFormat::by_name) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return ImportReport(self().import_file(detail::path(path), detail::str(prefix),
                                                   static_cast<std::uint8_t>(format), listener, cancel, failure));
        });
    }
    ExportReport export_file(const std::string& path, std::string_view prefix = {}, const Control& control = Control::none()) const {
        return snapshot().export_file(path, prefix, control);
    }
    /// Reads everything and names every damaged atom. In the default namespace without a prefix: of the whole store.
    VerifyReport verify(std::string_view prefix = {}, const Control& control = Control::none()) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            const auto r = self().verify(detail::str(prefix), listener, cancel, failure);
            VerifyReport out{r.atoms_checked, r.payloads_checked,     r.chunks_checked,           r.bytes_checked,
                             {},              r.payloads_unavailable, std::string(r.unavailable)};
            for (const auto& d : r.damaged) {
                out.damaged.push_back({std::string(d.name_space), std::string(d.key), std::string(d.what), d.is_current});
            }
            return out;
        });
    }

protected:
    const bridge::Scope& self() const { return detail::alive(scope_, "the store"); }

private:
    detail::Scope scope_;
};

/// What a store was made with and is open with.
struct StoreFacts {
    std::string uuid, path;
    std::uint64_t created_us, segment_bytes;
    std::uint32_t chunk_bytes;
    bool is_read_only;
};

using Stat = bridge::Stat;
using QueryResult = bridge::QueryResult;

/// A store, whose keys are meant in the default namespace. The last handle closes it.
class Store : public Namespace {
public:
    explicit Store(const std::string& path, const Options& options = {})
        : Namespace(detail::call([&](auto& failure) {
              ::rust::Vec<std::uint8_t> cold;
              for (const char byte : options.cold_directory) cold.push_back(static_cast<std::uint8_t>(byte));
              const bridge::OpenOptions o{static_cast<std::uint8_t>(options.mode), options.read_only,
                                          options.positioned, options.process_durability, options.segment_bytes,
                                          options.chunk_bytes, options.cache_bytes, options.threads,
                                          options.lock_timeout_ms, std::move(cold),
                                          options.hot_bytes.has_value(), options.hot_bytes.value_or(0)};
              return bridge::open(detail::path(path), o, failure);
          })) {}

    std::string uuid() const { return std::string(self().uuid()); }
    /// What it was made with and is open with.
    StoreFacts facts() const {
        const auto f = self().facts();
        return {std::string(f.uuid), std::string(f.path.begin(), f.path.end()), f.created_us, f.segment_bytes,
                f.chunk_bytes, f.is_read_only};
    }
    std::uint64_t lsn() const {
        return detail::call([&](auto& failure) { return self().lsn(failure); });
    }
    /// Throws `NotFoundError`.
    Namespace name_space(std::string_view name) const { return open_namespace(name, false); }
    Namespace create_namespace(std::string_view name) { return open_namespace(name, true); }
    std::vector<std::string> name_spaces() const {
        return detail::call([&](auto& failure) {
            std::vector<std::string> names;
            for (const auto& name : self().namespaces(failure)) names.emplace_back(std::string(name));
            return names;
        });
    }
    /// What each byte of the directory is for.
    Stat stat(const Control& control = Control::none()) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return self().stat(listener, cancel, failure);
        });
    }
    /// One `SELECT` over the public views. More than `row_limit` rows are an error. Can be stopped in its middle.
    QueryResult query(std::string_view sql, std::size_t row_limit = 10000,
                      const Control& control = Control::none()) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return self().query(detail::str(sql), row_limit, listener, cancel, failure);
        });
    }
    /// The policy of the tiers as a JSON object: {hot_days, warm_days, min_bytes, warm_bytes_max, deltas, codec, rules, pins}.
    std::string tier_policy() const {
        return detail::call([&](auto& failure) { return std::string(self().tier_policy(failure)); });
    }
    /// Replaces the policy, pins included, durably and for all processes. What is left out has its default. Moves nothing.
    void set_tier_policy(std::string_view json) {
        detail::call([&](auto& failure) { self().set_tier_policy(detail::str(json), failure); });
    }
    /// What the policy would move now.
    TierPlan plan(const Control& control = Control::none()) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return TierPlan(self().plan(listener, cancel, failure));
        });
    }
    /// Carries a plan out, in steps, each durable; what no longer makes sense is skipped and counted.
    Report apply(const TierPlan& plan, const Control& control = Control::none()) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return detail::report(self().apply(plan.ref(), listener, cancel, failure));
        });
    }
    /// What a nightly job calls: notes what was read, plans, applies, reclaims what moves left behind.
    Report maintain(const Control& control = Control::none()) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return detail::report(self().maintain(listener, cancel, failure));
        });
    }
    /// Reclaims space: garbage, and history if so asked.
    Report gc(const GcOptions& options = {}, const Control& control = Control::none()) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return detail::report(self().gc(options.ref(), listener, cancel, failure));
        });
    }

private:
    Namespace open_namespace(std::string_view name, bool create) const {
        return detail::call([&](auto& failure) {
            return Namespace(self().in_namespace(detail::str(name), create, failure));
        });
    }
};

}  // namespace tensoratom
