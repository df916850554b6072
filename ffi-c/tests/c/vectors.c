/* Vectors changed in transactions, found by name, searched with filters: vectors DIRECTORY */
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)

int main(int argc, char **argv) {
    char text[256] = "";
    ta_error error = {text, sizeof text, 0};
    if (argc != 2) return 2;
    ta_options open = {0};
    open.flags = TA_CREATE | TA_NO_SYNC;
    uint64_t store, txn, set = 7, count, dim, deleted;
    uint32_t dtype, metric;
    ta_key name = {0};
    name.name = "points", name.name_length = 6;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    CHECK(ta_vectors_find(store, &name, &set, &error) == TA_NOT_FOUND && set == 7);

    int64_t ids[4] = {1, 2, 3, 4};
    float rows[4] = {10, 20, 30, 40}, query = 0, moved = 1;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_txn_vectors_append(txn, &name, TA_F32, 1, ids, 4, rows, 0, &error) == TA_NOT_FOUND);
    CHECK(ta_txn_vectors_create(txn, &name, 1, TA_F32, TA_EUCLIDEAN, &error) == TA_OK);
    CHECK(ta_txn_vectors_append(txn, &name, TA_F32, 1, ids, 4, rows, 0, &error) == TA_OK);
    CHECK(ta_txn_vectors_append(txn, &name, TA_F32, 1, ids, 1, rows, 0, &error) == TA_ALREADY_EXISTS);
    CHECK(ta_vectors_find(store, &name, &set, &error) == TA_NOT_FOUND); /* not before the commit */
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_vectors_find(store, &name, &set, &error) == TA_OK);
    CHECK(ta_vectors_facts(set, &dim, &dtype, &metric, &error) == TA_OK);
    CHECK(dim == 1 && dtype == TA_F32 && metric == TA_EUCLIDEAN);

    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_txn_vectors_delete(txn, &name, ids, 2, &deleted, &error) == TA_OK && deleted == 2);
    CHECK(ta_close(txn, &error) == TA_OK); /* taken back */
    CHECK(ta_vectors_count(set, &count, &error) == TA_OK && count == 4);
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_txn_vectors_upsert(txn, &name, TA_F32, 1, ids + 3, 1, &moved, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);

    int64_t found[4];
    double distances[4];
    ta_search_options options = {0};
    CHECK(ta_search_with(set, NULL, &query, 1, 4, 0, found, distances, &count, &error) == TA_OK);
    CHECK(count == 4 && found[0] == 4 && distances[0] == 1 && found[1] == 1);
    options.flags = TA_SEARCH_ALLOW; /* none */
    CHECK(ta_search_with(set, &options, &query, 1, 4, 0, found, distances, &count, &error) == TA_OK && count == 0);
    int64_t allow[3] = {3, 2, 99};
    options.allow = allow, options.allow_count = 3;
    CHECK(ta_search_with(set, &options, &query, 1, 4, 0, found, distances, &count, &error) == TA_OK);
    CHECK(count == 2 && found[0] == 2 && found[1] == 3);
    options.flags = 0;
    CHECK(ta_search_with(set, &options, &query, 1, 4, 0, found, distances, &count, &error) == TA_INVALID_ARGUMENT);
    memset(&options, 0, sizeof options);
    options.flags = TA_SEARCH_DISTANCE_MAX | TA_SEARCH_ID_RANGE;
    options.id_min = 1, options.id_max = 3, options.distance_max = 20, options.threads = 1;
    CHECK(ta_search_with(set, &options, &query, 1, 4, 0, found, distances, &count, &error) == TA_OK);
    CHECK(count == 2 && found[0] == 1 && found[1] == 2);
    options.deny = allow + 1, options.deny_count = 1; /* not 2 */
    CHECK(ta_search_with(set, &options, &query, 1, 4, 0, found, distances, &count, &error) == TA_OK);
    CHECK(count == 1 && found[0] == 1);
    CHECK(ta_close(set, &error) == TA_OK && ta_close(store, &error) == TA_OK);
    return 0;
}
