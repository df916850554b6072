//! TensorAtom for C++17: stores of tensors, exact vector search, vector mathematics.
//!
//! Every class owns what it stands for and releases it when it goes. Classes that can be copied share; `Transaction` and
//! `Writer` only move, and answer with an error of kind `Closed` once moved from, committed or finished. Bytes and views
//! stay valid as long as they are held, whatever becomes of the store. A `Store`, `Namespace`, `Snapshot`, `Atom`,
//! `VectorSet` and `CancelToken` may be used from several threads at once; a `Transaction` and its `Writer` from one at a
//! time. Failures are exceptions of class `Error`. Lengths and offsets are bytes, times microseconds since 1970; text and
//! names are UTF-8. Tensors are in C order, little-endian.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "tensoratom/bridge.h"
#include "tensoratom/listener.hpp"

namespace tensoratom {

// ---- errors ----

/// Name and stable number of each kind of error.
#define TENSORATOM_ERROR_KINDS(X)                                                                          \
    X(NotFound, 1) X(AlreadyExists, 2) X(Conflict, 3) X(InvalidArgument, 4) X(InvalidKey, 5)               \
    X(InvalidShape, 6) X(InvalidMetadata, 7) X(Unsupported, 8) X(Forgotten, 9) X(NotAStore, 20)            \
    X(NewerFormat, 21) X(NetworkFileSystem, 22) X(ReadOnly, 23) X(PermissionDenied, 24) X(Busy, 25)        \
    X(Corrupt, 40)                                                                                         \
    X(CatalogCorrupt, 41) X(BadFile, 42) X(Io, 60) X(DiskFull, 61) X(OutOfMemory, 62) X(Poisoned, 63)      \
    X(Closed, 80) X(Forked, 81) X(Cancelled, 82) X(Internal, 99)

/// What went wrong, as a program decides on it. Newer libraries may report numbers that are not named here.
enum class ErrorKind : std::uint16_t {
#define TENSORATOM_KIND(name, number) name = number,
    TENSORATOM_ERROR_KINDS(TENSORATOM_KIND)
#undef TENSORATOM_KIND
};

/// Any failure of the library. `what()` says what was being done, where, what is wrong, and what to do next.
class Error : public std::runtime_error {
public:
    Error(ErrorKind kind, std::string name, const std::string& message, std::string key = {}, std::string path = {},
          int os_code = 0)
        : std::runtime_error(message), kind_(kind), name_(std::move(name)), key_(std::move(key)),
          path_(std::move(path)), os_code_(os_code) {}

    ErrorKind kind() const noexcept { return kind_; }
    std::uint16_t number() const noexcept { return static_cast<std::uint16_t>(kind_); }
    /// Name of the kind, say `NotFound`.
    const std::string& name() const noexcept { return name_; }
    /// The key and the path concerned; empty where there is none. The path is not part of `what()`.
    const std::string& key() const noexcept { return key_; }
    const std::string& path() const noexcept { return path_; }
    /// Error number of the operating system, 0 for none.
    int os_code() const noexcept { return os_code_; }

private:
    ErrorKind kind_;
    std::string name_, key_, path_;
    int os_code_;
};

/// One exception class per kind: `NotFoundError`, `CorruptError`, ...
#define TENSORATOM_CLASS(name, number)       \
    class name##Error : public Error {       \
        using Error::Error;                  \
    };
TENSORATOM_ERROR_KINDS(TENSORATOM_CLASS)
#undef TENSORATOM_CLASS

