//! Stores three vectors and finds the one nearest to a query. Argument: directory of the store.
#include <tensoratom.hpp>

#include <cstdio>

int main(int argc, char** argv) {
    if (argc != 2) return 64;
    try {
        tensoratom::Store store(argv[1]);
        auto words = store.vectors("words", 2);
        words.upsert({7, 8, 9}, tensoratom::Rows(2, std::vector<float>{1, 0, 0, 1, 0.6f, 0.8f}));
        const auto answers = words.search(tensoratom::Rows(2, std::vector<float>{0, 2}), 2);
        for (const auto& near : answers[0]) {
            std::printf("%lld %.3f\n", static_cast<long long>(near.id), near.distance);
        }
    } catch (const tensoratom::Error& error) {
        std::fprintf(stderr, "%s (%s)\n", error.what(), error.name().c_str());
        return 1;
    }
}
