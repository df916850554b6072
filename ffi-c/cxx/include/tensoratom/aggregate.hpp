//! Aggregates over vectors as states that travel: rows in, bytes out and in, merged, a value at the end.
#pragma once

#include "base.hpp"

namespace tensoratom {

/// The value of an aggregate: `rows` rows of `dim` numbers, and one number beside each row (weight of a cluster, variance along
/// a component, else the weight of all rows). One row but for these: `variance` has the mean and the variance, `covariance` as
/// many as there are dimensions, `k_means` one per cluster, `pca` the mean and then the components, `random_projection` one per
/// row that was kept.
struct Aggregated {
    std::size_t rows, dim;
    std::vector<double> values, beside;
};

/// The state of an aggregate. Only moves; `clone` copies it. For one thread at a time.
class Aggregate {
public:
    /// `kind` is a name and its parameters: `count`, `sum`, `mean`, `variance ddof=0`, `min`, `max`,
    /// `geometric_median points=4096`, `covariance ddof=0`, `k_means k=8 points=4096 seed=0`, `pca components=2`, `log_sum_exp`,
    /// `random_projection axes=16 seed=0 points=4096`. Those left out have these values; `k` and `axes` have none.
    explicit Aggregate(std::string_view kind)
        : Aggregate(detail::call([&](auto& failure) { return bridge::aggregate_new(detail::str(kind), failure); })) {}
    /// Makes a state of exported bytes, its kind included. Throws `CorruptError`, or `NewerFormatError`.
    static Aggregate import_state(span<const std::uint8_t> bytes) {
        return detail::call([&](auto& failure) {
            return Aggregate(bridge::aggregate_import(detail::slice(bytes.data(), bytes.size()), failure));
        });
    }

    /// Takes rows of floats or small integers, each with a weight where weights are given. All or none, but for
    /// `OutOfMemoryError`.
    void push(const Rows& rows, span<const double> weights = {}) {
        detail::call([&](auto& failure) {
            self().aggregate_push(rows.ref(), detail::slice(weights.data(), weights.size()), failure);
        });
    }
    /// Takes in all rows of another state of the same kind and parameters, which stays as it is.
    void merge(const Aggregate& other) {
        detail::call([&](auto& failure) { self().aggregate_merge(other.self(), failure); });
    }
    /// The state as bytes, for any machine: at most 128 MiB and 76 bytes.
    std::vector<std::uint8_t> export_state() const {
        return detail::call([&](auto& failure) {
            const auto bytes = self().aggregate_export(failure);
            return std::vector<std::uint8_t>(bytes.begin(), bytes.end());
        });
    }
    /// The value so far; nothing where too few rows were taken. The state stays as it is.
    std::optional<Aggregated> finish() const {
        return detail::call([&](auto& failure) {
            const auto v = self().aggregate_finish(failure);
            std::optional<Aggregated> out;
            if (v.has_value) {
                out = Aggregated{v.rows, v.dim, {v.values.begin(), v.values.end()}, {v.beside.begin(), v.beside.end()}};
            }
            return out;
        });
    }
    /// Rows taken; those of weight 0 are not.
    std::uint64_t count() const { return self().aggregate_count(); }
    /// Forgets all rows, and the dimension; the kind stays.
    void reset() { self().aggregate_reset(); }
    Aggregate clone() const {
        return detail::call([&](auto& failure) { return Aggregate(self().aggregate_clone(failure)); });
    }

private:
    explicit Aggregate(::rust::Box<bridge::State> box)
        : box_(std::make_unique<::rust::Box<bridge::State>>(std::move(box))) {}
    bridge::State& self() const { return detail::alive(box_, "the aggregate"); }

    std::unique_ptr<::rust::Box<bridge::State>> box_;
};

/// Count, mean, variance and extremes of numbers: a state of 48 bytes, taken in parts and put together.
class Moments {
public:
    Moments() = default;
    /// Of bytes that `bytes` gave. Throws `CorruptError` for others.
    explicit Moments(span<const std::uint8_t> bytes) { *this = merged({}, bytes); }

    /// Adds every element of rows.
    void push(const Rows& rows) {
        state_ = detail::call([&](auto& failure) {
            const auto made = bridge::moments_push(detail::bytes_of(span<const std::uint8_t>(state_)), rows.ref(), failure);
            return std::vector<std::uint8_t>(made.begin(), made.end());
        });
    }
    void merge(const Moments& other) { *this = merged(state_, other.state_); }
    const std::vector<std::uint8_t>& bytes() const noexcept { return state_; }

    std::uint64_t count() const { return finish(0).count; }
    /// NaN of nothing.
    double mean() const { return finish(0).mean; }
    /// With the divisor count - ddof; NaN where it is not positive.
    double variance(std::uint64_t ddof = 0) const { return finish(ddof).variance; }
    /// Infinity of nothing, and minus infinity.
    double min() const { return finish(0).min; }
    double max() const { return finish(0).max; }

private:
    static Moments merged(span<const std::uint8_t> a, span<const std::uint8_t> b) {
        return detail::call([&](auto& failure) {
            const auto made =
                bridge::moments_merge(detail::slice(a.data(), a.size()), detail::slice(b.data(), b.size()), failure);
            Moments out;
            out.state_.assign(made.begin(), made.end());
            return out;
        });
    }
    bridge::MomentsValue finish(std::uint64_t ddof) const {
        return detail::call([&](auto& failure) {
            return bridge::moments_finish(detail::slice(state_.data(), state_.size()), ddof, failure);
        });
    }

    std::vector<std::uint8_t> state_;
};

}  // namespace tensoratom
