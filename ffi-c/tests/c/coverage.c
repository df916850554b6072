/* Options of put, cancelling, tiers, prefixes, geometry, moments, linear algebra: coverage DIRECTORY */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)
#define S(literal) literal, sizeof literal - 1

static char text[512];
static ta_error error = {text, sizeof text, 0};

static ta_key named(const char *name) {
    ta_key key = {0};
    key.name = name, key.name_length = strlen(name);
    return key;
}

static int putting(uint64_t store) {
    uint64_t txn, lsn, length;
    char json[512];
    signed char codes[4] = {1, -2, 3, -4}, back[4];
    uint64_t four = 4, two = 2;
    ta_tensor tensor = {codes, 4, &four, 1, TA_I8};
    float scale[2] = {0.5f, 0.25f};
    ta_encoding encoding = {0};
    encoding.kind = TA_QUANTIZED, encoding.block = 2, encoding.scale = scale, encoding.scale_count = 2;
    ta_key base = named("base"), child = named("child"), missing = named("missing");
    ta_put_options options = {0};
    options.encoding = &encoding, options.metadata = "{\"a\":1}", options.metadata_length = 7;
    options.expect = TA_EXPECT_ABSENT;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put_with(txn, &base, &tensor, &options, 0, &error) == TA_OK);
    CHECK(ta_commit_with(txn, 0, &lsn, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_get_encoding(store, &base, json, sizeof json, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"kind\":\"quantized\"") && strstr(json, "[0.5,0.25]") && strstr(json, "\"block\":2"));

    /* the key is there now; a version that is not the newest; one that is */
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put_with(txn, &base, &tensor, &options, 0, &error) == TA_OK);
    CHECK(ta_commit_with(txn, 0, NULL, &error) == TA_ALREADY_EXISTS && ta_close(txn, &error) == TA_OK);
    options.expect = TA_EXPECT_VERSION, options.expect_lsn = lsn + 7;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put_with(txn, &base, &tensor, &options, 0, &error) == TA_OK);
    CHECK(ta_commit_with(txn, 0, NULL, &error) == TA_CONFLICT && ta_close(txn, &error) == TA_OK);

    /* parents are remembered, and must be there */
    memset(&options, 0, sizeof options);
    options.parents = &base, options.parent_count = 1;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put_with(txn, &child, &tensor, &options, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_query(store, S("SELECT parent_key FROM lineages WHERE key = 'child'"), 9, json, sizeof json, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "[[\"base\"]]"));
    options.parents = &missing;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    int32_t put = ta_put_with(txn, &child, &tensor, &options, 0, &error);
    CHECK(put == TA_NOT_FOUND || (put == TA_OK && ta_commit(txn, NULL, &error) == TA_NOT_FOUND));
    CHECK(ta_close(txn, &error) == TA_OK);
    base.ns = "other", base.ns_length = 5, options.parents = &base;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put_with(txn, &child, &tensor, &options, 0, &error) == TA_INVALID_ARGUMENT);
    options.parents = NULL;
    CHECK(ta_put_with(txn, &child, &tensor, &options, 0, &error) == TA_INVALID_ARGUMENT);
    options.parent_count = 0, options.expect = 9;
    CHECK(ta_put_with(txn, &child, &tensor, &options, 0, &error) == TA_INVALID_ARGUMENT);
    encoding.kind = 9, options.expect = 0, options.encoding = &encoding;
    CHECK(ta_put_with(txn, &child, &tensor, &options, 0, &error) == TA_INVALID_ARGUMENT);

    /* a deadline that has passed, a flag that is set */
    uint64_t cancel;
    base = named("base");
    CHECK(ta_cancel_new(0, &cancel, &error) == TA_OK);
    CHECK(ta_put_with(txn, &child, &tensor, NULL, cancel, &error) == TA_CANCELLED);
    memset(back, 9, sizeof back);
    CHECK(ta_read_with(store, &base, 0, back, 4, cancel, &error) == TA_CANCELLED && back[0] == 9);
    CHECK(ta_commit_with(txn, cancel, &lsn, &error) == TA_CANCELLED && ta_close(txn, &error) == TA_OK);
    CHECK(ta_move_to_tier(store, NULL, 0, NULL, 0, TA_COLD, cancel, json, sizeof json, &length, &error) == TA_CANCELLED);
    CHECK(ta_close(cancel, &error) == TA_OK && ta_cancel_new(UINT64_MAX, &cancel, &error) == TA_OK);
    CHECK(ta_read_with(store, &base, 1, back, 3, cancel, &error) == TA_OK && back[0] == -2);
    CHECK(ta_cancel_set(cancel, &error) == TA_OK);
    CHECK(ta_read_with(store, &base, 1, back, 3, cancel, &error) == TA_CANCELLED);
    CHECK(ta_close(cancel, &error) == TA_OK);

    /* blocks of a layout */
    unsigned char blocks[18] = {0};
    uint64_t elements = 32;
    memset(&encoding, 0, sizeof encoding);
    encoding.kind = TA_BLOCKS, encoding.layout = "Q4_0", encoding.layout_length = 4;
    encoding.block_elements = 32, encoding.block_bytes = 18;
    memset(&options, 0, sizeof options);
    options.encoding = &encoding;
    ta_tensor opaque = {blocks, 18, &elements, 1, TA_OPAQUE};
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put_with(txn, &child, &opaque, &options, 0, &error) == TA_OK);
    opaque.shape = &two;
    CHECK(ta_put_with(txn, &child, &opaque, &options, 0, &error) == TA_INVALID_SHAPE);
    CHECK(ta_close(txn, &error) == TA_OK);
    return 0;
}

