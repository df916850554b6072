//! Tests of the C++ classes. Each says what would have gone wrong; the driver in `cpp.rs` builds and runs them.
#include <tensoratom.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <random>
#include <thread>

namespace ta = tensoratom;

static std::string root;
static int failures = 0;

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            std::printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
            ++failures;                                                           \
        }                                                                         \
    } while (0)

#define THROWS(type, expression)                                                        \
    do {                                                                                \
        bool thrown = false;                                                            \
        try {                                                                           \
            static_cast<void>(expression);                                              \
        } catch (const ta::type& error) {                                               \
            thrown = std::strlen(error.what()) > 0 && error.name() + "Error" == #type; \
        }                                                                               \
        if (!thrown) {                                                                  \
            std::printf("%s:%d: %s should throw " #type "\n", __FILE__, __LINE__, #expression); \
            ++failures;                                                                 \
        }                                                                               \
    } while (0)

static std::string fresh(const char* name) { return root + "/" + name; }

// A type whose number or size differs from the engine's would be stored as another one.
static void every_type_comes_back_as_it_went() {
    ta::Store store(fresh("types"));
    const auto round_trip = [&](auto sample) {
        using T = decltype(sample);
        std::vector<T> put(6);
        for (std::size_t i = 0; i < put.size() * sizeof(T); ++i) reinterpret_cast<unsigned char*>(put.data())[i] = static_cast<unsigned char>(i * 37);
        store.put("t", {2, 3}, put);
        const auto view = store.get("t").view<T>();
        CHECK(view.size() == 6 && view.shape() == (std::vector<std::uint64_t>{2, 3}));
        CHECK(std::memcmp(view.data(), put.data(), 6 * sizeof(T)) == 0);
        CHECK(reinterpret_cast<std::uintptr_t>(view.data()) % 64 == 0);
    };
    round_trip(double{});
    round_trip(float{});
    round_trip(ta::float16{});
    round_trip(ta::bfloat16{});
    round_trip(std::int64_t{});
    round_trip(std::int32_t{});
    round_trip(std::int16_t{});
    round_trip(std::int8_t{});
    round_trip(std::uint64_t{});
    round_trip(std::uint32_t{});
    round_trip(std::uint16_t{});
    round_trip(std::uint8_t{});
    const std::vector<std::uint8_t> raw{1, 0, 1};
    for (const auto dtype : {ta::DType::f8e4m3, ta::DType::f8e5m2, ta::DType::boolean}) {
        auto txn = store.begin();
        txn.put_bytes(7, dtype, {3}, raw);
        txn.commit();
        CHECK(store.get(7).info().dtype == dtype && store.get(7).bytes().data()[2] == 1);
    }
    auto txn = store.begin();
    txn.put_bytes("bits", ta::DType::b1, {3, 8}, raw);
    txn.put("scalar", {}, std::vector<float>{4});
    txn.put("empty", {0, 9}, std::vector<float>{});
    txn.commit();
    CHECK(store.get("bits").size_bytes() == 3);
    CHECK(store.get("scalar").view<float>()[0] == 4 && store.get("empty").view<float>().size() == 0);
}

// A caller that cannot tell kinds apart retries what will never succeed.
static void errors_have_their_kind_and_class() {
    ta::Store store(fresh("errors"));
    THROWS(NotFoundError, store.get("missing"));
    THROWS(InvalidKeyError, store.get(""));
    THROWS(InvalidShapeError, store.put("a", {3}, std::vector<float>{1}));
    THROWS(InvalidMetadataError, store.put("a", {1}, std::vector<float>{1}, {"[1]", false}));
    THROWS(InvalidArgumentError, store.get(std::string("\xff\xfe")));
    THROWS(InvalidArgumentError, store.query("DELETE FROM atoms"));
    store.put("a", {1}, std::vector<float>{1}, {R"({"layer": 3})", false});
    THROWS(UnsupportedError, store.get("a").view<double>());
    THROWS(AlreadyExistsError, store.put("a", {1}, std::vector<float>{1}, {{}, true}));
    THROWS(NotFoundError, store.name_space("nobody"));
    ta::Options cold;
    cold.cold_directory = fresh("slow");
    CHECK(ta::Store(fresh("with-cold"), cold).verify().is_complete());
    cold.cold_directory = fresh("other");
    THROWS(InvalidArgumentError, ta::Store(fresh("with-cold"), cold));
    ta::Options open;
    open.mode = ta::Options::Mode::open;
    THROWS(NotAStoreError, ta::Store(root, open));
    try {
        store.get("missing");
    } catch (const ta::Error& error) {
        CHECK(error.number() == 1 && error.kind() == ta::ErrorKind::NotFound && error.key() == "missing");
    }
    CHECK(store.get("a").info().metadata == std::string(R"({"layer": 3})"));
}

// A view into a map that went with its store would be read after it was unmapped.
static void views_outlive_their_store() {
    std::optional<ta::TensorView<float>> kept;
    std::optional<ta::Atom> atom;
    {
        ta::Store store(fresh("views"));
        store.put("w", {100000}, std::vector<float>(100000, 2.5f));
        kept = store.get("w").view<float>();
        atom = store.get("w");
    }
    const auto copy = *kept;
    kept.reset();
    CHECK(std::all_of(copy.begin(), copy.end(), [](float f) { return f == 2.5f; }));
    CHECK(copy.bytes().is_mapped());
    const ta::span<const float> span = copy;
    CHECK(span.size() == 100000 && span[99999] == 2.5f);
    CHECK(atom->range(4, 8).size() == 4);
}

// An object that was moved from would call into nothing.
static void objects_moved_from_are_closed() {
    ta::Store store(fresh("moved"));
    auto first = store.begin();
    auto second = std::move(first);
    THROWS(ClosedError, first.erase("x"));
    second.put("x", {1}, std::vector<float>{1});
    second.commit();
    THROWS(ClosedError, second.commit());
    ta::Atom atom = store.get("x");
    ta::Atom other = std::move(atom);
    THROWS(ClosedError, atom.bytes());
    CHECK(other.bytes().size() == 4);
    auto gone = std::move(store);
    THROWS(ClosedError, store.get("x"));
    CHECK(gone.exists("x"));
}

// A writer that borrowed a transaction since destroyed or committed would write into freed memory.
static void writers_stream_and_hold_their_transaction() {
    ta::Store store(fresh("writers"));
    auto txn = store.begin();
    {
        auto writer = txn.write_rows("rows", ta::DType::f32, {4});
        THROWS(UnsupportedError, txn.commit());
        for (int i = 0; i < 1000; ++i) writer.append(std::vector<float>(4, static_cast<float>(i)));
        writer.finish();
        THROWS(ClosedError, writer.finish());
    }
    { auto given_up = txn.write("never", ta::DType::u8, {1 << 20}); }
    txn.commit();
    CHECK(store.get("rows").info().shape == (std::vector<std::uint64_t>{1000, 4}));
    CHECK(store.get("rows").view_rows<float>(999, 1000)[3] == 999);
    CHECK(!store.exists("never"));
    std::optional<ta::Writer> orphan;
    {
        auto lost = store.begin();
        orphan.emplace(lost.write("orphan", ta::DType::u8, {3}));
    }
    orphan->append(std::vector<std::uint8_t>{1, 2, 3});
    orphan->finish();
    CHECK(!store.exists("orphan"));
}

// Changes that leak out of a transaction, a snapshot or a namespace are seen by those who must not.
static void transactions_snapshots_and_namespaces_keep_to_themselves() {
    ta::Store store(fresh("txns"));
    const auto lsn = store.put("a", {1}, std::vector<float>{1});
    const auto before = store.snapshot();
    auto txn = store.begin();
    txn.put("a", {1}, std::vector<float>{2});
    txn.put(-5, {1}, std::vector<float>{3});
    CHECK(txn.get("a").view<float>()[0] == 2 && store.get("a").view<float>()[0] == 1);
    txn.commit();
    CHECK(store.get("a").view<float>()[0] == 2 && before.get("a").view<float>()[0] == 1);
    CHECK(store.snapshot_at(lsn).list().size() == 1);
    { store.begin().erase("a"); }
    const auto all = store.list();
    CHECK(all.size() == 2 && all[0].number == -5 && all[1].name == std::string("a"));
    auto tenant = store.create_namespace("tenant");
    tenant.put("b", {1}, std::vector<float>{4});
    CHECK(!store.exists("b") && tenant.exists("b") && !tenant.exists("a") && tenant.list().size() == 1);
    CHECK(store.name_space("tenant").get("b").view<float>()[0] == 4);
    CHECK(store.erase("a") && !store.erase("a"));
    txn = store.begin();
    txn.rename(-5, "five");
    CHECK(txn.commit() == store.lsn() && store.exists("five") && !store.exists(-5));
    CHECK(store.name_spaces().size() == 2 && store.uuid().size() == 32);
}

// An approximate or misordered answer is wrong without anybody noticing.
static void search_equals_brute_force() {
    ta::Store store(fresh("search"));
    const std::size_t dim = 32, n = 2000, k = 10;
    std::mt19937 random(7);
    std::normal_distribution<float> normal;
    std::vector<float> data(n * dim), queries(3 * dim);
    for (auto& x : data) x = normal(random);
    for (auto& x : queries) x = normal(random);
    std::vector<std::int64_t> ids(n);
    for (std::size_t i = 0; i < n; ++i) ids[i] = static_cast<std::int64_t>(i) * 3;
    auto set = store.vectors("words", dim, ta::DType::f32, ta::Metric::sqeuclidean);
    set.append(ids, ta::Rows(dim, data));
    CHECK(set.size() == n && set.dim() == dim && set.contains(3) && !set.contains(4));
    THROWS(NotFoundError, store.vectors("nothing"));
    THROWS(InvalidShapeError, set.search(ta::Rows(5, std::vector<float>(5)), 1));
    const auto found = set.search(ta::Rows(dim, queries), k);
    const auto all = ta::kernels::many_to_many(ta::Metric::sqeuclidean, ta::Rows(dim, queries), ta::Rows(dim, data));
    CHECK(found.size() == 3);
    for (std::size_t q = 0; q < found.size(); ++q) {
        const ta::span<const double> distances(all.data() + q * n, n);
        const auto best = ta::kernels::top_k(distances, k);
        CHECK(found[q].size() == k);
        for (std::size_t i = 0; i < k; ++i) {
            CHECK(found[q][i].id == ids[best[i]] && found[q][i].distance == distances[best[i]]);
        }
    }
    ta::SearchOptions options;
    options.deny = {found[0][0].id};
    CHECK(set.search(ta::Rows(dim, queries), 1, options)[0][0].id == found[0][1].id);
    options.allow = std::vector<std::int64_t>{};
    CHECK(set.search(ta::Rows(dim, queries), 1, options)[0].empty());
    store.put("matrix", {n, dim}, data);
    options = {};
    options.metric = ta::Metric::sqeuclidean;
    CHECK(store.snapshot().search("matrix", ta::Rows(dim, queries), 1, options)[0][0].id * 3 == found[0][0].id);
    CHECK(set.erase(ids) == n && set.size() == 0);
}

// Swapped arguments or a wrong function behind a name give plausible numbers.
static void kernels_compute_what_their_names_say() {
    namespace k = ta::kernels;
    const std::vector<float> a{3, 4}, b{1, 0};
    CHECK(k::distance(ta::Metric::dot, a, b) == -3 && k::distance(ta::Metric::manhattan, a, b) == 6);
    CHECK(k::sum(a) == 7 && k::mean(a) == 3.5 && k::min(a) == 3 && k::max(a) == 4);
    CHECK(k::norm(a) == 5 && k::norm_l1(a) == 7 && k::norm_max(a) == 4 && k::variance(a) == 0.25);
    CHECK(k::argmax(a) == 1 && k::argmin(a) == 0);
    CHECK(k::add(a, b) == (std::vector<float>{4, 4}) && k::sub(a, b) == (std::vector<float>{2, 4}));
    CHECK(k::fma(a, a, b) == (std::vector<float>{10, 16}) && k::dot(a, b) == 3 && k::cosine_similarity(a, a) == 1);
    const auto narrow = k::convert<ta::float16>(a);
    CHECK(k::convert<float>(k::add(narrow, narrow)) == (std::vector<float>{6, 8}));
    CHECK(k::convert<float>(k::scale(k::convert<ta::bfloat16>(a), 0.5)) == (std::vector<float>{1.5, 2}));
    CHECK(k::scale(a, 2) == (std::vector<float>{6, 8}) && k::lerp(a, b, 1) == b);
    CHECK(k::softmax(std::vector<double>{1, 1}) == (std::vector<double>{0.5, 0.5}));
    CHECK(k::normalize(std::vector<double>{0, 2}) == (std::vector<double>{0, 1}));
    CHECK(k::centroid(ta::Rows(1, a)) == (std::vector<double>{3.5}));
    THROWS(InvalidShapeError, k::distance(ta::Metric::dot, a, std::vector<float>(3)));
    THROWS(InvalidShapeError, k::add(a, std::vector<float>(3)));
    const auto half = k::convert<ta::float16>(a);
    CHECK(half[0].bits == 0x4200 && k::convert<float>(half) == a);
    CHECK(k::convert<ta::bfloat16>(a)[1].bits == 0x4080);
    const auto back = k::dequantize(k::quantize(a, true, 1));
    CHECK(back.size() == 2 && back[0] > 2.98f && back[0] < 3.02f);
    CHECK(!k::isa().empty());
}

// A callback whose exception crossed the engine would end the process.
static void long_operations_report_and_stop() {
    ta::Store store(fresh("files"));
    store.put("a", {1 << 16}, std::vector<float>(1 << 16, 1));
    const auto file = fresh("out.safetensors"), again = fresh("again.safetensors");
    std::atomic<int> calls{0};
    ta::Control control;
    control.progress = [&](const ta::Progress&) { ++calls; };
    CHECK(store.export_file(file, "", control).atoms == 1 && calls > 0);
    ta::Store copy(fresh("files2"));
    CHECK(copy.import_file(file, "m/").atoms == 1);
    CHECK(copy.export_file(again, "m/").header_kept);
    const auto text = [](const std::string& path) {
        std::ifstream in(path, std::ios::binary);
        return std::string(std::istreambuf_iterator<char>(in), {});
    };
    CHECK(text(file) == text(again) && !text(file).empty());
    control.progress = [](const ta::Progress&) { throw std::logic_error("enough"); };
    bool mine = false;
    try {
        copy.import_file(file, "n/", control);
    } catch (const std::logic_error& error) {
        mine = std::string(error.what()) == "enough";
    }
    CHECK(mine && copy.list("n/").empty());
    ta::Control cancelled;
    cancelled.cancel.cancel();
    THROWS(CancelledError, store.verify("", cancelled));
    CHECK(store.verify().is_sound() && store.verify().atoms_checked == 1);
    const auto stat = store.stat();
    std::uint64_t sum = 0;
    for (const auto& part : stat.parts) sum += part.bytes;
    CHECK(stat.atoms == 1 && sum > 0);
    const auto answer = copy.query("SELECT key FROM atoms");
    CHECK(answer.columns.size() == 1 && answer.values.size() == 1 && std::string(answer.values[0].text) == "m/a");
}

// Damage returned as data is the one thing a store must not do.
static void damage_is_an_error_of_kind_corrupt() {
    const auto path = fresh("damage");
    const std::string pattern = "a pattern that is nowhere else in the file, 64 bytes long, or so";
    {
        ta::Store store(path);
        store.put("w", {pattern.size()}, std::vector<std::uint8_t>(pattern.begin(), pattern.end()));
    }
    const auto file = path + "/segments/00000001.seg";
    std::fstream segment(file, std::ios::in | std::ios::out | std::ios::binary);
    std::string head(1 << 20, '\0');
    segment.read(&head[0], static_cast<std::streamsize>(head.size()));
    segment.clear();
    const auto at = head.find(pattern);
    CHECK(at != std::string::npos);
    segment.seekp(static_cast<std::streamoff>(at));
    segment.put('A');
    segment.close();
    ta::Store store(path);
    THROWS(CorruptError, store.get("w").bytes());
    CHECK(store.verify().damaged.size() == 1);
}

// Shared state without a lock shows up under threads that open, write, read and search at once.
static void threads_share_a_store() {
    const auto path = fresh("threads");
    ta::Store store(path);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            ta::Store mine(path);
            for (int i = 0; i < 25; ++i) {
                const float value = static_cast<float>(t * 100 + i);
                mine.put(t * 100 + i, {2}, std::vector<float>{value, value});
                if (mine.get(t * 100 + i).view<float>()[1] != value) ++wrong;
            }
        });
    }
    for (auto& thread : threads) thread.join();
    CHECK(wrong == 0 && store.list().size() == 100);
}

