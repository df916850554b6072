/* Atoms and vector sets as a transaction sees them and as a moment had them; ids, companions, compaction, filters of rows:
   views DIRECTORY */
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)
#define S(literal) literal, sizeof literal - 1

static char text[512], json[4096];
static ta_error error = {text, sizeof text, 0};
static uint64_t length;

static ta_key named(const char *name) {
    ta_key key = {0};
    key.name = name, key.name_length = strlen(name);
    return key;
}

/* Whoever cannot read what was staged keeps a second copy of all that a transaction does. */
static int staged(uint64_t store) {
    uint64_t txn, lsn, first, snapshot, bytes, mapping, two = 2;
    float numbers[2] = {1.5f, -2}, more[2] = {7, 8}, back[2];
    ta_tensor tensor = {numbers, 8, &two, 1, TA_F32};
    ta_key key = named("a/staged"), other = named("a/other");
    ta_info info;
    const void *data = NULL;
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &other, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, &first, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, S("{\"n\":1}"), &error) == TA_OK);
    CHECK(ta_read(store, &key, 0, back, 8, &error) == TA_NOT_FOUND);
    CHECK(ta_read(txn, &key, 0, back, 8, &error) == TA_OK && back[1] == -2);
    CHECK(ta_get_info(txn, &key, &info, &error) == TA_OK && info.lsn == 0 && info.bytes == 8);
    CHECK(ta_get_info(txn, &other, &info, &error) == TA_OK && info.lsn == first);
    CHECK(ta_get_metadata(txn, &key, json, sizeof json, &length, &error) == TA_OK && length == 7);
    CHECK(ta_read_f32(txn, &key, back, 2, 0, &error) == TA_OK && back[0] == 1.5f);
    CHECK(ta_map(txn, &key, 0, 8, &data, &bytes, &mapping, &error) == TA_INVALID_HANDLE && !data);
    tensor.data = more;
    CHECK(ta_put(txn, &other, &tensor, NULL, 0, &error) == TA_OK && ta_delete(txn, &key, NULL, &error) == TA_OK);
    CHECK(ta_read(txn, &other, 4, back, 4, &error) == TA_OK && back[0] == 8);
    CHECK(ta_read(txn, &key, 0, back, 8, &error) == TA_NOT_FOUND);
    CHECK(ta_commit(txn, &lsn, &error) == TA_OK && ta_read(txn, &other, 0, back, 8, &error) == TA_INVALID_HANDLE);
    CHECK(ta_close(txn, &error) == TA_OK);
    CHECK(ta_snapshot(store, TA_AS_OF_LSN, first, &snapshot, &error) == TA_OK);
    CHECK(ta_snapshot_lsn(snapshot, &lsn, &error) == TA_OK && lsn == first);
    CHECK(ta_read_f32(snapshot, &other, back, 2, 0, &error) == TA_OK && back[0] == 1.5f);
    CHECK(ta_read_f32(snapshot, &other, back, 1, 0, &error) == TA_INVALID_SHAPE);
    return ta_close(snapshot, &error);
}

/* Codes are of no use to whoever has to take their scales out of JSON. */
static int coded(uint64_t store) {
    uint64_t txn, four = 4;
    int8_t codes[4] = {1, -2, 3, -4};
    float scale[2] = {0.5f, 0.25f}, back[4];
    ta_key key = named("codes");
    ta_tensor tensor = {codes, 4, &four, 1, TA_I8};
    ta_encoding encoding = {0};
    encoding.kind = TA_QUANTIZED, encoding.block = 2, encoding.scale = scale, encoding.scale_count = 2;
    ta_put_options options = {0};
    options.encoding = &encoding;
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put_with(txn, &key, &tensor, &options, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_read_f32(store, &key, back, 4, 0, &error) == TA_OK);
    CHECK(back[0] == 0.5f && back[1] == -1 && back[2] == 0.75f && back[3] == -1);
    return 0;
}

