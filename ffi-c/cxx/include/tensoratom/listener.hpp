//! The callback of long operations, as the engine calls it. Applications use `tensoratom::Control`.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <utility>

namespace tensoratom {

/// How far a long operation is.
struct Progress {
    std::uint64_t bytes_done;
    std::uint64_t bytes_total;
    std::uint64_t items_done;
    std::uint64_t items_total;
};

namespace bridge {

/// Hands progress to a function, one call at a time. What the function throws is kept, and stops the operation.
class Listener {
public:
    explicit Listener(std::function<void(const Progress&)> function) : function_(std::move(function)) {}

    /// Called from threads of the engine. False once the function has thrown.
    bool report(std::uint64_t bytes_done, std::uint64_t bytes_total, std::uint64_t items_done,
                std::uint64_t items_total) const noexcept {
        if (!function_) return true;
        try {
            const std::lock_guard<std::mutex> lock(mutex_);
            if (thrown_) return false;
            try {
                function_(Progress{bytes_done, bytes_total, items_done, items_total});
            } catch (...) {
                thrown_ = std::current_exception();
                return false;
            }
            return true;
        } catch (...) {
            return false;
        }
    }

    /// Throws what the function threw, if it did. After the operation.
    void rethrow() const {
        if (thrown_) std::rethrow_exception(thrown_);
    }

private:
    std::function<void(const Progress&)> function_;
    mutable std::mutex mutex_;
    mutable std::exception_ptr thrown_;
};

}  // namespace bridge
}  // namespace tensoratom
