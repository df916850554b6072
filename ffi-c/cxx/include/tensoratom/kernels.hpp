//! Vector mathematics over memory of the caller: distances, reductions, arithmetic, conversions, JSON, linear algebra.
#pragma once

#include <array>

#include "base.hpp"

namespace tensoratom {

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

/// Inner product: minus the distance `Metric::dot`.
template <class A, class B>
double dot(const A& a, const B& b) {
    return 0.0 - distance(Metric::dot, a, b);
}
/// 1 - the distance `Metric::cosine`.
template <class A, class B>
double cosine_similarity(const A& a, const B& b) {
    return 1.0 - distance(Metric::cosine, a, b);
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
#define TENSORATOM_RUN(type, bits, function)                                                                            \
    inline void run(std::uint8_t what, span<const type> a, span<const type> b, span<const type> c, double t,            \
                    span<type> out) {                                                                                   \
        const auto in = [](span<const type> s) {                                                                        \
            return detail::slice(reinterpret_cast<const bits*>(s.data()), s.size());                                    \
        };                                                                                                              \
        detail::call([&](auto& failure) {                                                                               \
            bridge::function(what, in(a), in(b), in(c), t,                                                              \
                             detail::slice(reinterpret_cast<bits*>(out.data()), out.size()), failure);                  \
        });                                                                                                             \
    }
TENSORATOM_RUN(float, float, elementwise_f32)
TENSORATOM_RUN(double, double, elementwise_f64)
TENSORATOM_RUN(float16, std::uint16_t, elementwise_f16)
TENSORATOM_RUN(bfloat16, std::uint16_t, elementwise_bf16)
#undef TENSORATOM_RUN

template <class T>
std::vector<T> made(std::uint8_t what, const std::vector<T>& a, span<const T> b, span<const T> c, double t) {
    std::vector<T> out(a.size());
    run(what, a, b, c, t, out);
    return out;
}
}  // namespace detail_

/// Element by element, for vectors of `float`, `double`, `float16` or `bfloat16`.
template <class T>
std::vector<T> add(const std::vector<T>& a, const std::vector<T>& b) {
    return detail_::made<T>(0, a, b, {}, 0);
}
template <class T>
std::vector<T> sub(const std::vector<T>& a, const std::vector<T>& b) {
    return detail_::made<T>(1, a, b, {}, 0);
}
/// `a + t * (b - a)`.
template <class T>
std::vector<T> lerp(const std::vector<T>& a, const std::vector<T>& b, double t) {
    return detail_::made<T>(2, a, b, {}, t);
}
/// `a * b + c` with one rounding.
template <class T>
std::vector<T> fma(const std::vector<T>& a, const std::vector<T>& b, const std::vector<T>& c) {
    return detail_::made<T>(6, a, b, c, 0);
}
template <class T>
std::vector<T> scale(const std::vector<T>& a, double factor) {
    return detail_::made<T>(3, a, {}, {}, factor);
}
template <class T>
std::vector<T> normalize(const std::vector<T>& a) {
    return detail_::made<T>(4, a, {}, {}, 0);
}
template <class T>
std::vector<T> softmax(const std::vector<T>& a) {
    return detail_::made<T>(5, a, {}, {}, 0);
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
/// With `nulls` they are `null`, which `json_parse` does not read back.
inline std::string json_write(span<const float> values, bool nulls = false) {
    return detail::call([&](auto& failure) {
        return std::string(bridge::json_write(detail::slice(values.data(), values.size()), nulls, failure));
    });
}

/// BLAKE3-256 of bytes, as payloads are known by.
inline std::array<std::uint8_t, 32> digest(span<const std::uint8_t> bytes) {
    return bridge::digest(detail::slice(bytes.data(), bytes.size()));
}

/// Numbers as blocks of a GGUF layout, `Q8_0` or `Q4_0`, with the bits of ggml's own quantiser. Throws `InvalidShapeError`
/// unless there are whole blocks, `InvalidArgumentError` for NaN and infinities.
inline std::vector<std::uint8_t> gguf_quantize(std::string_view layout, span<const float> values) {
    return detail::call([&](auto& failure) {
        std::vector<std::uint8_t> blocks(bridge::gguf_block_bytes(detail::str(layout), values.size(), failure));
        bridge::gguf_quantize(detail::str(layout), detail::slice(values.data(), values.size()),
                              detail::slice(blocks.data(), blocks.size()), failure);
        return blocks;
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

/// A matrix in C order.
template <class T>
struct Matrix {
    std::size_t rows = 0, cols = 0;
    std::vector<T> values{};
};

/// The product of two matrices of `float` or `double`, on all cores.
template <class T>
Matrix<T> matmul(const Matrix<T>& a, const Matrix<T>& b) {
    static_assert(std::is_same_v<T, float> || std::is_same_v<T, double>, "linear algebra takes float and double");
    if (a.cols != b.rows) tensoratom::detail::raise(6, "InvalidShape", "matmul: a has other columns than b has rows");
    return detail::call([&](auto& failure) {
        Matrix<T> out{a.rows, b.cols, std::vector<T>(a.rows * b.cols)};
        const auto left = detail::slice(a.values.data(), a.values.size());
        const auto right = detail::slice(b.values.data(), b.values.size());
        const auto to = detail::slice(out.values.data(), out.values.size());
        if constexpr (std::is_same_v<T, float>) bridge::matmul_f32(left, right, a.rows, a.cols, b.cols, to, failure);
        else bridge::matmul_f64(left, right, a.rows, a.cols, b.cols, to, failure);
        return out;
    });
}

/// `a ~ u * diag(singular_values) * vt`, the largest singular value first.
template <class T>
struct Svd {
    Matrix<T> u;
    std::vector<T> singular_values;
    Matrix<T> vt;
};

/// The `rank` largest singular values of a matrix, with their vectors. Throws `InvalidArgumentError` for NaN, infinities and a
/// rank not in 1..=min(rows, cols).
template <class T>
Svd<T> svd(const Matrix<T>& a, std::size_t rank) {
    return detail::call([&](auto& failure) {
        ::rust::Vec<T> u, values, vt;
        const auto from = detail::slice(a.values.data(), a.values.size());
        if constexpr (std::is_same_v<T, float>) bridge::svd_f32(from, a.rows, a.cols, rank, u, values, vt, failure);
        else bridge::svd_f64(from, a.rows, a.cols, rank, u, values, vt, failure);
        return Svd<T>{{a.rows, rank, {u.begin(), u.end()}}, {values.begin(), values.end()}, {rank, a.cols, {vt.begin(), vt.end()}}};
    });
}

/// Principal components of observations in rows, those of largest variance first.
template <class T>
struct Pca {
    std::vector<T> mean;
    Matrix<T> components;
    std::vector<T> variances;
    /// The observations in the coordinates of the components; empty unless asked for.
    Matrix<T> scores;
};

/// Coordinates of further observations along components that `pca` found.
template <class T>
Matrix<T> transform(const Pca<T>& found, const Matrix<T>& a) {
    return detail::call([&](auto& failure) {
        const std::size_t count = found.components.rows;
        Matrix<T> scores{a.rows, count, std::vector<T>(a.rows * count)};
        const auto from = detail::slice(a.values.data(), a.values.size());
        const auto mean = detail::slice(found.mean.data(), found.mean.size());
        const auto basis = detail::slice(found.components.values.data(), found.components.values.size());
        const auto to = detail::slice(scores.values.data(), scores.values.size());
        if constexpr (std::is_same_v<T, float>) {
            bridge::pca_transform_f32(from, a.rows, a.cols, mean, basis, count, to, failure);
        } else {
            bridge::pca_transform_f64(from, a.rows, a.cols, mean, basis, count, to, failure);
        }
        return scores;
    });
}

/// The first `count` principal components. Throws as `svd`, and for fewer than two rows.
template <class T>
Pca<T> pca(const Matrix<T>& a, std::size_t count, bool with_scores = false) {
    return detail::call([&](auto& failure) {
        ::rust::Vec<T> mean, components, variances;
        Matrix<T> scores;
        if (with_scores && count <= a.cols) scores = {a.rows, count, std::vector<T>(a.rows * count)};
        const auto from = detail::slice(a.values.data(), a.values.size());
        const auto to = detail::slice(scores.values.data(), scores.values.size());
        if constexpr (std::is_same_v<T, float>) {
            bridge::pca_f32(from, a.rows, a.cols, count, mean, components, variances, to, failure);
        } else {
            bridge::pca_f64(from, a.rows, a.cols, count, mean, components, variances, to, failure);
        }
        return Pca<T>{{mean.begin(), mean.end()}, {count, a.cols, {components.begin(), components.end()}},
                      {variances.begin(), variances.end()}, std::move(scores)};
    });
}

}  // namespace kernels

}  // namespace tensoratom