/* A long list that begins anew with each request of a user is read to its end once for each page. */
static int pages(uint64_t store) {
    uint64_t txn, snapshot, list, one = 1;
    char names[5][4] = {"p/0", "p/1", "p/2", "p/3", "p/4"};
    ta_tensor tensor = {names, 1, &one, 1, TA_U8};
    ta_info info;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    for (int i = 0; i < 5; i++) {
        ta_key key = named(names[i]);
        CHECK(ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    }
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    ta_key after = named("p/25"); /* is not there */
    CHECK(ta_list_after(snapshot, NULL, 0, S("p/"), &after, &list, &error) == TA_OK);
    CHECK(ta_list_next(list, &info, json, sizeof json, &length, &error) == TA_OK && length == 5 && !memcmp(json, "\"p/3\"", 5));
    CHECK(ta_list_next(list, &info, json, sizeof json, &length, &error) == TA_OK && json[3] == '4');
    CHECK(ta_list_next(list, &info, json, sizeof json, &length, &error) == TA_NOT_FOUND && ta_close(list, &error) == TA_OK);
    CHECK(ta_list_after(snapshot, NULL, 0, S("p/"), NULL, &list, &error) == TA_OK);
    CHECK(ta_list_next(list, &info, json, sizeof json, &length, &error) == TA_OK && json[3] == '0' && ta_close(list, &error) == TA_OK);
    return ta_close(snapshot, &error);
}

/* A search that sees each commit at once cannot be repeated; one of a moment can. */
static int sets(uint64_t store) {
    uint64_t set, same, snapshot, old, txn, inside, count, dim, parts, counts[1];
    uint32_t dtype, metric;
    int64_t ids[3] = {5, 6, 7}, found[4], listed[4] = {0};
    float rows[3] = {10, 20, 30}, query = 0, back[2];
    double far[4];
    uint8_t there[2];
    ta_key name = named("set");
    CHECK(ta_vectors_open(store, &name, 1, TA_F32, TA_EUCLIDEAN, &set, &error) == TA_OK);
    CHECK(ta_vectors_with_companions(set, 3, &same, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_vectors_with_companions(set, TA_COMPANIONS_NEVER, &same, &error) == TA_OK && same != set);
    CHECK(ta_vectors_append(same, ids, 3, rows, 0, &error) == TA_OK && ta_close(same, &error) == TA_OK);
    CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    CHECK(ta_vectors_view(snapshot, &name, &old, &error) == TA_OK && ta_close(snapshot, &error) == TA_OK);
    CHECK(ta_vectors_delete(set, ids, 1, &count, &error) == TA_OK && count == 1);

    CHECK(ta_vectors_count(old, &count, &error) == TA_OK && count == 3);
    CHECK(ta_vectors_count(set, &count, &error) == TA_OK && count == 2);
    CHECK(ta_vectors_ids(set, NULL, 0, &length, &error) == TA_OK && length == 2);
    CHECK(ta_vectors_ids(set, listed, 1, &length, &error) == TA_BUFFER_TOO_SMALL && length == 2 && listed[0] == 0);
    CHECK(ta_vectors_ids(set, listed, 4, &length, &error) == TA_OK && listed[0] == 6 && listed[1] == 7);
    CHECK(ta_vectors_ids(old, listed, 4, &length, &error) == TA_OK && length == 3 && listed[0] == 5);
    CHECK(ta_vectors_facts(old, &dim, &dtype, &metric, &error) == TA_OK && dim == 1 && dtype == TA_F32 && metric == TA_EUCLIDEAN);
    CHECK(ta_vectors_info(old, json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"vectors\":3") && strstr(json, "\"companion_rows\":0"));
    CHECK(ta_search(old, &query, 1, 4, 0, found, far, counts, &error) == TA_OK && counts[0] == 3 && found[0] == 5);
    CHECK(ta_vectors_get(old, ids, 2, back, 8, there, &error) == TA_OK && there[0] == 1 && back[0] == 10);
    CHECK(ta_vectors_append(old, ids, 1, rows, 0, &error) == TA_INVALID_HANDLE);
    CHECK(ta_vectors_compact(old, 0, &parts, &error) == TA_INVALID_HANDLE);
    ta_search_options options = {0};
    options.flags = TA_SEARCH_FULL_SCAN;
    CHECK(ta_search_with(set, &options, &query, 1, 4, 0, found, far, counts, &error) == TA_OK && counts[0] == 2 && found[0] == 6);

    /* what a transaction added is searched before it is committed, and is nobody else's */
    ids[0] = 4, rows[0] = 1;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_txn_vectors_append(txn, &name, TA_F32, 1, ids, 1, rows, 0, &error) == TA_OK);
    CHECK(ta_vectors_view(txn, &name, &inside, &error) == TA_OK);
    CHECK(ta_search(inside, &query, 1, 1, 0, found, far, counts, &error) == TA_OK && found[0] == 4 && far[0] == 1);
    CHECK(ta_search(set, &query, 1, 1, 0, found, far, counts, &error) == TA_OK && found[0] == 6);
    /* what was staged and taken back is written over by others: it must not be taken for damage */
    CHECK(ta_close(txn, &error) == TA_OK && ta_vectors_facts(inside, &dim, &dtype, &metric, &error) == TA_INVALID_HANDLE);
    CHECK(ta_search(inside, &query, 1, 1, 0, found, far, counts, &error) == TA_INVALID_HANDLE && strstr(text, "transaction"));
    CHECK(ta_close(inside, &error) == TA_OK);
    ta_key missing = named("missing");
    CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    CHECK(ta_vectors_view(snapshot, &missing, &inside, &error) == TA_NOT_FOUND);
    CHECK(ta_vectors_view(store, &name, &inside, &error) == TA_INVALID_HANDLE);

    CHECK(ta_vectors_compact_with(set, 2, 0, 1 << 20, 0, &parts, &error) == TA_OK && parts == 0);
    CHECK(ta_vectors_compact_with(set, 0, 0, 1 << 20, 0, &parts, &error) == TA_OK && parts == 1);
    CHECK(ta_search(old, &query, 1, 4, 0, found, far, counts, &error) == TA_OK && counts[0] == 3 && found[0] == 5);
    CHECK(ta_close(old, &error) == TA_OK && ta_close(set, &error) == TA_OK);
    return ta_close(snapshot, &error);
}

/* Rows of a stored matrix that a user may not see have to stay out of the answer, not to be taken out of it. */
static int matrix(uint64_t store) {
    uint64_t txn, snapshot, counts[1], shape[2] = {3, 1};
    float rows[3] = {1, 2, 3}, query = 0;
    int64_t ids[3], deny[1] = {0};
    double far[3];
    ta_key key = named("rows");
    ta_tensor tensor = {rows, sizeof rows, shape, 2, TA_F32};
    ta_search_options options = {0};
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    options.deny = deny, options.deny_count = 1, options.flags = TA_SEARCH_DISTANCE_MAX, options.distance_max = 2;
    CHECK(ta_search_matrix_with(snapshot, &key, TA_EUCLIDEAN, &options, &query, 1, 3, 0, ids, far, counts, &error) == TA_OK);
    CHECK(counts[0] == 1 && ids[0] == 1 && far[0] == 2);
    CHECK(ta_search_matrix_with(snapshot, &key, TA_EUCLIDEAN, NULL, &query, 1, 3, 0, ids, far, counts, &error) == TA_OK);
    CHECK(counts[0] == 3 && ids[0] == 0);
    CHECK(ta_search_matrix_with(snapshot, &key, TA_EUCLIDEAN, &options, &query, 1, 3, 0, deny, far, counts, &error) == TA_INVALID_ARGUMENT);
    return ta_close(snapshot, &error);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    ta_options open = {0};
    open.flags = TA_CREATE_NEW | TA_NO_SYNC;
    uint64_t store;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    int failed = staged(store) || coded(store) || pages(store) || sets(store) || matrix(store);
    CHECK(ta_close(store, &error) == TA_OK);
    CHECK(failed || ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_ALREADY_EXISTS);
    return failed;
}