static int prefixes(uint64_t store) {
    uint64_t txn, snapshot, list, length, deleted = 9;
    static unsigned char bytes[4096], back[4096];
    uint64_t count = sizeof bytes;
    char json[512];
    ta_info info;
    ta_tensor tensor = {bytes, sizeof bytes, &count, 1, TA_U8};
    ta_key key = named("p/a");
    key.ns = "tenant", key.ns_length = 6;
    CHECK(ta_namespace_create(store, S("tenant"), &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    CHECK(ta_list_in(snapshot, S("tenant"), S("p/"), &list, &error) == TA_OK);
    CHECK(ta_list_next(list, &info, json, sizeof json, &length, &error) == TA_OK && !memcmp(json, "\"p/a\"", length));
    CHECK(ta_list_next(list, &info, json, sizeof json, &length, &error) == TA_NOT_FOUND);
    CHECK(ta_close(list, &error) == TA_OK && ta_list_in(snapshot, S("nobody"), NULL, 0, &list, &error) == TA_NOT_FOUND);
    CHECK(ta_list_in(snapshot, NULL, 0, S("p/"), &list, &error) == TA_OK);
    CHECK(ta_list_next(list, &info, json, sizeof json, &length, &error) == TA_NOT_FOUND && ta_close(list, &error) == TA_OK);
    CHECK(ta_move_to_tier(store, S("tenant"), S("p/"), TA_COLD, 0, json, sizeof json, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"payloads_moved\":1"));
    CHECK(ta_read(store, &key, 0, back, sizeof back, &error) == TA_OK && !memcmp(bytes, back, sizeof back));
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_delete_prefix(txn, NULL, 0, S("p/"), &deleted, &error) == TA_OK && deleted == 0);
    CHECK(ta_delete_prefix(txn, S("tenant"), S("p/"), &deleted, &error) == TA_OK && deleted == 1);
    CHECK(ta_close(txn, &error) == TA_OK && ta_close(snapshot, &error) == TA_OK);
    return 0;
}

static int sets(uint64_t store) {
    uint64_t set, length, txn, parts;
    uint32_t existed = 9;
    char json[1024];
    int64_t ids[3] = {5, 6, 7}, asked[3] = {7, 1, 5};
    float rows[6] = {1, 2, 3, 4, 5, 6}, out[6];
    uint8_t found[3];
    ta_key name = named("set");
    CHECK(ta_vectors_open(store, &name, 2, TA_F32, TA_EUCLIDEAN, &set, &error) == TA_OK);
    CHECK(ta_vectors_append(set, ids, 3, rows, 0, &error) == TA_OK);
    CHECK(ta_vectors_get(set, asked, 3, out, sizeof out, found, &error) == TA_OK);
    CHECK(found[0] == 1 && found[1] == 0 && found[2] == 1);
    CHECK(out[0] == 5 && out[1] == 6 && out[2] == 0 && out[3] == 0 && out[4] == 1 && out[5] == 2);
    CHECK(ta_vectors_get(set, asked, 3, out, sizeof out - 1, NULL, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_vectors_get(set, NULL, 0, NULL, 0, NULL, &error) == TA_OK);
    CHECK(ta_vectors_build_companions(set, 0, &parts, &error) == TA_OK);
    CHECK(ta_vectors_info(set, json, sizeof json, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"vectors\":3") && strstr(json, "\"metric\":\"euclidean\""));
    CHECK(ta_vector_sets(store, NULL, 0, &length, &error) == TA_OK && length > 2);
    CHECK(ta_vector_sets_in(store, S("tenant"), json, sizeof json, &length, &error) == TA_OK && length == 2);
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_txn_vectors_drop(txn, &name, &existed, &error) == TA_OK && existed == 1);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK && ta_close(set, &error) == TA_OK);
    CHECK(ta_vectors_find(store, &name, &set, &error) == TA_NOT_FOUND);
    return 0;
}

