//! What keeps a store in shape and tells what happened to it: reports, plans of tiers, reclaiming, changes, repair.
#pragma once

#include <map>

#include "base.hpp"

namespace tensoratom {

/// What an operation on a whole store did.
struct Report {
    /// Counts and sums of bytes by name, say `payloads_moved`, `bytes_freed`, `atoms`.
    std::map<std::string, std::uint64_t> counts;
    /// Sentences about what could not be done, such as segments that damage keeps.
    std::vector<std::string> findings;
    /// Why what lies in the cold directory was left as it is; empty while it is there.
    std::string unavailable;

    std::uint64_t operator[](const std::string& name) const { return counts.at(name); }
};

namespace detail {
inline Report report(const bridge::Report& from) {
    Report out;
    for (const auto& fact : from.facts) out.counts.emplace(std::string(fact.name), fact.value);
    for (const auto& finding : from.findings) out.findings.emplace_back(std::string(finding));
    out.unavailable = std::string(from.unavailable);
    return out;
}
}  // namespace detail

/// Where copies of payloads lie: raw on local disk, or coded.
enum class Tier : std::uint8_t { warm = 2, cold = 3 };

/// One payload that a policy wants to move.
struct TierMove {
    /// Namespace, empty for the default one, and one of its names.
    std::string name_space, name;
    /// BLAKE3-256 in hexadecimal.
    std::string digest;
    std::uint64_t bytes, stored_bytes;
    /// Tiers and reason in words.
    std::string from, to, reason;
    /// The key it may be coded against; empty for none.
    std::string base;
};

/// What payloads may be coded against when they move to cold.
struct MoveOptions {
    /// The atoms of the same name below this prefix, where that makes them clearly smaller.
    std::optional<std::string> base{};
    /// Whether what was made from something else is coded against it (a parent, an earlier version); nothing leaves it to the
    /// policy.
    std::optional<bool> deltas{};

    bridge::MoveOptions ref() const {
        return {base.has_value(), ::rust::String(base.value_or("")), deltas.has_value(), deltas.value_or(false)};
    }
};

/// Moves that a policy asks for. Copies share it.
class TierPlan {
public:
    explicit TierPlan(::rust::Box<bridge::Plan> box) : box_(detail::share(std::move(box))) {}
    /// Reads what `to_json` gave.
    explicit TierPlan(std::string_view json)
        : TierPlan(detail::call([&](auto& failure) { return bridge::plan_of_json(detail::str(json), failure); })) {}

    std::vector<TierMove> moves() const {
        std::vector<TierMove> out;
        for (const auto& m : ref().plan_moves()) {
            out.push_back({std::string(m.name_space), std::string(m.name), std::string(m.digest), m.bytes, m.stored_bytes,
                           std::string(m.from), std::string(m.to), std::string(m.reason), std::string(m.base)});
        }
        return out;
    }
    std::string to_json() const {
        return detail::call([&](auto& failure) { return std::string(ref().plan_to_json(failure)); });
    }
    const bridge::Plan& ref() const { return detail::alive(box_, "the plan"); }

private:
    std::shared_ptr<::rust::Box<bridge::Plan>> box_;
};

/// What to reclaim.
struct GcOptions {
    /// Gives up history older than this; nothing keeps all of it.
    std::optional<std::chrono::duration<double>> keep_history{};
    /// Segments are rewritten from this share of dead bytes on.
    double dead_share = 0.25;
    /// Changes nothing, and reports what would be done.
    bool dry_run = false;

    bridge::GcOptions ref() const {
        return {!keep_history.has_value(), keep_history ? keep_history->count() : 0.0, dead_share, dry_run};
    }
};

/// One change of an atom.
struct Change {
    std::uint64_t lsn;
    /// Exactly one of the two is set.
    std::optional<std::string> name;
    std::optional<std::int64_t> number;
    /// Put; deleted otherwise.
    bool is_put;
};

/// Changes in the order of commits and keys, read piece by piece. Only moves; for one thread at a time.
class Changes {
public:
    explicit Changes(::rust::Box<bridge::Changes> box)
        : box_(std::make_unique<::rust::Box<bridge::Changes>>(std::move(box))) {}

    /// The next ones, at most `count`; none at the end.
    std::vector<Change> next(std::size_t count = 1024) {
        return detail::call([&](auto& failure) {
            std::vector<Change> out;
            for (const auto& row : detail::alive(box_, "the list of changes").next_changes(count, failure)) {
                Change change{row.lsn, {}, {}, row.is_put};
                if (row.key.is_name) change.name = std::string(row.key.name);
                else change.number = row.key.number;
                out.push_back(std::move(change));
            }
            return out;
        });
    }

private:
    std::unique_ptr<::rust::Box<bridge::Changes>> box_;
};

/// Version of the library, say `0.1.0`.
inline std::string version() { return std::string(bridge::version()); }

/// What the cache of decoded cold payloads holds and did, for all stores of this process: budget_bytes, bytes, entries, hits,
/// misses.
inline Report decode_cache() { return detail::report(bridge::decode_cache()); }

/// Sets how many bytes of decoded cold payloads this process keeps, all stores together; 0 keeps none. Takes effect at once.
/// Without it an eighth of the memory, at most 1 GiB. What views show is not counted.
inline void set_decode_cache_bytes(std::uint64_t budget) { bridge::set_decode_cache_bytes(budget); }

/// Repairs a store that nobody has open. `rebuild_catalog` makes its catalog anew from the segments; `without_cold` does so
/// although the cold directory is away.
inline Report repair(const std::string& path, bool rebuild_catalog = false, bool without_cold = false,
                     const Control& control = Control::none()) {
    return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
        return detail::report(
            bridge::repair(detail::path(path), rebuild_catalog, without_cold, listener, cancel, failure));
    });
}

/// Gives a store that nobody has open a cold directory, or moves the one it has: copied, synced, read back, switched over, then
/// deleted. A relative directory starts in the store. Cancelled or failed, the store goes on with the one it had.
inline Report set_cold_directory(const std::string& path, const std::string& directory,
                                 const Control& control = Control::none()) {
    return detail::controlled(control, [&](auto& listener, auto& cancel, auto& failure) {
        return detail::report(
            bridge::set_cold_directory(detail::path(path), detail::path(directory), listener, cancel, failure));
    });
}

}  // namespace tensoratom
