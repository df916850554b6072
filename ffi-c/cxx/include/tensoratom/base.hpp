//! What all of the interface rests on: errors, spans and element types, keys, progress and cancellation, rows of vectors.
#pragma once

#include <chrono>
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

#include "bridge.h"
#include "listener.hpp"

namespace tensoratom {

// ---- errors ----

/// Name and stable number of each kind of error.
#define TENSORATOM_ERROR_KINDS(X)                                                                          \
    X(NotFound, 1) X(AlreadyExists, 2) X(Conflict, 3) X(InvalidArgument, 4) X(InvalidKey, 5)               \
    X(InvalidShape, 6) X(InvalidMetadata, 7) X(Unsupported, 8) X(Forgotten, 9) X(NotAStore, 20)            \
    X(NewerFormat, 21) X(NetworkFileSystem, 22) X(ReadOnly, 23) X(PermissionDenied, 24) X(Busy, 25)        \
    X(Corrupt, 40)                                                                                         \
    X(CatalogCorrupt, 41) X(BadFile, 42) X(Io, 60) X(DiskFull, 61) X(OutOfMemory, 62) X(Poisoned, 63)      \
    X(ColdUnavailable, 64) X(Closed, 80) X(Forked, 81) X(Cancelled, 82) X(Internal, 99)

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

/// Something of the engine that one object alone has, and may have given away.
template <class T>
T& alive(const std::unique_ptr<::rust::Box<T>>& box, const char* what) {
    if (!box) closed(what);
    return **box;
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

// ---- long operations ----

/// Stops long operations, from any thread or at a deadline. Copies share the flag.
class CancelToken {
public:
    CancelToken() : box_(detail::share(bridge::cancel_new())) {}
    /// One that cancels by itself, so long from now.
    explicit CancelToken(std::chrono::milliseconds deadline)
        : box_(detail::share(bridge::cancel_after(
              deadline.count() < 0 ? 0 : static_cast<std::uint64_t>(deadline.count())))) {}
    void cancel() const { detail::alive(box_, "the token").set(); }
    bool is_cancelled() const { return detail::alive(box_, "the token").is_set(); }
    const bridge::Cancel& ref() const { return detail::alive(box_, "the token"); }

private:
    friend struct Control;
    explicit CancelToken(::rust::Box<bridge::Cancel> box) : box_(detail::share(std::move(box))) {}

    std::shared_ptr<::rust::Box<bridge::Cancel>> box_;
};

/// Progress and cancellation, both optional. The function is called from threads of the library, one call at a time;
/// what it throws stops the operation and is thrown by it.
///
/// A call that is cancelled, or whose deadline passes, throws `CancelledError` within a few MiB or milliseconds of work. It has
/// changed nothing then, but for operations that commit in steps, which say so: what they did stays.
struct Control {
    std::function<void(const Progress&)> progress{};
    CancelToken cancel{};

    /// Cancels by itself, so long from now.
    static Control within(std::chrono::milliseconds deadline) { return Control{{}, CancelToken(deadline)}; }
    /// What calls take that are given none: nobody looks, nobody stops them.
    static const Control& none() {
        static const Control control{{}, CancelToken(bridge::cancel_never())};
        return control;
    }
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

// ---- rows ----

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

}  // namespace tensoratom