static int geometry(void) {
    uint32_t cells[4] = {3, 5, 1, 0}, back[4] = {9, 9, 9, 9};
    uint64_t code;
    CHECK(ta_morton_encode(cells, 2, 3, &code, &error) == TA_OK && code == 39); /* 101 and 011, interleaved */
    CHECK(ta_morton_decode(code, 2, 3, back, &error) == TA_OK && back[0] == 3 && back[1] == 5 && back[2] == 9);
    for (uint32_t axes = 2; axes <= 4; axes++) {
        CHECK(ta_hilbert_encode(cells, axes, 3, &code, &error) == TA_OK);
        CHECK(ta_hilbert_decode(code, axes, 3, back, &error) == TA_OK && !memcmp(cells, back, axes * 4));
    }
    CHECK(ta_morton_encode(cells, 2, 2, &code, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_morton_encode(cells, 5, 2, &code, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_hilbert_decode(UINT64_MAX, 2, 2, back, &error) == TA_INVALID_ARGUMENT);
    double values[3] = {-5, 0.3, 2}, centers[3];
    CHECK(ta_grid_cells(0, 1, 2, values, 3, back, &error) == TA_OK && back[0] == 0 && back[1] == 1 && back[2] == 3);
    CHECK(ta_grid_centers(0, 1, 2, back, 3, centers, &error) == TA_OK && centers[1] == 0.375);
    values[2] = NAN, back[0] = 77;
    CHECK(ta_grid_cells(0, 1, 2, values, 3, back, &error) == TA_INVALID_ARGUMENT && back[0] == 77);
    uint64_t projection;
    float vectors[8] = {1, 2, 3, 4, 2, 4, 6, 8};
    double places[6];
    CHECK(ta_projection_landmarks(4, &projection, &error) == TA_OK);
    CHECK(ta_project(projection, vectors, 8, places, 6, &error) == TA_OK);
    for (int i = 0; i < 3; i++) CHECK(fabs(2 * places[i] - places[i + 3]) < 1e-9);
    CHECK(ta_project(projection, vectors, 7, places, 6, &error) == TA_INVALID_SHAPE);
    CHECK(ta_close(projection, &error) == TA_OK && ta_project(projection, vectors, 8, places, 6, &error) == TA_INVALID_HANDLE);
    CHECK(ta_projection_random(4, 2, 7, &projection, &error) == TA_OK);
    uint64_t dim, axes;
    double axis_of[4];
    CHECK(ta_projection_facts(projection, &dim, &axes, &error) == TA_OK && dim == 4 && axes == 2);
    CHECK(ta_projection_facts(projection, &dim, &dim, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_project(projection, vectors, 4, places, 2, &error) == TA_OK && ta_projection_axis(projection, 1, axis_of, 4, &error) == TA_OK);
    CHECK(fabs(axis_of[0] + 2 * axis_of[1] + 3 * axis_of[2] + 4 * axis_of[3] - places[1]) < 1e-9);
    CHECK(ta_projection_axis(projection, 2, axis_of, 4, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_projection_axis(projection, 1, axis_of, 3, &error) == TA_INVALID_SHAPE);
    CHECK(ta_project(projection, vectors, 8, places, 4, &error) == TA_OK && places[2] == 2 * places[0]);
    CHECK(ta_close(projection, &error) == TA_OK);
    return 0;
}

static int moments(void) {
    double numbers[4] = {1, 2, 3, 6};
    unsigned char a[64], b[64], both[64];
    uint64_t length, other;
    ta_moments found;
    CHECK(ta_moments_push(NULL, 0, TA_F64, 2, numbers, 1, 0, a, sizeof a, &length, &error) == TA_OK && length == 48);
    CHECK(ta_moments_push(NULL, 0, TA_F64, 2, numbers + 2, 1, 0, b, sizeof b, &other, &error) == TA_OK);
    CHECK(ta_moments_merge(a, length, b, other, both, sizeof both, &length, &error) == TA_OK);
    CHECK(ta_moments_finish(both, length, 1, &found, &error) == TA_OK);
    CHECK(found.count == 4 && found.mean == 3 && fabs(found.variance - 14.0 / 3) < 1e-12 && found.min == 1 && found.max == 6);
    CHECK(ta_moments_finish(both, length - 1, 1, &found, &error) == TA_CORRUPT);
    CHECK(ta_moments_merge(a, 48, b, 48, a, 48, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_moments_finish(NULL, 0, 0, &found, &error) == TA_OK && found.count == 0);
    return 0;
}

static int algebra(void) {
    double a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 0, 0, 1, 1, 1}, out[4];
    CHECK(ta_matmul(TA_F64, 2, 3, 2, a, b, out, &error) == TA_OK);
    CHECK(out[0] == 4 && out[1] == 5 && out[2] == 10 && out[3] == 11);
    CHECK(ta_matmul(TA_F64, 2, 3, 2, a, b, a, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_matmul(TA_F16, 2, 3, 2, a, b, out, &error) == TA_UNSUPPORTED);
    CHECK(ta_matmul(TA_F64, UINT64_MAX, 3, 2, a, b, out, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_matmul(TA_F32, 0, 0, 0, NULL, NULL, NULL, &error) == TA_OK);
    double u[4], values[2], vt[6], again[6];
    CHECK(ta_svd(TA_F64, 2, 3, a, 2, u, values, vt, &error) == TA_OK && values[0] > values[1]);
    for (int i = 0; i < 4; i++) u[i] *= values[i % 2];
    CHECK(ta_matmul(TA_F64, 2, 2, 3, u, vt, again, &error) == TA_OK);
    for (int i = 0; i < 6; i++) CHECK(fabs(again[i] - a[i]) < 1e-12);
    CHECK(ta_svd(TA_F64, 2, 3, a, 3, u, values, vt, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_svd(TA_F64, 2, 3, a, 2, u, u, vt, &error) == TA_INVALID_ARGUMENT);
    float points[6] = {0, 0, 3, 4, 6, 8}, mean[2], axis[2], variance[1], scores[3];
    CHECK(ta_pca(TA_F32, 3, 2, points, 1, mean, axis, variance, scores, &error) == TA_OK);
    CHECK(mean[0] == 3 && mean[1] == 4 && fabsf(axis[0] - 0.6f) < 1e-6f && fabsf(variance[0] - 25) < 1e-4f);
    CHECK(fabsf(scores[2] - 5) < 1e-5f);
    CHECK(ta_pca(TA_F32, 3, 2, points, 1, mean, axis, variance, NULL, &error) == TA_OK);
    CHECK(ta_pca(TA_F32, 1, 2, points, 1, mean, axis, variance, NULL, &error) == TA_INVALID_ARGUMENT);
    /* a point that came later, along the axes of those before */
    float center[2] = {1, 1}, axes[2] = {0, 1}, later[4] = {5, 3, 5, 0}, place[2];
    CHECK(ta_pca_transform(TA_F32, 2, 2, later, 1, center, axes, place, &error) == TA_OK && place[0] == 2 && place[1] == -1);
    CHECK(ta_pca_transform(TA_F32, 2, 2, later, 1, center, axes, later, &error) == TA_INVALID_ARGUMENT);
    float x[2] = {2, 3}, sum[2];
    CHECK(ta_fma(x, x, x, TA_F32, 2, sum, &error) == TA_OK && sum[0] == 6 && sum[1] == 12);
    CHECK(ta_fma(x, sum, sum, TA_F32, 2, x, &error) == TA_INVALID_ARGUMENT);
    return 0;
}

/* An output on top of an input: written half way, it changes what is still to be read. */
static int overlaps(uint64_t store) {
    union { double number[8]; float single[16]; int64_t id[8]; uint64_t count[8]; char byte[64]; } m;
    memset(&m, 0, sizeof m);
    CHECK(ta_dot(m.single, m.single + 4, TA_F32, 4, m.number + 1, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_reduce(TA_SUM, m.number, TA_F64, 2, m.number + 1, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_centroid(TA_F64, 1, m.number, 2, 0, m.number + 2, m.number + 3, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_version(m.byte, 64, m.count, &error) == TA_INVALID_ARGUMENT);
    uint64_t set;
    double far[1];
    int64_t id[1];
    uint64_t counts[1];
    ta_key name = named("one");
    ta_search_options options = {0};
    CHECK(ta_vectors_open(store, &name, 1, TA_F64, TA_EUCLIDEAN, &set, &error) == TA_OK);
    CHECK(ta_search(set, m.number, 1, 1, 0, m.id, far, counts, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_search(set, m.number, 1, 1, 0, id, far, m.count, &error) == TA_INVALID_ARGUMENT);
    options.deny = id, options.deny_count = 1;
    CHECK(ta_search_with(set, &options, m.number, 1, 1, 0, id, far, counts, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_search_with(set, NULL, m.number, 1, 1, 0, id, far, counts, &error) == TA_OK);
    return ta_close(set, &error);
}

/* A program that serves many stores has to say how much memory each may take, and which is which. */
static int memory_and_facts(const char *path, uint64_t store) {
    uint64_t again, length, cancel, txn, moved, size = 200000;
    char json[1024];
    static char bytes[200000];
    ta_progress progress = {9, 9, 9, 9};
    ta_key key = named("cached");
    ta_tensor tensor = {bytes, sizeof bytes, &size, 1, TA_U8};
    CHECK(ta_store_facts(store, json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"chunk_bytes\":262144") && strstr(json, "\"is_read_only\":false") && strstr(json, path));
    ta_options options = {0};
    options.flags = TA_OPEN_READ_ONLY;
    CHECK(ta_store_open_with(path, strlen(path), &options, 0, &again, &error) == TA_OK);
    CHECK(ta_store_facts(again, json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"is_read_only\":true") && ta_close(again, &error) == TA_OK);

    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_cancel_new(UINT64_MAX, &cancel, &error) == TA_OK && ta_cancel_progress(cancel, &progress, &error) == TA_OK);
    CHECK(progress.bytes_done == 0 && progress.items_total == 0);
    CHECK(ta_move_to_tier(store, NULL, 0, S("cached"), TA_COLD, cancel, json, sizeof json, &moved, &error) == TA_OK);
    CHECK(ta_cancel_progress(cancel, &progress, &error) == TA_OK && progress.bytes_done == 200000 && progress.bytes_total == 200000);
    CHECK(ta_close(cancel, &error) == TA_OK && ta_cancel_progress(cancel, &progress, &error) == TA_INVALID_HANDLE);

    CHECK(ta_set_decode_cache_bytes(0, &error) == TA_OK && ta_read(store, &key, 0, bytes, 10, &error) == TA_OK);
    CHECK(ta_decode_cache(json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "{\"budget_bytes\":0,\"bytes\":0,\"entries\":0,"));
    CHECK(ta_set_decode_cache_bytes(1 << 24, &error) == TA_OK && ta_read(store, &key, 0, bytes, 10, &error) == TA_OK);
    CHECK(ta_decode_cache(json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"budget_bytes\":16777216,") && strstr(json, "\"entries\":1,"));
    return 0;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    ta_options open = {0};
    open.flags = TA_CREATE | TA_NO_SYNC;
    uint64_t store;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    int failed = putting(store) || prefixes(store) || sets(store) || geometry() || moments() || algebra() || overlaps(store)
        || memory_and_facts(argv[1], store);
    CHECK(ta_close(store, &error) == TA_OK);
    return failed;
}