namespace detail {

[[noreturn]] inline void raise(std::uint16_t number, const std::string& name, const std::string& message,
                               const std::string& key = {}, const std::string& path = {}, int os_code = 0) {
    const auto kind = static_cast<ErrorKind>(number);
    switch (kind) {
#define TENSORATOM_CASE(kind_name, kind_number) \
    case ErrorKind::kind_name: throw kind_name##Error(kind, name, message, key, path, os_code);
        TENSORATOM_ERROR_KINDS(TENSORATOM_CASE)
#undef TENSORATOM_CASE
    }
    throw Error(kind, name, message, key, path, os_code);
}

[[noreturn]] inline void closed(const char* what) {
    raise(80, "Closed", std::string(what) + " was moved from, committed or finished");
}

/// Calls into the engine; turns its failure, and text that is not UTF-8, into an `Error`.
template <class F>
auto call(F&& function) {
    bridge::Failure failure{};
    try {
        return function(failure);
    } catch (const Error&) {
        throw;
    } catch (const std::exception& thrown) {
        if (failure.kind != 0) {
            raise(failure.kind, std::string(failure.name), std::string(failure.message), std::string(failure.key),
                  std::string(failure.path), failure.os_code);
        }
        if (dynamic_cast<const std::invalid_argument*>(&thrown) != nullptr) {
            raise(4, "InvalidArgument", "text is not UTF-8");
        }
        throw;
    }
}

inline ::rust::Str str(std::string_view text) { return ::rust::Str(text.data(), text.size()); }

template <class T>
::rust::Slice<T> slice(T* data, std::size_t size) {
    return ::rust::Slice<T>(data, size);
}

inline ::rust::Slice<const std::uint8_t> path(const std::string& path) {
    return slice(reinterpret_cast<const std::uint8_t*>(path.data()), path.size());
}

/// Something of the engine that may have been moved away.
template <class T>
const T& alive(const std::shared_ptr<::rust::Box<T>>& box, const char* what) {
    if (!box) closed(what);
    return **box;
}

template <class T>
std::shared_ptr<::rust::Box<T>> share(::rust::Box<T> box) {
    return std::make_shared<::rust::Box<T>>(std::move(box));
}

}  // namespace detail

// ---- spans and element types ----

/// A borrowed run of elements, as `std::span` of C++20; made from anything with `data()` and `size()`.
template <class T>
class span {
public:
    using element_type = T;
    using value_type = std::remove_cv_t<T>;

    constexpr span() noexcept = default;
    constexpr span(T* data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <std::size_t N>
    constexpr span(T (&array)[N]) noexcept : data_(array), size_(N) {}
    template <class C, class = std::enable_if_t<std::is_convertible_v<
                           std::remove_pointer_t<decltype(std::declval<C&>().data())> (*)[], T (*)[]>>,
              class = decltype(std::declval<C&>().size())>
    constexpr span(C&& container) noexcept : data_(container.data()), size_(container.size()) {}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winit-list-lifetime"  // an argument lives as long as the call
#endif
    /// A list, for arguments: it is gone after the call.
    template <class U = T, class = std::enable_if_t<std::is_const_v<U>>>
    constexpr span(std::initializer_list<value_type> list) noexcept : data_(list.begin()), size_(list.size()) {}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

    constexpr T* data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr std::size_t size_bytes() const noexcept { return size_ * sizeof(T); }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr T* begin() const noexcept { return data_; }
    constexpr T* end() const noexcept { return data_ + size_; }
    constexpr T& operator[](std::size_t index) const { return data_[index]; }

private:
    T* data_ = nullptr;
    std::size_t size_ = 0;
};

/// Type of one element. Numbers are those of the file format.
enum class DType : std::uint8_t {
    f64 = 1, f32, f16, bf16, f8e4m3, f8e5m2, i64, i32, i16, i8, u64, u32, u16, u8, boolean, b1, opaque
};

/// Floats that C++17 lacks, as their bits. `kernels::convert` makes them.
struct float16 { std::uint16_t bits; };
struct bfloat16 { std::uint16_t bits; };

/// The element type of a C++ type.
template <class T>
struct dtype_of;
#define TENSORATOM_DTYPE(type, number) \
    template <>                        \
    struct dtype_of<type> : std::integral_constant<DType, DType::number> {};
TENSORATOM_DTYPE(double, f64)
TENSORATOM_DTYPE(float, f32)
TENSORATOM_DTYPE(float16, f16)
TENSORATOM_DTYPE(bfloat16, bf16)
TENSORATOM_DTYPE(std::int64_t, i64)
TENSORATOM_DTYPE(std::int32_t, i32)
TENSORATOM_DTYPE(std::int16_t, i16)
TENSORATOM_DTYPE(std::int8_t, i8)
TENSORATOM_DTYPE(std::uint64_t, u64)
TENSORATOM_DTYPE(std::uint32_t, u32)
TENSORATOM_DTYPE(std::uint16_t, u16)
TENSORATOM_DTYPE(std::uint8_t, u8)
#undef TENSORATOM_DTYPE

/// How far apart two vectors are; smaller is nearer.
enum class Metric : std::uint8_t { dot = 1, cosine, sqeuclidean, euclidean, manhattan, hamming, jaccard };

namespace detail {
template <class T>
::rust::Slice<const std::uint8_t> bytes_of(span<const T> elements) {
    return slice(reinterpret_cast<const std::uint8_t*>(elements.data()), elements.size_bytes());
}
}  // namespace detail

/// A key: a name of 1 to 1,024 bytes of UTF-8, or a number. Borrows the name.
class Key {
public:
    Key(const char* name) : is_name_(true), name_(name) {}
    Key(std::string_view name) : is_name_(true), name_(name) {}
    Key(const std::string& name) : is_name_(true), name_(name) {}
    template <class I, class = std::enable_if_t<std::is_integral_v<I> && !std::is_same_v<I, bool>>>
    Key(I number) : number_(static_cast<std::int64_t>(number)) {}

