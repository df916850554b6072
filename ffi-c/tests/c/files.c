/* Streams, metadata, files in and out, repair, reports; and every call that may be long, ended by a deadline: files DIRECTORY */
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)
#define S(literal) literal, sizeof literal - 1

static char text[512], json[8192];
static ta_error error = {text, sizeof text, 0};
static uint64_t length;

static ta_key named(const char *name) {
    ta_key key = {0};
    key.name = name, key.name_length = strlen(name);
    return key;
}

/* 600,000 bytes in pieces; sets a cancel handle, if there is one, after the second. */
struct feed { uint64_t at, cancel; int calls; };

static int64_t give(void *context, uint8_t *buffer, uint64_t capacity) {
    struct feed *feed = context;
    uint64_t count = 600000 - feed->at < capacity ? 600000 - feed->at : capacity;
    for (uint64_t i = 0; i < count; i++) buffer[i] = (uint8_t)((feed->at + i) % 251);
    feed->at += count;
    if (++feed->calls == 2 && feed->cancel) ta_cancel_set(feed->cancel, NULL);
    return (int64_t)count;
}

/* Calls into the transaction that it gives bytes to, from inside: a wait for itself would never end. */
struct inside { uint64_t txn; int32_t found[3]; };

static int64_t reenter(void *context, uint8_t *buffer, uint64_t capacity) {
    struct inside *inside = context;
    uint32_t existed;
    ta_key key = named("stream");
    (void)capacity;
    if (inside->found[0]) return 0;
    inside->found[0] = ta_delete(inside->txn, &key, &existed, NULL);
    inside->found[1] = ta_commit(inside->txn, NULL, NULL);
    inside->found[2] = ta_read(inside->txn, &key, 0, buffer, 1, NULL);
    buffer[0] = buffer[1] = 5;
    return 2;
}

static int64_t refuse(void *context, uint8_t *buffer, uint64_t capacity) {
    (void)context, (void)buffer, (void)capacity;
    return -1;
}

