//! Coordinates that may be stored and indexed: projections of vectors, space-filling curves, grids.
#pragma once

#include "base.hpp"

namespace tensoratom {

/// A projection of vectors onto axes that never change. Copies share it; may be used from several threads at once.
class Projection {
public:
    /// Onto three orthonormal axes, the same everywhere.
    static Projection landmarks(std::size_t dim) {
        return detail::call([&](auto& failure) { return Projection(bridge::projection_landmarks(dim, failure)); });
    }
    /// Onto directions of random signs, the same for the same seed everywhere.
    static Projection random(std::size_t dim, std::size_t axes, std::uint64_t seed) {
        return detail::call([&](auto& failure) { return Projection(bridge::projection_random(dim, axes, seed, failure)); });
    }

    std::size_t dim() const { return self().projection_dim(); }
    std::size_t axes() const { return self().projection_axes(); }
    /// The direction of an axis, counted from 0; nothing past the last.
    std::vector<double> axis(std::size_t index) const {
        const auto found = self().projection_axis(index);
        return {found.begin(), found.end()};
    }
    /// Coordinates of vectors, row after row. Throws `InvalidShapeError` unless there are whole vectors.
    std::vector<double> project(span<const float> vectors) const {
        return detail::call([&](auto& failure) {
            std::vector<double> out(vectors.size() / dim() * axes());
            self().project(detail::slice(vectors.data(), vectors.size()), detail::slice(out.data(), out.size()), failure);
            return out;
        });
    }

private:
    explicit Projection(::rust::Box<bridge::Projection> box) : box_(detail::share(std::move(box))) {}
    const bridge::Projection& self() const { return detail::alive(box_, "the projection"); }

    std::shared_ptr<::rust::Box<bridge::Projection>> box_;
};

/// Codes of points with 2, 3 or 4 cell numbers of `bits` bits each, at most 64 bits together. Throw `InvalidArgumentError` for
/// what has more.
namespace curve {

namespace detail_ {
inline std::uint64_t encode(bool is_hilbert, span<const std::uint32_t> cells, std::uint32_t bits) {
    return detail::call([&](auto& failure) {
        return bridge::curve_encode(is_hilbert, detail::slice(cells.data(), cells.size()), bits, failure);
    });
}
inline std::vector<std::uint32_t> decode(bool is_hilbert, std::uint64_t code, std::size_t axes, std::uint32_t bits) {
    return detail::call([&](auto& failure) {
        std::vector<std::uint32_t> cells(axes < 5 ? axes : 5);
        bridge::curve_decode(is_hilbert, code, bits, detail::slice(cells.data(), cells.size()), failure);
        return cells;
    });
}
}  // namespace detail_

/// Bit `b` of axis `a` becomes bit `b * axes + a`.
inline std::uint64_t morton_encode(span<const std::uint32_t> cells, std::uint32_t bits) {
    return detail_::encode(false, cells, bits);
}
inline std::vector<std::uint32_t> morton_decode(std::uint64_t code, std::size_t axes, std::uint32_t bits) {
    return detail_::decode(false, code, axes, bits);
}
/// Place on the Hilbert curve, on which neighbours are neighbours in space.
inline std::uint64_t hilbert_encode(span<const std::uint32_t> cells, std::uint32_t bits) {
    return detail_::encode(true, cells, bits);
}
inline std::vector<std::uint32_t> hilbert_decode(std::uint64_t code, std::size_t axes, std::uint32_t bits) {
    return detail_::decode(true, code, axes, bits);
}

}  // namespace curve

/// 2^bits cells from `min` to `max`, the same along every axis.
struct Grid {
    double min, max;
    std::uint32_t bits;

    /// Cells of coordinates; what lies outside falls into the first or the last. Throws `InvalidArgumentError` for NaN.
    std::vector<std::uint32_t> cells(span<const double> values) const {
        return detail::call([&](auto& failure) {
            std::vector<std::uint32_t> out(values.size());
            bridge::grid_cells({min, max, bits}, detail::slice(values.data(), values.size()),
                               detail::slice(out.data(), out.size()), failure);
            return out;
        });
    }
    /// Coordinates in the middle of cells.
    std::vector<double> centers(span<const std::uint32_t> cells) const {
        return detail::call([&](auto& failure) {
            std::vector<double> out(cells.size());
            bridge::grid_centers({min, max, bits}, detail::slice(cells.data(), cells.size()),
                                 detail::slice(out.data(), out.size()), failure);
            return out;
        });
    }
};

}  // namespace tensoratom
