/* Calls that need as much memory as their input is large, when there is not that much: memory DIRECTORY.
   An allocation that aborts takes the host down; each of these must be refused, and the store go on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)

enum { LARGE = 96 << 20, ROOM = 48 << 20, IDS = LARGE / 8, NUMBERS = LARGE / 4, DIM = 5700 };

static char text[512];
static ta_error error = {text, sizeof text, 0};

static ta_key named(const char *name) {
    ta_key key = {0};
    key.name = name, key.name_length = strlen(name);
    return key;
}

/* One small thing of each kind, before the limit and after each refusal. */
static int goes_on(uint64_t store, uint64_t set) {
    uint64_t txn, one = 1, counts[1];
    int64_t id = 3, found[1];
    float number = 4, back = 0;
    double far[1];
    ta_key key = named("small");
    ta_tensor tensor = {&number, 4, &one, 1, TA_F32};
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_read(store, &key, 0, &back, 4, &error) == TA_OK && back == 4);
    CHECK(ta_vectors_upsert(set, &id, 1, &number, 0, &error) == TA_OK);
    CHECK(ta_search(set, &number, 1, 1, 0, found, far, counts, &error) == TA_OK && counts[0] == 1 && far[0] == 0);
    return 0;
}

static uint64_t address_space(void) {
    unsigned long long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%llu", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return pages * 4096;
}

#define REFUSED(call) do { CHECK((call) == TA_OUT_OF_MEMORY && error.length > 0); if (goes_on(store, set)) return 1; } while (0)

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    ta_options open = {0};
    open.flags = TA_CREATE | TA_NO_SYNC | TA_POSITIONED, open.segment_bytes = 1 << 20, open.threads = 1;
    uint64_t store, set, txn, aggregate, length, bytes, mapping, count, deleted, shape = LARGE, counts[1];
    ta_key large = named("large"), name = named("set");
    const void *data;
    char *input = malloc(LARGE);
    CHECK(input && ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    CHECK(ta_vectors_open(store, &name, 1, TA_F32, TA_EUCLIDEAN, &set, &error) == TA_OK);
    memset(input, 0, LARGE);
    ta_tensor tensor = {input, LARGE, &shape, 1, TA_U8};
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &large, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_aggregate_new("covariance", 10, &aggregate, &error) == TA_OK);
    if (goes_on(store, set)) return 1;

    struct rlimit limit = {address_space() + ROOM, RLIM_INFINITY};
    CHECK(limit.rlim_cur > LARGE && setrlimit(RLIMIT_AS, &limit) == 0 && !malloc(LARGE));

    int64_t *ids = (int64_t *)input;
    float *numbers = (float *)input, query = 0;
    double far[1];
    int64_t found[1];
    ta_search_options options = {0};
    options.flags = TA_SEARCH_ALLOW, options.allow = ids, options.allow_count = IDS;
    REFUSED(ta_map(store, &large, 0, UINT64_MAX, &data, &bytes, &mapping, &error));
    REFUSED(ta_read_f32(store, &large, numbers, LARGE / 4, 0, &error));
    REFUSED(ta_search_with(set, &options, &query, 1, 1, 0, found, far, counts, &error));
    REFUSED(ta_vectors_delete(set, ids, IDS, &deleted, &error));
    REFUSED(ta_vectors_get(set, ids, IDS / 2, numbers + IDS, IDS / 2 * 4, NULL, &error));
    REFUSED(ta_aggregate_push(aggregate, TA_F32, DIM, numbers, 1, 0, NULL, &error));
    for (uint64_t i = 0; i < IDS; i++) ids[i] = (int64_t)(IDS - i); /* not in order: it has to be put in order */
    REFUSED(ta_vectors_append(set, ids, IDS, ids, 4, &error));
    for (uint64_t i = 0; i < LARGE; i += 2) input[i] = i ? ',' : '[', input[i + 1] = '1';
    input[LARGE - 1] = ']', input[LARGE - 2] = '1', input[LARGE - 3] = '1';
    REFUSED(ta_json_parse(input, LARGE, NULL, 0, &length, &error));
    for (uint64_t i = 0; i < NUMBERS; i++) numbers[i] = 0.1f;
    /* texts that are copied, into the text of the error as well */
    ta_key named_long = {NULL, 0, input, LARGE, 0}, ns_long = {input, LARGE, "a", 1, 0};
    ta_info info;
    uint64_t list, snapshot, other;
    memset(input, 'x', LARGE);
    CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK && ta_begin(store, &txn, &error) == TA_OK);
    const int32_t long_texts[] = {
        ta_aggregate_new(input, LARGE, &other, &error), ta_get_info(store, &named_long, &info, &error),
        ta_get_info(store, &ns_long, &info, &error), ta_list(snapshot, input, LARGE, &list, &error),
        ta_query(store, input, LARGE, 9, NULL, 0, &length, &error), ta_set_metadata(txn, &name, input, LARGE, &error),
        ta_gguf_dequantize(input, LARGE, input, 0, numbers, 0, &error), ta_tier_set_policy(store, input, LARGE, &error),
        ta_store_open(input, LARGE, NULL, &other, &error), ta_namespace_create(store, input, LARGE, &error),
        ta_tier_apply(store, input, LARGE, 0, NULL, 0, &length, &error), ta_vectors_find(store, &named_long, &other, &error),
    };
    for (unsigned i = 0; i < sizeof long_texts / sizeof *long_texts; i++) CHECK(long_texts[i] > 0 && long_texts[i] < 10);
    CHECK(ta_close(txn, &error) == TA_OK && ta_close(snapshot, &error) == TA_OK);
    if (goes_on(store, set)) return 1;
    static const char *const greedy[] = {"SELECT zeroblob(100000000)", "SELECT zeroblob(18000000), zeroblob(18000000)",
        "SELECT cast(zeroblob(30000000) AS TEXT)"};
    for (int i = 0; i < 3; i++)
        REFUSED(ta_query(store, greedy[i], strlen(greedy[i]), 9, NULL, 0, &length, &error));
    REFUSED(ta_json_write(numbers, NUMBERS, NULL, 0, &length, &error));
    CHECK(ta_aggregate_count(aggregate, &count, &error) == TA_OK && count == 0);

    CHECK(ta_close(aggregate, &error) == TA_OK && ta_close(set, &error) == TA_OK && ta_close(store, &error) == TA_OK);
    /* mapped, the room that is missing is that of the map */
    open.flags = 0;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    CHECK(ta_map(store, &large, 0, UINT64_MAX, &data, &bytes, &mapping, &error) == TA_OUT_OF_MEMORY);
    ta_key small = named("small");
    CHECK(ta_map(store, &small, 0, UINT64_MAX, &data, &bytes, &mapping, &error) == TA_OK && bytes == 4);
    CHECK(ta_close(mapping, &error) == TA_OK && ta_close(store, &error) == TA_OK);
    free(input);
    return 0;
}