static int streams(uint64_t store) {
    uint64_t txn, cancel, shape[2] = {UINT64_MAX, 2}, bytes, mapping, lsn;
    static uint8_t back[1000];
    ta_info info;
    ta_key key = named("stream"), moved = named("moved");
    struct feed feed = {0, 0, 0};
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put_stream(txn, &key, TA_U8, shape, 2, S("{\"by\":\"c\"}"), refuse, NULL, &error) == TA_CANCELLED);
    struct inside inside = {txn, {0, 0, 0}};
    ta_key self = named("self");
    CHECK(ta_put_stream(txn, &self, TA_U8, shape, 2, NULL, 0, reenter, &inside, &error) == TA_OK);
    for (int i = 0; i < 3; i++) CHECK(inside.found[i] == TA_INVALID_ARGUMENT);
    CHECK(ta_delete(txn, &self, NULL, &error) == TA_OK);
    CHECK(ta_put_stream(txn, &key, TA_U8, shape, 2, S("{\"by\":\"c\"}"), give, &feed, &error) == TA_OK);
    /* given up in the middle: the transaction goes on without it */
    CHECK(ta_cancel_new(UINT64_MAX, &cancel, &error) == TA_OK);
    struct feed stopped = {0, cancel, 0};
    ta_put_options options = {0};
    options.expect = TA_EXPECT_ABSENT;
    ta_key other = named("other");
    CHECK(ta_put_stream_with(txn, &other, TA_U8, shape, 2, &options, give, &stopped, cancel, &error) == TA_CANCELLED);
    CHECK(stopped.calls == 2);
    /* of coded elements, with a condition */
    ta_encoding encoding = {0};
    float scale = 0.5f;
    encoding.kind = TA_QUANTIZED, encoding.scale = &scale, encoding.scale_count = 1;
    options.encoding = &encoding;
    struct feed codes = {0, 0, 0};
    CHECK(ta_put_stream_with(txn, &other, TA_I8, shape, 1, &options, give, &codes, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, &lsn, &error) == TA_OK && ta_close(txn, &error) == TA_OK && ta_close(cancel, &error) == TA_OK);
    CHECK(ta_get_info(store, &key, &info, &error) == TA_OK && info.shape[0] == 300000 && info.bytes == 600000 && info.lsn == lsn);
    CHECK(ta_get_encoding(store, &other, json, sizeof json, &length, &error) == TA_OK && strstr(json, "quantized"));
    CHECK(ta_get_metadata(store, &key, json, sizeof json, &length, &error) == TA_OK && length == 10 && !memcmp(json, "{\"by\":\"c\"}", 10));
    const void *data;
    CHECK(ta_map_with(store, &key, 500, 1000, 0, &data, &bytes, &mapping, &error) == TA_OK && bytes == 1000);
    CHECK(ta_read(store, &key, 500, back, 1000, &error) == TA_OK && !memcmp(back, data, 1000) && back[2] == 0);
    CHECK(ta_close(mapping, &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_rename(txn, &key, &moved, &error) == TA_OK);
    CHECK(ta_set_metadata(txn, &moved, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, &lsn, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_get_metadata(store, &moved, NULL, 0, &length, &error) == TA_OK && length == 0);
    CHECK(ta_get_info(store, &key, &info, &error) == TA_NOT_FOUND);
    uint64_t newest;
    CHECK(ta_store_lsn(store, &newest, &error) == TA_OK && newest == lsn);
    return 0;
}

static int files(uint64_t store, const char *directory) {
    char path[1024];
    uint64_t txn, atoms, lsn;
    float weights[2] = {1.5f, -2};
    uint64_t two = 2;
    ta_tensor tensor = {weights, 8, &two, 1, TA_F32};
    ta_key key = named("model/w"), again = named("again/w");
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    snprintf(path, sizeof path, "%s.safetensors", directory);
    CHECK(ta_export(store, path, strlen(path), S("model/"), 0, &atoms, &error) == TA_OK && atoms == 1);
    CHECK(ta_import(store, path, strlen(path), S("again/"), 0, &lsn, &error) == TA_OK && lsn > 0);
    float back[2];
    CHECK(ta_read(store, &again, 0, back, 8, &error) == TA_OK && back[0] == 1.5f && back[1] == -2);
    CHECK(ta_import(store, S("/nowhere/at/all.safetensors"), S(""), 0, &lsn, &error) == TA_IO);

    /* A file that lands among the atoms of another tenant would be read by the wrong one. */
    CHECK(ta_import_in(store, S("tenant"), path, strlen(path), S("in/"), 0, &lsn, &error) == TA_NOT_FOUND);
    CHECK(ta_namespace_create(store, S("tenant"), &error) == TA_OK);
    CHECK(ta_import_in(store, S("tenant"), path, strlen(path), S("in/"), 0, &lsn, &error) == TA_OK);
    ta_key inside = named("in/w");
    CHECK(ta_read(store, &inside, 0, back, 8, &error) == TA_NOT_FOUND);
    inside.ns = "tenant", inside.ns_length = 6;
    CHECK(ta_read(store, &inside, 0, back, 8, &error) == TA_OK && back[1] == -2);
    CHECK(ta_export_in(store, S("tenant"), path, strlen(path), S("in/"), 0, &atoms, &error) == TA_OK && atoms == 1);

    /* Two shards of a model that appear one after the other are half a model in between. */
    uint64_t snapshot;
    char plain[1024], array[1024];
    ta_key early = named("both/a/w"), late = named("both/b/w");
    snprintf(plain, sizeof plain, "%s.weights", directory);
    snprintf(array, sizeof array, "%s.npy", directory);
    CHECK(rename(path, plain) == 0 && ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_import_with(txn, NULL, 0, plain, strlen(plain), S("both/a/"), TA_FORMAT_BY_NAME, 0, json, sizeof json, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_import_with(txn, NULL, 0, plain, strlen(plain), S("both/a/"), 9, 0, json, sizeof json, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_import_with(txn, NULL, 0, plain, strlen(plain), S("both/a/"), TA_FORMAT_SAFETENSORS, 0, json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"atoms\":1,") && strstr(json, "\"payload_bytes\":8,") && strstr(json, "\"lsn\":0}"));
    CHECK(ta_import_with(txn, NULL, 0, plain, strlen(plain), S("both/b/"), TA_FORMAT_SAFETENSORS, 0, json, sizeof json, &length, &error) == TA_OK);
    CHECK(ta_read(store, &early, 0, back, 8, &error) == TA_NOT_FOUND && ta_read(txn, &early, 0, back, 8, &error) == TA_OK);
    CHECK(ta_commit(txn, &lsn, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_read(store, &early, 0, back, 8, &error) == TA_OK && ta_read(store, &late, 0, back, 8, &error) == TA_OK);
    CHECK(ta_import_with(store, S("tenant"), plain, strlen(plain), S("alone/"), TA_FORMAT_SAFETENSORS, 0, json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"new_bytes\":0,") && !strstr(json, "\"lsn\":0}"));

    /* as of a moment, of one file, and as another program reads it */
    CHECK(ta_export_with(snapshot, NULL, 0, path, strlen(path), S("both/"), NULL, 0, 0, json, sizeof json, &length, &error) == TA_NOT_FOUND);
    CHECK(ta_export_with(store, NULL, 0, path, strlen(path), S("both/b/"), NULL, 0, 0, json, sizeof json - 1, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"atoms\":1,") && strstr(json, "\"header_kept\":true}"));
    CHECK(ta_export_with(store, S("tenant"), path, strlen(path), S("alone/"), S("none.safetensors"), 0, json, sizeof json, &length, &error) != TA_OK);
    CHECK(ta_export_with(txn, NULL, 0, path, strlen(path), S("both/"), NULL, 0, 0, json, sizeof json, &length, &error) == TA_INVALID_HANDLE);
    CHECK(ta_export_npy(store, &early, array, strlen(array), &error) == TA_OK);
    CHECK(ta_export_npy(snapshot, &early, array, strlen(array), &error) == TA_NOT_FOUND);
    CHECK(ta_import_with(store, NULL, 0, array, strlen(array), S("npy/"), TA_FORMAT_NPY, 0, json, sizeof json, &length, &error) == TA_OK);
    CHECK(ta_close(snapshot, &error) == TA_OK && remove(plain) == 0 && remove(array) == 0);
    return remove(path);
}

static int reports(uint64_t store) {
    uint64_t txn;
    ta_key key = named("inside");
    uint8_t byte = 1;
    ta_tensor tensor = {&byte, 1, NULL, 0, TA_U8};
    CHECK(ta_namespace_create(store, S("tenant"), &error) == TA_OK);
    CHECK(ta_namespaces(store, json, sizeof json, &length, &error) == TA_OK && length == 13 && !memcmp(json, "[\"\",\"tenant\"]", 13));
    key.ns = "tenant", key.ns_length = 6;
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_verify(store, NULL, 0, 0, json, sizeof json, &length, &error) == TA_OK && strstr(json, "\"is_sound\":true"));
    CHECK(ta_verify_in(store, S("tenant"), NULL, 0, 0, json, sizeof json, &length, &error) == TA_OK);
    json[length] = 0;
    CHECK(strstr(json, "\"atoms_checked\":3,") && strstr(json, "\"is_sound\":true"));
    CHECK(ta_verify_in(store, S("nobody"), NULL, 0, 0, json, sizeof json, &length, &error) == TA_NOT_FOUND);
    return 0;
}

static int matrix(uint64_t store) {
    uint64_t txn, snapshot, set, deleted, parts, counts[1], shape[2] = {3, 2};
    float rows[6] = {0, 0, 3, 4, 6, 8}, query[2] = {6, 7};
    int64_t ids[2], some[3] = {5, 6, 7};
    double far[2];
    ta_key key = named("matrix"), name = named("set");
    ta_tensor tensor = {rows, sizeof rows, shape, 2, TA_F32};
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    CHECK(ta_search_matrix(snapshot, &key, TA_EUCLIDEAN, query, 1, 2, 0, ids, far, counts, &error) == TA_OK);
    CHECK(counts[0] == 2 && ids[0] == 2 && far[0] == 1 && ids[1] == 1);
    CHECK(ta_vectors_open(store, &name, 2, TA_F32, TA_EUCLIDEAN, &set, &error) == TA_OK);
    CHECK(ta_vectors_append_with(set, some, 3, rows, 0, 0, &error) == TA_OK);
    CHECK(ta_vectors_append_with(set, some, 1, rows, 0, 0, &error) == TA_ALREADY_EXISTS);
    CHECK(ta_vectors_upsert_with(set, some, 1, query, 0, 0, &error) == TA_OK);
    CHECK(ta_search(set, query, 1, 1, 0, ids, far, counts, &error) == TA_OK && ids[0] == 5 && far[0] == 0);
    CHECK(ta_vectors_delete(set, some, 1, &deleted, &error) == TA_OK && deleted == 1);
    CHECK(ta_vectors_delete_with(set, some, 2, 0, &deleted, &error) == TA_OK && deleted == 1);
    CHECK(ta_vectors_compact(set, 0, &parts, &error) == TA_OK);
    CHECK(ta_close(set, &error) == TA_OK && ta_close(snapshot, &error) == TA_OK);
    return 0;
}

/* A call that forgets to look at its deadline is the one in which a server's thread hangs. */
static int deadlines(uint64_t store, const char *directory) {
    uint64_t past, soon, txn, snapshot, set, bytes = 0, mapping, made = 7, counts[1], shape[1] = {UINT64_MAX};
    int64_t ids[1] = {9};
    double far[1];
    float vector[2] = {1, 2}, query[2] = {6, 7};
    uint8_t byte;
    float far32[1];
    const void *data;
    char path[1024], never[1024];
    ta_key key = named("moved"), plane = named("matrix"), name = named("set");
    ta_tensor tensor = {vector, 8, NULL, 0, TA_F32};
    uint64_t two = 2;
    tensor.shape = &two, tensor.rank = 1;
    struct feed feed = {0, 0, 0};
    snprintf(path, sizeof path, "%s.safetensors", directory);
    snprintf(never, sizeof never, "%s.never", directory);
    CHECK(ta_export(store, path, strlen(path), S("model/"), 0, &made, &error) == TA_OK && made == 1);
    made = 7;
    CHECK(ta_cancel_new(0, &past, &error) == TA_OK && ta_cancel_new(30, &soon, &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
    CHECK(ta_vectors_find(store, &name, &set, &error) == TA_OK);
    const int32_t found[] = {
        ta_put_with(txn, &key, &tensor, NULL, past, &error),
        ta_put_stream_with(txn, &key, TA_U8, shape, 1, NULL, give, &feed, past, &error),
        ta_delete_prefix_with(txn, NULL, 0, S(""), past, &made, &error),
        ta_read_with(store, &key, 0, &byte, 1, past, &error),
        ta_map_with(store, &key, 0, UINT64_MAX, past, &data, &bytes, &mapping, &error),
        ta_stat_with(store, past, json, sizeof json, &length, &error),
        ta_query_with(store, S("SELECT 1"), 9, past, json, sizeof json, &length, &error),
        ta_verify(store, NULL, 0, past, json, sizeof json, &length, &error),
        ta_verify_in(store, NULL, 0, NULL, 0, past, json, sizeof json, &length, &error),
        ta_import(store, path, strlen(path), S(""), past, &made, &error),
        ta_import_with(store, NULL, 0, path, strlen(path), S(""), TA_FORMAT_BY_NAME, past, json, sizeof json, &length, &error),
        ta_export_with(snapshot, NULL, 0, never, strlen(never), S(""), NULL, 0, past, json, sizeof json, &length, &error),
        ta_export(store, never, strlen(never), S(""), past, &made, &error),
        ta_move_to_tier(store, NULL, 0, S(""), TA_COLD, past, json, sizeof json, &length, &error),
        ta_tier_plan_with(store, past, json, sizeof json, &length, &error),
        ta_tier_maintain(store, past, json, sizeof json, &length, &error),
        ta_gc(store, 0, 0.5, 0, past, json, sizeof json, &length, &error),
        ta_search(set, query, 1, 1, past, ids, far, counts, &error),
        ta_search_with(set, NULL, query, 1, 1, past, ids, far, counts, &error),
        ta_search_matrix(snapshot, &plane, TA_DOT, query, 1, 1, past, ids, far, counts, &error),
        ta_vectors_append_with(set, ids, 1, vector, 0, past, &error),
        ta_vectors_upsert_with(set, ids, 1, vector, 0, past, &error),
        ta_vectors_delete_with(set, ids, 1, past, &made, &error),
        ta_vectors_compact(set, past, &made, &error),
        ta_vectors_compact_with(set, 0, 0, 1, past, &made, &error),
        ta_search_matrix_with(snapshot, &plane, TA_DOT, NULL, query, 1, 1, past, ids, far, counts, &error),
        ta_read_f32(store, &key, far32, 1, past, &error),
        ta_vectors_build_companions(set, past, &made, &error),
    };
    for (size_t i = 0; i < sizeof found / sizeof *found; i++) {
        snprintf(text, sizeof text, "call %zu ended with %d", i, found[i]);
        CHECK(found[i] == TA_CANCELLED);
    }
    CHECK(ta_commit_with(txn, past, &made, &error) == TA_CANCELLED && made == 7 && feed.calls == 0);
    /* in the middle of a statement that never ends, and with a handle of another type */
    const char *endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    CHECK(ta_query_with(store, endless, strlen(endless), 1, soon, json, sizeof json, &length, &error) == TA_CANCELLED);
    CHECK(ta_query_with(store, S("SELECT 1"), 9, store, json, sizeof json, &length, &error) == TA_INVALID_HANDLE);
    CHECK(ta_tier_plan_with(store, 0, json, sizeof json, &length, &error) == TA_OK);
    CHECK(ta_stat_with(store, 0, json, sizeof json, &length, &error) == TA_OK);
    CHECK(ta_close(txn, &error) == TA_OK && ta_close(snapshot, &error) == TA_OK && ta_close(set, &error) == TA_OK);
    CHECK(ta_close(past, &error) == TA_OK && ta_close(soon, &error) == TA_OK && remove(never) != 0);
    return remove(path);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    ta_options open = {0};
    open.flags = TA_CREATE | TA_NO_SYNC;
    uint64_t store, atoms = 0;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    int failed = streams(store) || files(store, argv[1]) || reports(store) || matrix(store) || deadlines(store, argv[1]);
    CHECK(failed || ta_repair(argv[1], strlen(argv[1]), 1, 0, &atoms, &error) == TA_BUSY); /* somebody has it open */
    CHECK(ta_close(store, &error) == TA_OK);
    CHECK(failed || (ta_repair(argv[1], strlen(argv[1]), 1, 0, &atoms, &error) == TA_OK && atoms == 11));
    /* what was lost, and why, is what an operator wants to know of a repair */
    uint64_t cancel;
    CHECK(ta_cancel_new(0, &cancel, &error) == TA_OK);
    CHECK(failed || ta_repair_with(argv[1], strlen(argv[1]), 1, 0, cancel, json, sizeof json, &length, &error) == TA_CANCELLED);
    CHECK(failed || ta_repair_with(argv[1], strlen(argv[1]), 1, 1, 0, json, sizeof json - 1, &length, &error) == TA_OK);
    json[failed ? 0 : length] = 0;
    CHECK(failed || (strstr(json, "\"catalog_rebuilt\":true") && strstr(json, "\"commits_missing\":[]") && strstr(json, "\"atoms\":11,\"findings\":[]}")));
    CHECK(ta_close(cancel, &error) == TA_OK);
    return failed;
}
