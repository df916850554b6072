/* Measures, never asserts: a call through the C interface against the kernel behind it, and a payload against memcpy.
 * measure DIRECTORY */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "tensoratom.h"

#define ROUNDS 7
#define DIM 768
#define ROWS 16 /* with the query they stay in the first cache */
#define PAYLOAD (4 << 20)
#define AGGREGATE_ROWS 100000
#define AGGREGATE_DIM 384

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

/* Nanoseconds of the fastest round, per repetition. */
#define BEST(repetitions, statement) ({ \
    double best = 1e300; \
    for (int round = 0; round < ROUNDS; round++) { \
        double start = now(); \
        for (int i = 0; i < (repetitions); i++) { statement; } \
        double took = (now() - start) / (repetitions); \
        if (took < best) best = took; \
    } \
    best; })

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    float *rows = malloc((size_t)AGGREGATE_ROWS * AGGREGATE_DIM * sizeof *rows);
    char *payload = malloc(PAYLOAD), *target = malloc(PAYLOAD);
    double distances[ROWS], dot = 0, *mean = malloc(AGGREGATE_DIM * sizeof *mean);
    for (size_t i = 0; i < (size_t)AGGREGATE_ROWS * AGGREGATE_DIM; i++) rows[i] = (float)(i * 2654435761u % 1000) / 500 - 1;
    for (size_t i = 0; i < PAYLOAD; i++) payload[i] = (char)(i * 31 + (i >> 8));

    int32_t status = 0;
    double call = BEST(200000, status |= ta_dot(rows, rows + DIM, TA_F32, DIM, &dot, NULL));
    double kernel = BEST(20000, status |= ta_cdist(TA_DOT, TA_F32, DIM, rows, 1, 0, rows, ROWS, 0, distances, ROWS, NULL)) / ROWS;
    printf("dot, 768 dims: %.0f ns per call through C, %.0f ns the kernel alone (one call for %d rows)\n", call, kernel, ROWS);

    uint64_t store, txn, aggregate, out_rows, out_dim;
    ta_options options = {0};
    options.flags = TA_CREATE | TA_POSITIONED | TA_NO_SYNC;
    ta_key key = {0};
    key.number = 1;
    uint64_t shape = PAYLOAD;
    ta_tensor tensor = {payload, PAYLOAD, &shape, 1, TA_U8};
    status |= ta_store_open(argv[1], strlen(argv[1]), &options, &store, NULL);
    status |= ta_begin(store, &txn, NULL);
    status |= ta_put(txn, &key, &tensor, NULL, 0, NULL);
    status |= ta_commit(txn, NULL, NULL);
    status |= ta_close(txn, NULL);
    double read = BEST(50, status |= ta_read(store, &key, 0, target, PAYLOAD, NULL));
    double copy = BEST(50, memcpy(target, payload, PAYLOAD));
    printf("get of 4 MiB into memory of the caller, verified, positioned reads: %.0f us; memcpy: %.0f us\n", read / 1e3, copy / 1e3);

    status |= ta_aggregate_new("mean", 4, &aggregate, NULL);
    double batch = BEST(1, status |= ta_aggregate_reset(aggregate, NULL);
                        status |= ta_aggregate_push(aggregate, TA_F32, AGGREGATE_DIM, rows, AGGREGATE_ROWS, 0, NULL, NULL));
    double one = BEST(1, status |= ta_aggregate_reset(aggregate, NULL);
                      for (size_t row = 0; row < AGGREGATE_ROWS; row++)
                          status |= ta_aggregate_push(aggregate, TA_F32, AGGREGATE_DIM, rows + row * AGGREGATE_DIM, 1, 0, NULL, NULL));
    status |= ta_aggregate_finish(aggregate, mean, AGGREGATE_DIM, NULL, 0, &out_rows, &out_dim, NULL);
    printf("mean of 100,000 x 384 through C: %.1f ms in one call, %.1f ms in a call per row\n", batch / 1e6, one / 1e6);
    if (status != 0) printf("a call failed\n");
    return status != 0;
}