// What one process commits and another does not see is lost to it.
static void two_processes_share_a_store(const char* self) {
    const auto path = fresh("processes");
    ta::Store store(path);
    store.put("mine", {1}, std::vector<float>{1});
    const pid_t child = fork();
    if (child == 0) {
        execl(self, self, "--child", path.c_str(), static_cast<char*>(nullptr));
        _exit(9);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(store.get("yours").view<float>()[0] == 2);
}

// Codes without their scale, a child without its parents, a condition that is not heeded: each loses what was meant.
static void puts_keep_encoding_parents_and_condition() {
    ta::Store store(fresh("options"));
    const std::vector<std::int8_t> codes{1, -2, 3, -4};
    ta::PutOptions options;
    options.encoding = ta::Encoding::quantized({0.5f, 0.25f}, {0, 1}, 2);
    options.metadata = "{\"a\":1}";
    auto txn = store.begin();
    txn.put("base", {4}, codes, options);
    const auto lsn = txn.commit();
    const auto info = store.get("base").info();
    CHECK(info.encoding.kind == ta::Encoding::Kind::quantized && info.encoding.block == 2);
    CHECK(info.encoding.scale == (std::vector<float>{0.5f, 0.25f}) && info.encoding.zero_point[1] == 1);
    txn = store.begin();
    auto writer = txn.write("streamed", ta::DType::i8, {4}, options);
    writer.append(codes);
    writer.finish();
    txn.commit();
    CHECK(store.get("streamed").info().encoding.scale == info.encoding.scale);

    ta::PutOptions child;
    child.parents = {ta::Key("base")};
    child.expect_version = lsn;
    txn = store.begin();
    txn.put("base", {4}, codes, child);
    txn.put("child", {4}, codes, [] { ta::PutOptions o; o.parents = {ta::Key("base")}; return o; }());
    txn.commit();
    CHECK(store.query("SELECT 1 FROM lineages WHERE key = 'child' AND parent_key = 'base'").values.size() == 1);
    txn = store.begin();
    txn.put("base", {4}, codes, child);
    THROWS(ConflictError, txn.commit());

    ta::PutOptions blocks;
    blocks.encoding = ta::Encoding::blocks("Q4_0", 32, 18);
    const std::vector<std::uint8_t> block(18);
    txn = store.begin();
    txn.put_bytes("blocks", ta::DType::opaque, {32}, block, blocks);
    txn.commit();
    CHECK(store.get("blocks").info().encoding.layout == "Q4_0");
    CHECK(ta::kernels::gguf_dequantize("Q4_0", block, 32) == std::vector<float>(32));
    THROWS(UnsupportedError, ta::kernels::gguf_dequantize("Q9", block, 32));
}

// Vectors that become visible without the text that belongs to them would be found and lead nowhere.
static void vectors_change_with_their_transaction() {
    ta::Store store(fresh("vectors-txn"));
    const std::vector<std::int64_t> ids{1, 2, 3};
    const std::vector<float> rows{10, 20, 30};
    const ta::Rows matrix(1, rows);
    auto txn = store.begin();
    THROWS(NotFoundError, txn.append_vectors("points", ids, matrix));
    txn.create_vectors("points", 1, ta::DType::f32, ta::Metric::euclidean);
    txn.append_vectors("points", ids, matrix);
    THROWS(AlreadyExistsError, txn.append_vectors("points", ids, matrix));
    txn.put("text", {1}, std::vector<float>{1});
    THROWS(NotFoundError, store.vectors("points"));
    txn.commit();
    auto set = store.vectors("points");
    CHECK(set.size() == 3);
    txn = store.begin();
    CHECK(txn.erase_vectors("points", std::vector<std::int64_t>{1, 9}) == 1);
    txn.upsert_vectors("points", std::vector<std::int64_t>{2}, ta::Rows(1, std::vector<float>{5}));
    txn.commit();
    CHECK(set.size() == 2 && set.search(ta::Rows(1, std::vector<float>{0}), 1)[0][0].id == 2);
    set.build_companions();
    CHECK(set.compact() > 0 && set.compact() == 0 && set.size() == 2);
    txn = store.begin();
    CHECK(txn.drop_vectors("points") && !txn.drop_vectors("points"));
    txn.commit();
    THROWS(NotFoundError, store.vectors("points"));
}

// Digits that do not read back the same would drift with every passage through JSON.
static void json_goes_both_ways() {
    const std::vector<float> values{0.1f, -2.5f, 3e30f};
    CHECK(ta::kernels::json_parse(ta::kernels::json_write(values)) == values);
    CHECK(ta::kernels::json_parse("[]").empty());
    THROWS(InvalidArgumentError, ta::kernels::json_parse("[1,"));
    const std::vector<float> infinite{std::numeric_limits<float>::infinity()};
    THROWS(InvalidArgumentError, ta::kernels::json_write(infinite));
    CHECK(ta::kernels::json_write(infinite, true) == "[null]");
}

// A part of an aggregate that is lost on its way, or counted twice, changes a value that nobody can check by looking.
static void aggregates_travel_and_merge() {
    const std::vector<double> weights{1, 3};
    ta::Aggregate whole("variance ddof=1");
    CHECK(!whole.finish() && whole.count() == 0);
    whole.push(ta::Rows(2, std::vector<float>{1, 10, 3, 10}));
    auto part = whole.clone();
    part.reset();
    part.push(ta::Rows(2, std::vector<float>{5, 40}));
    whole.merge(ta::Aggregate::import_state(part.export_state()));
    const auto value = whole.finish();
    CHECK(whole.count() == 3 && value && value->rows == 2 && value->dim == 2);
    CHECK(value->values == (std::vector<double>{3, 20, 4, 300}) && value->beside == (std::vector<double>{3, 3}));
    ta::Aggregate mean("mean");
    mean.push(ta::Rows(1, std::vector<double>{4, 8}), weights);
    CHECK(mean.finish()->values == (std::vector<double>{7}));
    THROWS(InvalidArgumentError, ta::Aggregate("mode"));
    THROWS(InvalidArgumentError, [&] { mean.merge(whole); }());
    THROWS(InvalidShapeError, [&] { mean.push(ta::Rows(2, std::vector<double>{4, 8})); }());
    THROWS(CorruptError, ta::Aggregate::import_state(std::vector<std::uint8_t>(80)));
    const auto taken = std::move(mean);
    THROWS(ClosedError, mean.count());

    ta::Moments moments, other;
    CHECK(moments.count() == 0);
    moments.push(ta::Rows(2, std::vector<float>{1, 2}));
    other.push(ta::Rows(1, std::vector<float>{6}));
    moments.merge(ta::Moments(other.bytes()));
    CHECK(moments.count() == 3 && moments.mean() == 3 && moments.variance(1) == 7);
    CHECK(moments.min() == 1 && moments.max() == 6 && moments.bytes().size() == 48);
}

// Axes in another order, or a projection that differs from run to run, make an index that finds nothing.
static void geometry_and_linear_algebra_are_those_of_the_engine() {
    namespace c = ta::curve;
    namespace k = ta::kernels;
    CHECK(c::morton_encode({3, 1}, 2) == 7 && c::morton_decode(7, 2, 2) == (std::vector<std::uint32_t>{3, 1}));
    CHECK(c::hilbert_decode(4, 2, 2) == (std::vector<std::uint32_t>{0, 2}) && c::hilbert_encode({0, 2}, 2) == 4);
    THROWS(InvalidArgumentError, c::morton_encode({4, 0}, 2));
    THROWS(InvalidArgumentError, c::hilbert_decode(0, 1000000, 2));
    const ta::Grid grid{-1, 1, 2};
    CHECK(grid.cells({0.0, 7.0}) == (std::vector<std::uint32_t>{2, 3}));
    CHECK(grid.centers({0, 3}) == (std::vector<double>{-0.75, 0.75}));
    const auto random = ta::Projection::random(4, 2, 9);
    const std::vector<float> vectors{1, 2, 3, 4, 0, 0, 0, 0};
    CHECK(random.dim() == 4 && random.axes() == 2 && random.project(vectors).size() == 4);
    CHECK(ta::Projection::random(4, 2, 9).project(vectors) == random.project(vectors));
    CHECK(ta::Projection::landmarks(4).project(vectors).size() == 6);
    THROWS(InvalidShapeError, random.project({1, 2, 3}));
    CHECK(random.axis(1).size() == 4 && std::abs(random.axis(1)[2]) > 0 && random.axis(2).empty());

    const k::Matrix<double> a{2, 2, {3, 0, 0, 2}};
    CHECK(k::matmul(a, a).values == (std::vector<double>{9, 0, 0, 4}));
    const auto parts = k::svd(k::Matrix<float>{2, 2, {3, 0, 0, 2}}, 1);
    CHECK(parts.singular_values.size() == 1 && std::abs(parts.singular_values[0] - 3) < 1e-5f);
    CHECK(parts.u.rows == 2 && parts.vt.cols == 2 && std::abs(parts.vt.values[0] - 1) < 1e-5f);
    const auto axes = k::pca(k::Matrix<double>{3, 2, {0, 1, 2, 1, 4, 1}}, 1, true);
    CHECK(axes.mean == (std::vector<double>{2, 1}) && std::abs(axes.variances[0] - 4) < 1e-12);
    CHECK(axes.scores.rows == 3 && std::abs(std::abs(axes.scores.values[0]) - 2) < 1e-12);
    const auto later = k::transform(axes, k::Matrix<double>{1, 2, {6, 9}});
    CHECK(later.rows == 1 && later.cols == 1 && std::abs(std::abs(later.values[0]) - 4) < 1e-12);
    THROWS(InvalidShapeError, k::transform(axes, k::Matrix<double>{1, 3, {6, 9, 9}}));
    THROWS(InvalidShapeError, k::matmul(a, k::Matrix<double>{1, 2, {1, 1}}));
    std::vector<float> row(32, 1.0f);
    row[5] = -127;
    const auto blocks = k::gguf_quantize("Q8_0", row);
    CHECK(blocks.size() == 34 && k::gguf_dequantize("Q8_0", blocks, 32) == row);
    THROWS(UnsupportedError, k::gguf_quantize("Q6_K", std::vector<float>(256)));
    THROWS(InvalidShapeError, k::gguf_quantize("Q8_0", std::vector<float>(31)));
    CHECK(k::digest({'a', 'b', 'c'})[0] == 0x64 && k::digest({'a', 'b', 'c'})[31] == 0x85);
    THROWS(InvalidArgumentError, k::svd(a, 3));
}

// A move, a pin or a change that reaches another store, namespace or key than was named is found when it is missed.
static void a_store_is_kept_in_shape() {
    const auto path = fresh("upkeep"), slow = fresh("upkeep-slow"), second = fresh("upkeep-second");
    const std::vector<float> numbers(20000, 1.5f);
    CHECK(!ta::version().empty());
    {
        ta::Options options;
        options.hot_bytes = 1 << 20;
        ta::Store store(path, options);
        store.put("m/a", {numbers.size()}, numbers);
        const auto lsn = store.put("b", {1}, std::vector<float>{1});
        auto tenant = store.create_namespace("tenant");
        tenant.put(7, {numbers.size()}, numbers);
        CHECK(store.move_to_tier("m/", ta::Tier::cold)["payloads_moved"] == 1);
        CHECK(store.get("m/a").view<float>()[19999] == 1.5f);
        CHECK(tenant.pin(7) && tenant.pin_prefix("x/") && tenant.unpin_prefix("x/") && store.pin("m/a") && store.unpin("m/a"));
        CHECK(store.tier_policy().find("\"integer\": 7") != std::string::npos && tenant.unpin(7) && !tenant.unpin(7));
        store.set_tier_policy(R"({"min_bytes": 0, "rules": [{"prefix": "m/", "tier": "warm"}]})");
        THROWS(InvalidArgumentError, store.set_tier_policy("{]"));
        const auto plan = store.plan();
        CHECK(plan.moves().size() == 1 && plan.moves()[0].name == "m/a" && plan.moves()[0].to == "warm");
        CHECK(store.apply(ta::TierPlan(plan.to_json()))["payloads_moved"] == 1);
        THROWS(InvalidArgumentError, ta::TierPlan("[]"));
        CHECK(store.maintain()["planned"] == 0);
        ta::GcOptions gc;
        gc.dry_run = true;
        gc.keep_history = std::chrono::seconds(0);
        const auto foreseen = store.gc(gc);
        CHECK(foreseen.findings.empty() && foreseen.unavailable.empty() && foreseen["bytes_freed"] == 0);
        gc.keep_history = std::chrono::seconds(-1);
        THROWS(InvalidArgumentError, store.gc(gc));

        auto txn = store.begin();
        txn.set_metadata("b", R"({"k": 1})");
        CHECK(txn.erase_prefix("m/") == 1 && txn.erase_version("b", 1));
        THROWS(ConflictError, txn.commit());
        txn = store.begin();
        txn.set_metadata("b", R"({"k": 1})");
        txn.commit();
        CHECK(store.get("b").info().metadata == std::string(R"({"k": 1})") && !store.snapshot_at(lsn).get("b").info().metadata);
        CHECK(store.snapshot_at_time(store.get("b").info().created_us).get("b").info().metadata);
        auto changes = store.changes(lsn);
        const auto first = changes.next(1);
        CHECK(first.size() == 1 && first[0].name == std::string("b") && first[0].is_put && changes.next().empty());
        CHECK(store.list("", 1).size() == 1 && store.list("", 9, ta::Key("b")).size() == 1);
        auto set = store.vectors("points", 1);
        set.append({5, 6}, ta::Rows(1, std::vector<float>{50, 60}));
        const auto got = set.get<float>({6, 9});
        CHECK(got.size() == 2 && got[0] == (std::vector<float>{60}) && !got[1]);
        THROWS(UnsupportedError, set.get<double>({6}));
        CHECK(set.info().vectors == 2 && store.vector_sets().size() == 1 && store.vector_sets()[0].name == "points");
        std::vector<std::uint8_t> noise(50000);
        std::mt19937 random(3);
        for (auto& byte : noise) byte = static_cast<std::uint8_t>(random());
        tenant.put("base/x", {noise.size()}, noise);
        noise[9] ^= 1;
        tenant.put("ft/x", {noise.size()}, noise);
        ta::MoveOptions against;
        against.base = "base/";
        CHECK(tenant.move_to_tier("ft/", ta::Tier::cold, against)["deltas"] == 1);
        CHECK(tenant.get("ft/x").view<std::uint8_t>()[9] == noise[9]);
        THROWS(BusyError, ta::set_cold_directory(path, slow));
    }
    CHECK(ta::set_cold_directory(path, slow)["segments_copied"] == 0);
    CHECK(ta::Store(path).move_to_tier("m/", ta::Tier::cold)["payloads_moved"] == 1);
    CHECK(ta::set_cold_directory(path, second)["segments_copied"] >= 1);
    const auto repaired = ta::repair(path, true);
    CHECK(repaired["atoms"] == 5 && repaired["commits_missing"] == 0 && repaired["catalog_rebuilt"] == 1);
    CHECK(ta::Store(path).get("m/a").view<float>()[19999] == 1.5f);
}

// What a transaction added could not be searched, and a search could not be repeated once somebody else committed.
static void moments_and_transactions_are_read_like_the_store() {
    const auto path = fresh("moments"), file = fresh("moments-file");
    ta::Store store(path);
    const auto facts = store.facts();
    CHECK(facts.uuid == store.uuid() && facts.path == path && facts.chunk_bytes == 1 << 18 && !facts.is_read_only);
    CHECK(facts.created_us > 0 && facts.segment_bytes == 1 << 28);
    auto set = store.vectors("points", 1, ta::DType::f32, ta::Metric::euclidean);
    set.with_companions(ta::Companions::always).append({5, 6, 7}, ta::Rows(1, std::vector<float>{10, 20, 30}));
    CHECK(set.info().companion_rows == 3);
    const auto before = store.snapshot();
    set.erase({5});
    auto old = before.vectors("points");
    CHECK(old.size() == 3 && old.dim() == 1 && old.dtype() == ta::DType::f32 && old.contains(5) && !set.contains(5));
    CHECK(old.ids() == (std::vector<std::int64_t>{5, 6, 7}) && set.ids() == (std::vector<std::int64_t>{6, 7}));
    CHECK(old.search(ta::Rows(1, std::vector<float>{0}), 1)[0][0].id == 5 && *old.get<float>({5})[0] == (std::vector<float>{10}));
    THROWS(InvalidArgumentError, old.append({8}, ta::Rows(1, std::vector<float>{1})));
    THROWS(InvalidArgumentError, old.compact());
    THROWS(NotFoundError, before.vectors("none"));
    ta::CompactOptions all;
    all.dead_fraction = 0;
    CHECK(set.compact(all) == 1 && set.size() == 2 && old.size() == 3);
    auto txn = store.begin();
    txn.append_vectors("points", {4}, ta::Rows(1, std::vector<float>{1}));
    CHECK(txn.vectors("points").search(ta::Rows(1, std::vector<float>{0}), 1)[0][0].id == 4 && set.size() == 2);

    ta::PutOptions coded;
    coded.encoding = ta::Encoding::quantized({0.5f});
    txn.put("codes", {2}, std::vector<std::int8_t>{1, -3}, coded);
    CHECK(txn.get("codes").floats() == (std::vector<float>{0.5f, -1.5f}));
    txn.commit();
    CHECK(store.get("codes").floats() == (std::vector<float>{0.5f, -1.5f}));
    THROWS(CancelledError, store.get("codes").floats(ta::Control::within(std::chrono::milliseconds(0))));

    store.put("m/w", {2}, std::vector<float>{1, 2});
    CHECK(store.export_file(file, "m/").atoms == 1);
    auto both = store.begin();
    THROWS(InvalidArgumentError, both.import_file(file, "a/"));
    CHECK(both.import_file(file, "a/", ta::Control::none(), ta::FileFormat::safetensors).lsn == 0);
    CHECK(both.import_file(file, "b/", ta::Control::none(), ta::FileFormat::safetensors).new_bytes == 0);
    CHECK(!store.exists("a/w"));
    both.commit();
    CHECK(store.get("b/w").view<float>()[1] == 2);
    store.snapshot().export_npy("a/w", file);
    CHECK(store.import_file(file, "npy/", ta::Control::none(), ta::FileFormat::npy).atoms == 1);

    ta::set_decode_cache_bytes(1 << 24);
    CHECK(store.move_to_tier("m/", ta::Tier::cold)["payloads_moved"] == 1 && store.get("m/w").view<float>()[0] == 1);
    CHECK(ta::decode_cache()["budget_bytes"] == 1 << 24 && ta::decode_cache()["entries"] >= 1);
}

// A call that does not look at its deadline holds a thread of the host for as long as it likes.
static void calls_end_at_their_deadline() {
    ta::Store store(fresh("deadlines"));
    const std::vector<float> numbers(1 << 20, 1.0f);
    const auto late = ta::Control::within(std::chrono::milliseconds(0));
    const auto soon = ta::Control::within(std::chrono::hours(1));
    CHECK(late.cancel.is_cancelled() && !soon.cancel.is_cancelled());
    ta::PutOptions options;
    options.control = late;
    THROWS(CancelledError, store.put("a", {1 << 20}, numbers, options));
    options.control = soon;
    store.put("a", {1 << 20}, numbers, options);
    const auto atom = store.get("a");
    std::vector<std::uint8_t> target(8 << 18);
    THROWS(CancelledError, atom.bytes(late));
    THROWS(CancelledError, atom.view<float>(late));
    THROWS(CancelledError, atom.read_into(0, target, late));
    CHECK(atom.view<float>(soon)[5] == 1 && atom.view_rows<float>(2, 4, soon).size() == 2);
    THROWS(CancelledError, store.stat(late));
    THROWS(CancelledError, store.query("SELECT 1", 1, late));
    CHECK(store.stat(soon).atoms == 1 && store.query("SELECT 1", 1, soon).values.size() == 1);
    THROWS(CancelledError, store.plan(late));
    THROWS(CancelledError, store.gc({}, late));
    auto txn = store.begin();
    THROWS(CancelledError, txn.erase_prefix("a", late));
    auto writer = txn.write_rows("rows", ta::DType::f32, {4});
    THROWS(CancelledError, writer.append(numbers, late));
    { const auto given_up = std::move(writer); }
    txn.put("b", {1}, std::vector<float>{1});
    THROWS(CancelledError, txn.commit(late));
    CHECK(!store.exists("b"));
    auto set = store.vectors("points", 1);
    THROWS(CancelledError, set.append({1}, ta::Rows(1, std::vector<float>{1}), late));
    THROWS(CancelledError, set.erase({1}, late));
    set.append({1}, ta::Rows(1, std::vector<float>{1}), soon);
    THROWS(CancelledError, set.upsert({1}, ta::Rows(1, std::vector<float>{2}), late));
    set.upsert({1}, ta::Rows(1, std::vector<float>{3}));
    CHECK(set.get<float>({1})[0] == (std::vector<float>{3}));
    ta::SearchOptions search;
    search.control = late;
    THROWS(CancelledError, set.search(ta::Rows(1, std::vector<float>{1}), 1, search));
}

// The header's list of kinds is written by hand; the driver compares this with the engine's.
static int print_kinds() {
#define PRINT(name, number) std::printf("%d %s\n", number, #name);
    TENSORATOM_ERROR_KINDS(PRINT)
    return 0;
}

int main(int argc, char** argv) {
    if (argc == 2 && std::string(argv[1]) == "--kinds") return print_kinds();
    if (argc == 3 && std::string(argv[1]) == "--child") {
        ta::Store store(argv[2]);
        if (store.get("mine").view<float>()[0] != 1) return 1;
        store.put("yours", {1}, std::vector<float>{2});
        return 0;
    }
    if (argc != 2) return 64;
    root = argv[1];
    every_type_comes_back_as_it_went();
    errors_have_their_kind_and_class();
    views_outlive_their_store();
    objects_moved_from_are_closed();
    writers_stream_and_hold_their_transaction();
    transactions_snapshots_and_namespaces_keep_to_themselves();
    search_equals_brute_force();
    kernels_compute_what_their_names_say();
    long_operations_report_and_stop();
    puts_keep_encoding_parents_and_condition();
    vectors_change_with_their_transaction();
    json_goes_both_ways();
    aggregates_travel_and_merge();
    geometry_and_linear_algebra_are_those_of_the_engine();
    moments_and_transactions_are_read_like_the_store();
    a_store_is_kept_in_shape();
    calls_end_at_their_deadline();
    damage_is_an_error_of_kind_corrupt();
    threads_share_a_store();
    two_processes_share_a_store(argv[0]);
    std::printf("%d failures\n", failures);
    return failures == 0 ? 0 : 1;
}