    bridge::KeyRef ref() const { return bridge::KeyRef{is_name_, number_, detail::str(name_)}; }
    bridge::OwnedKey owned() const { return bridge::OwnedKey{is_name_, number_, ::rust::String(name_.data(), name_.size())}; }

private:
    bool is_name_ = false;
    std::int64_t number_ = 0;
    std::string_view name_;
};

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
    /// Elements as numbers. Throws `UnsupportedError` when the stored type is another one.
    template <class T>
    TensorView<T> view() const {
        AtomInfo facts = typed_info<T>();
        return TensorView<T>(bytes(), std::move(facts.shape));
    }
    /// Rows `start` to `end` of the first dimension.
    template <class T>
    TensorView<T> view_rows(std::uint64_t start, std::uint64_t end) const {
        AtomInfo facts = typed_info<T>();
        Bytes part = detail::call([&](auto& failure) { return Bytes(self().rows(start, end, failure)); });
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

// ---- long operations ----

/// Stops long operations, from any thread. Copies share the flag.
class CancelToken {
public:
    CancelToken() : box_(detail::share(bridge::cancel_new())) {}
    void cancel() const { detail::alive(box_, "the token").set(); }
    bool is_cancelled() const { return detail::alive(box_, "the token").is_set(); }
    const bridge::Cancel& ref() const { return detail::alive(box_, "the token"); }

private:
    std::shared_ptr<::rust::Box<bridge::Cancel>> box_;
};

/// Progress and cancellation, both optional. The function is called from threads of the library, one call at a time;
/// what it throws stops the operation and is thrown by it.
struct Control {
    std::function<void(const Progress&)> progress{};
    CancelToken cancel{};
};

namespace detail {
template <class F>
auto controlled(const Control& control, F&& function) {
    const bridge::Listener listener(control.progress);
    try {
        return call([&](auto& failure) { return function(listener, control.cancel.ref(), failure); });
    } catch (const CancelledError&) {
        listener.rethrow();
        throw;
    }
}
}  // namespace detail

// ---- vectors ----

/// Vectors in memory, row after row. Borrows them.
class Rows {
public:
    template <class C, class T = typename C::value_type>
    Rows(std::size_t dim, const C& elements)
        : Rows(dtype_of<T>::value, dim == 0 ? 0 : elements.size() / dim, dim,
               detail::bytes_of(span<const T>(elements.data(), elements.size()))) {}
    /// Any type; `stride_bytes` from row to row, 0 for dense rows.
    Rows(DType dtype, std::size_t rows, std::size_t dim, span<const std::uint8_t> bytes, std::size_t stride_bytes = 0)
        : Rows(dtype, rows, dim, detail::slice(bytes.data(), bytes.size()), stride_bytes) {}

    std::size_t rows() const noexcept { return ref_.rows; }
    const bridge::RowsRef& ref() const noexcept { return ref_; }

private:
    Rows(DType dtype, std::size_t rows, std::size_t dim, ::rust::Slice<const std::uint8_t> bytes,
         std::size_t stride_bytes = 0)
        : ref_{static_cast<std::uint8_t>(dtype), rows, dim, stride_bytes, bytes} {}

    bridge::RowsRef ref_;
};

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

/// A named set of vectors under ids. Every change is a durable commit.
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
    /// Throws `AlreadyExistsError` for an id that is there.
    void append(span<const std::int64_t> ids, const Rows& rows) { add(ids, rows, false); }
    void upsert(span<const std::int64_t> ids, const Rows& rows) { add(ids, rows, true); }
    /// Returns how many were there.
    std::uint64_t erase(span<const std::int64_t> ids) {
        return detail::call([&](auto& failure) {
            return self().vectors_delete(detail::slice(ids.data(), ids.size()), failure);
        });
    }
    /// Rewrites parts with many deleted rows and joins small ones. Returns how many were rewritten.
    std::uint64_t compact(const Control& control = {}) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            return self().vectors_compact(listener, cancel, failure);
        });
    }
    /// Makes the companions that speed searches up, for parts that have none. Returns how many.
    std::uint64_t build_companions(const Control& control = {}) {
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
    void add(span<const std::int64_t> ids, const Rows& rows, bool replace) {
        detail::call([&](auto& failure) {
            self().vectors_add(detail::slice(ids.data(), ids.size()), rows.ref(), replace, failure);
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

/// What an import did.
struct ImportReport {
    std::uint64_t atoms, file_bytes, payload_bytes, new_bytes, lsn;
};

/// A namespace at one moment.
class Snapshot {
public:
    explicit Snapshot(::rust::Box<bridge::Moment> box) : box_(detail::share(std::move(box))) {}

    std::uint64_t lsn() const { return self().snapshot_lsn(); }
    /// Throws `NotFoundError`.
    Atom get(const Key& key) const {
        return detail::call([&](auto& failure) { return Atom(self().snapshot_get(key.ref(), failure)); });
    }
    /// Descriptors in the order of keys: integers, then names by their bytes.
    std::vector<AtomInfo> list(std::string_view prefix = {}, std::size_t limit = SIZE_MAX) const {
        return detail::call([&](auto& failure) {
            const auto found = self().snapshot_list(detail::str(prefix), limit, failure);
            return std::vector<AtomInfo>(found.begin(), found.end());
        });
    }
    /// Writes a safetensors file, which appears complete or not at all.
    ExportReport export_file(const std::string& path, std::string_view prefix = {}, const Control& control = {}) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            const auto r = self().export_file(detail::path(path), detail::str(prefix), listener, cancel, failure);
            return ExportReport{r.atoms, r.file_bytes, r.header_kept};
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
    void append(span<const T> elements) {
        if (!box_) detail::closed("the writer");
        detail::call([&](auto& failure) { (*box_)->append(detail::bytes_of(elements), failure); });
    }
    template <class C, class T = typename C::value_type>
    void append(const C& elements) {
        append(span<const T>(elements.data(), elements.size()));
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
        detail::call([&](auto& failure) {
            txn.txn_put(scope(), key.ref(), static_cast<std::uint8_t>(dtype), detail::slice(shape.data(), shape.size()),
                        detail::slice(bytes.data(), bytes.size()), options.ref(), failure);
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
    /// Durable and visible when it returns, unless it throws. Ends the transaction either way. Returns the LSN.
    std::uint64_t commit() {
        self();
        ::rust::Box<bridge::Txn> box = std::move(*txn_->box);
        txn_->box.reset();
        return detail::call([&](auto& failure) { return bridge::txn_commit(std::move(box), failure); });
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
    bool is_sound() const noexcept { return damaged.empty(); }
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
        return txn.commit();
    }
    bool erase(const Key& key) {
        Transaction txn = begin();
        const bool existed = txn.erase(key);
        if (existed) txn.commit();
        return existed;
    }
    std::vector<AtomInfo> list(std::string_view prefix = {}, std::size_t limit = SIZE_MAX) const {
        return snapshot().list(prefix, limit);
    }
    Snapshot snapshot() const {
        return detail::call([&](auto& failure) { return Snapshot(self().snapshot(failure)); });
    }
    /// As it was after commit `lsn`.
    Snapshot snapshot_at(std::uint64_t lsn) const {
        return detail::call([&](auto& failure) { return Snapshot(self().snapshot_at(lsn, failure)); });
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
    ImportReport import_file(const std::string& path, std::string_view prefix = {}, const Control& control = {}) {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            const auto r = self().import_file(detail::path(path), detail::str(prefix), listener, cancel, failure);
            return ImportReport{r.atoms, r.file_bytes, r.payload_bytes, r.new_bytes, r.lsn};
        });
    }
    ExportReport export_file(const std::string& path, std::string_view prefix = {}, const Control& control = {}) const {
        return snapshot().export_file(path, prefix, control);
    }
    /// Reads everything and names every damaged atom. In the default namespace without a prefix: of the whole store.
    VerifyReport verify(std::string_view prefix = {}, const Control& control = {}) const {
        return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
            const auto r = self().verify(detail::str(prefix), listener, cancel, failure);
            VerifyReport out{r.atoms_checked, r.payloads_checked, r.chunks_checked, r.bytes_checked, {}};
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

using Stat = bridge::Stat;
using QueryResult = bridge::QueryResult;

/// A store, whose keys are meant in the default namespace. The last handle closes it.
class Store : public Namespace {
public:
    explicit Store(const std::string& path, const Options& options = {})
        : Namespace(detail::call([&](auto& failure) {
              const bridge::OpenOptions o{static_cast<std::uint8_t>(options.mode), options.read_only,
                                          options.positioned, options.process_durability, options.segment_bytes,
                                          options.chunk_bytes, options.cache_bytes, options.threads,
                                          options.lock_timeout_ms};
              return bridge::open(detail::path(path), o, failure);
          })) {}

    std::string uuid() const { return std::string(self().uuid()); }
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
    Stat stat() const {
        return detail::call([&](auto& failure) { return self().stat(failure); });
    }
    /// One `SELECT` over the public views. More than `row_limit` rows are an error.
    QueryResult query(std::string_view sql, std::size_t row_limit = 10000) const {
        return detail::call([&](auto& failure) { return self().query(detail::str(sql), row_limit, failure); });
    }

private:
    Namespace open_namespace(std::string_view name, bool create) const {
        return detail::call([&](auto& failure) {
            return Namespace(self().in_namespace(detail::str(name), create, failure));
        });
    }
};

// ---- kernels ----

/// Vector mathematics over spans. Lengths that differ are an `InvalidShapeError`.
namespace kernels {

/// Instruction set in use.
inline std::string isa() { return std::string(bridge::kernel_isa()); }

/// Distances of every query to every row, query after query.
inline std::vector<double> many_to_many(Metric metric, const Rows& queries, const Rows& data) {
    return detail::call([&](auto& failure) {
        std::vector<double> out(queries.rows() * data.rows());
        bridge::many_to_many(static_cast<std::uint8_t>(metric), queries.ref(), data.ref(),
                             detail::slice(out.data(), out.size()), failure);
        return out;
    });
}

template <class C, class T = typename C::value_type>
Rows one(const C& elements) {
    return Rows(dtype_of<T>::value, 1, elements.size(),
                span<const std::uint8_t>(reinterpret_cast<const std::uint8_t*>(elements.data()),
                                         elements.size() * sizeof(T)));
}

/// Distance of two vectors.
template <class A, class B>
double distance(Metric metric, const A& a, const B& b) {
    return many_to_many(metric, one(a), one(b)).at(0);
}

#define TENSORATOM_REDUCE(name, number)                                                                          \
    template <class C>                                                                                           \
    double name(const C& elements) {                                                                             \
        return detail::call([&](auto& failure) { return bridge::reduce(number, one(elements).ref(), failure); }); \
    }
TENSORATOM_REDUCE(sum, 1)
TENSORATOM_REDUCE(mean, 2)
TENSORATOM_REDUCE(min, 5)
TENSORATOM_REDUCE(max, 6)
TENSORATOM_REDUCE(norm_l1, 9)
TENSORATOM_REDUCE(norm, 10)
TENSORATOM_REDUCE(norm_max, 11)
TENSORATOM_REDUCE(log_sum_exp, 12)
#undef TENSORATOM_REDUCE

template <class C>
double variance(const C& elements, std::uint64_t ddof = 0) {
    return detail::call([&](auto& failure) { return bridge::variance(one(elements).ref(), ddof, failure); });
}
template <class C>
std::size_t argmax(const C& elements) {
    return detail::call([&](auto& failure) { return bridge::arg_extreme(one(elements).ref(), true, failure); });
}
template <class C>
std::size_t argmin(const C& elements) {
    return detail::call([&](auto& failure) { return bridge::arg_extreme(one(elements).ref(), false, failure); });
}

/// Indices of the k smallest distances, smallest first.
inline std::vector<std::size_t> top_k(span<const double> distances, std::size_t k) {
    return detail::call([&](auto& failure) {
        const auto found = bridge::top_k(detail::slice(distances.data(), distances.size()), k, failure);
        return std::vector<std::size_t>(found.begin(), found.end());
    });
}

/// Mean of the rows, weighted where weights are given.
inline std::vector<double> centroid(const Rows& rows, span<const double> weights = {}) {
    return detail::call([&](auto& failure) {
        std::vector<double> out(rows.ref().dim);
        bridge::centroid(rows.ref(), detail::slice(weights.data(), weights.size()),
                         detail::slice(out.data(), out.size()), failure);
        return out;
    });
}

namespace detail_ {
inline void run(std::uint8_t what, span<const float> a, span<const float> b, double t, span<float> out) {
    detail::call([&](auto& failure) {
        bridge::elementwise_f32(what, detail::slice(a.data(), a.size()), detail::slice(b.data(), b.size()), t,
                                detail::slice(out.data(), out.size()), failure);
    });
}
inline void run(std::uint8_t what, span<const double> a, span<const double> b, double t, span<double> out) {
    detail::call([&](auto& failure) {
        bridge::elementwise_f64(what, detail::slice(a.data(), a.size()), detail::slice(b.data(), b.size()), t,
                                detail::slice(out.data(), out.size()), failure);
    });
}
}  // namespace detail_

/// Element by element, for vectors of `float` or `double`.
template <class T>
std::vector<T> add(const std::vector<T>& a, const std::vector<T>& b) {
    std::vector<T> out(a.size());
    detail_::run(0, a, b, 0, out);
    return out;
}
template <class T>
std::vector<T> sub(const std::vector<T>& a, const std::vector<T>& b) {
    std::vector<T> out(a.size());
    detail_::run(1, a, b, 0, out);
    return out;
}
template <class T>
std::vector<T> lerp(const std::vector<T>& a, const std::vector<T>& b, double t) {
    std::vector<T> out(a.size());
    detail_::run(2, a, b, t, out);
    return out;
}
template <class T>
std::vector<T> scale(const std::vector<T>& a, double factor) {
    std::vector<T> out(a.size());
    detail_::run(3, a, {}, factor, out);
    return out;
}
template <class T>
std::vector<T> normalize(const std::vector<T>& a) {
    std::vector<T> out(a.size());
    detail_::run(4, a, {}, 0, out);
    return out;
}
template <class T>
std::vector<T> softmax(const std::vector<T>& a) {
    std::vector<T> out(a.size());
    detail_::run(5, a, {}, 0, out);
    return out;
}

/// Floats of one type as another, rounded to nearest even; too large ones become infinite, or saturate.
template <class To, class C, class From = typename C::value_type>
std::vector<To> convert(const C& source, bool saturate = false) {
    return detail::call([&](auto& failure) {
        std::vector<To> out(source.size());
        bridge::convert(detail::bytes_of(span<const From>(source.data(), source.size())),
                        static_cast<std::uint8_t>(dtype_of<From>::value),
                        detail::slice(reinterpret_cast<std::uint8_t*>(out.data()), out.size() * sizeof(To)),
                        static_cast<std::uint8_t>(dtype_of<To>::value), saturate, failure);
        return out;
    });
}

/// Reads a JSON array of numbers.
inline std::vector<float> json_parse(std::string_view text) {
    return detail::call([&](auto& failure) {
        const auto values =
            bridge::json_parse(detail::slice(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()), failure);
        return std::vector<float>(values.begin(), values.end());
    });
}

/// Writes numbers as a JSON array, shortest digits that read back the same. Throws for NaN and infinities.
inline std::string json_write(span<const float> values) {
    return detail::call([&](auto& failure) {
        return std::string(bridge::json_write(detail::slice(values.data(), values.size()), failure));
    });
}

/// Blocks of a GGUF layout (`Q4_0` .. `Q6_K`) as `count` numbers.
inline std::vector<float> gguf_dequantize(std::string_view layout, span<const std::uint8_t> blocks, std::size_t count) {
    return detail::call([&](auto& failure) {
        std::vector<float> out(count);
        bridge::gguf_dequantize(detail::str(layout), detail::slice(blocks.data(), blocks.size()),
                                detail::slice(out.data(), out.size()), failure);
        return out;
    });
}

/// int8 codes with a scale, and for affine ones a zero point, per block.
struct Quantized {
    std::vector<std::int8_t> codes;
    std::vector<float> scale;
    std::vector<std::int32_t> zero_point;
    std::size_t block;
};

/// `block` 0 is one scale for everything.
inline Quantized quantize(span<const float> source, bool affine = false, std::size_t block = 0) {
    return detail::call([&](auto& failure) {
        const std::size_t scales = block == 0 ? 1 : source.size() / block + (source.size() % block != 0);
        Quantized q{std::vector<std::int8_t>(source.size()), std::vector<float>(scales),
                    std::vector<std::int32_t>(affine ? scales : 0), block};
        bridge::quantize(detail::slice(source.data(), source.size()), affine, block,
                         detail::slice(q.codes.data(), q.codes.size()), detail::slice(q.scale.data(), q.scale.size()),
                         detail::slice(q.zero_point.data(), q.zero_point.size()), failure);
        return q;
    });
}

inline std::vector<float> dequantize(const Quantized& q) {
    return detail::call([&](auto& failure) {
        std::vector<float> out(q.codes.size());
        bridge::dequantize(detail::slice(q.codes.data(), q.codes.size()), q.block,
                           detail::slice(q.scale.data(), q.scale.size()),
                           detail::slice(q.zero_point.data(), q.zero_point.size()),
                           detail::slice(out.data(), out.size()), failure);
        return out;
    });
}

}  // namespace kernels
}  // namespace tensoratom
