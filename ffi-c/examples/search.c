/* Stores a tensor, reads it back, finds the nearest of three vectors: search DIRECTORY */
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define TRY(call) do { if ((call) != TA_OK) { fprintf(stderr, "%s: %s\n", #call, text); return 1; } } while (0)

int main(int argc, char **argv) {
    char text[256] = "";
    ta_error error = {text, sizeof text, 0};
    if (argc != 2) return 2;
    ta_options options = {0};
    options.flags = TA_CREATE;
    uint64_t store, txn, set, count;
    TRY(ta_store_open(argv[1], strlen(argv[1]), &options, &store, &error));

    float weights[6] = {0, 1, 2, 3, 4, 5}, back[6];
    uint64_t shape[2] = {2, 3};
    ta_key key = {0};
    key.name = "encoder/weight", key.name_length = 14;
    ta_tensor tensor = {weights, sizeof weights, shape, 2, TA_F32};
    TRY(ta_begin(store, &txn, &error));
    TRY(ta_put(txn, &key, &tensor, NULL, 0, &error));
    TRY(ta_commit(txn, NULL, &error)); /* durable now */
    TRY(ta_close(txn, &error));
    TRY(ta_read(store, &key, 0, back, sizeof back, &error));

    int64_t ids[3] = {7, 8, 9}, found;
    float vectors[6] = {1, 0, 0, 1, -1, 0}, query[2] = {0, 2};
    double distance;
    key.name = "words", key.name_length = 5;
    TRY(ta_vectors_open(store, &key, 2, TA_F32, TA_COSINE, &set, &error));
    TRY(ta_vectors_upsert(set, ids, 3, vectors, 0, &error));
    TRY(ta_search(set, query, 1, 1, 0, &found, &distance, &count, &error));
    printf("%g %lld %g\n", back[4], (long long)found, distance);
    TRY(ta_close(set, &error));
    TRY(ta_close(store, &error));
    return 0;
}
