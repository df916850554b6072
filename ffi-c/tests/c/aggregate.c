/* Aggregates in parts: rows go into two states, one travels as bytes, both are merged, and the value is that of all rows. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)

static char text[256];
static ta_error error = {text, sizeof text, 0};

static uint64_t begin(const char *kind) {
    uint64_t handle = 0;
    return ta_aggregate_new(kind, strlen(kind), &handle, &error) == TA_OK ? handle : 0;
}

static int mean(void) {
    uint64_t whole = begin("mean"), part = begin("mean"), copy = 0, rows, dim, count, length = 0;
    CHECK(whole && part);
    double values[2] = {-1, -1}, beside = -1, weights[2] = {1, 3};
    CHECK(ta_aggregate_finish(whole, values, 2, &beside, 1, &rows, &dim, &error) == TA_OK);
    CHECK(rows == 0 && dim == 0 && values[0] == -1 && beside == -1);

    float spaced[5] = {1, 2, 99, 5, 6}; /* two rows with a gap of one float */
    CHECK(ta_aggregate_push(whole, TA_F32, 2, spaced, 2, 12, weights, &error) == TA_OK);
    double more[4] = {8, 9, 0, 1};
    CHECK(ta_aggregate_push(part, TA_F64, 2, more, 2, 0, NULL, &error) == TA_OK);

    unsigned char state[512];
    CHECK(ta_aggregate_export(part, NULL, 0, &length, &error) == TA_OK && length > 0 && length <= sizeof state);
    CHECK(ta_aggregate_export(part, state, length - 1, &length, &error) == TA_BUFFER_TOO_SMALL);
    CHECK(ta_aggregate_export(part, state, sizeof state, &length, &error) == TA_OK);
    CHECK(ta_aggregate_import(state, length, &copy, &error) == TA_OK);
    CHECK(ta_aggregate_merge(whole, copy, &error) == TA_OK);
    CHECK(ta_aggregate_count(whole, &count, &error) == TA_OK && count == 4);
    CHECK(ta_aggregate_finish(whole, NULL, 0, NULL, 0, &rows, &dim, &error) == TA_OK && rows == 1 && dim == 2);
    CHECK(ta_aggregate_finish(whole, values, 1, &beside, 1, &rows, &dim, &error) == TA_BUFFER_TOO_SMALL);
    CHECK(values[0] == -1 && beside == -1 && dim == 2);
    CHECK(ta_aggregate_finish(whole, values, 2, &beside, 1, &rows, &dim, &error) == TA_OK);
    CHECK(values[0] == 4 && values[1] == 5 && beside == 6); /* (1 + 3 * 5 + 8 + 0) / 6 and (2 + 3 * 6 + 9 + 1) / 6 */

    state[length - 1] ^= 1;
    uint64_t none = 7;
    CHECK(ta_aggregate_import(state, length, &none, &error) == TA_CORRUPT && none == 7);
    CHECK(ta_aggregate_push(whole, TA_F64, 1, more, 1, 0, NULL, &error) == TA_INVALID_SHAPE);
    CHECK(ta_aggregate_merge(whole, whole, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_aggregate_reset(whole, &error) == TA_OK);
    CHECK(ta_aggregate_count(whole, &count, &error) == TA_OK && count == 0);
    CHECK(ta_close(whole, &error) == TA_OK && ta_close(part, &error) == TA_OK);
    CHECK(ta_aggregate_merge(copy, part, &error) == TA_INVALID_HANDLE);
    CHECK(ta_close(copy, &error) == TA_OK);
    return 0;
}

static int clusters(void) {
    uint64_t state = begin("k_means k=2 seed=7"), other = begin("k_means k=3 seed=7"), rows, dim, count;
    CHECK(state && other && !begin("k_means") && !begin("mode"));
    float points[6] = {0, 2, 4, 100, 102, 0};
    CHECK(ta_aggregate_push(state, TA_F32, 1, points, 5, 0, NULL, &error) == TA_OK);
    points[5] = NAN; /* the whole call is refused, its good rows too */
    CHECK(ta_aggregate_push(state, TA_F32, 1, points, 6, 0, NULL, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_aggregate_count(state, &count, &error) == TA_OK && count == 5);
    CHECK(ta_aggregate_merge(state, other, &error) == TA_INVALID_ARGUMENT);
    double centres[2], sizes[2];
    CHECK(ta_aggregate_finish(state, centres, 2, sizes, 2, &rows, &dim, &error) == TA_OK && rows == 2 && dim == 1);
    CHECK(fabs(centres[0] - 2) < 1e-9 && sizes[0] == 3 && fabs(centres[1] - 101) < 1e-9 && sizes[1] == 2);
    CHECK(ta_close(state, &error) == TA_OK && ta_close(other, &error) == TA_OK);
    return 0;
}

int main(void) {
    return mean() || clusters();
}
