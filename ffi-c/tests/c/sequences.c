/* Random sequences of calls on handles of every type, open, closed and of the wrong type, against a model that knows which
   are which: sequences DIRECTORY SEED STEPS. Prints how many calls succeeded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tensoratom.h"

enum { STORE = 1, TXN, SNAPSHOT, MAPPING, CANCEL, LIST, VECTORS, AGGREGATE, PROJECTION, VIEW, CHANGES = 16, SLOTS = 28 };

static struct { uint64_t handle; int type; } slots[SLOTS]; /* type 0: closed, or never open */
static const void *mapped[SLOTS];
static uint64_t state, succeeded;
static char text[256];
static ta_error error = {text, sizeof text, 0};

static unsigned draw(unsigned below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % below;
}

static void fail(const char *call, int32_t status) {
    fprintf(stderr, "%s: %d %s\n", call, status, text);
    exit(1);
}

/* A slot of that type three times out of four where there is one, else any. */
static int pick(int type) {
    int any = (int)draw(SLOTS);
    for (int i = 0; draw(4) && i < SLOTS; i++) {
        int at = (any + i) % SLOTS;
        if (slots[at].type == type) return at;
    }
    return any;
}

/* What the model says of an answer: a handle that does not fit is refused as such, and only that one is. */
static int answer(const char *call, int32_t status, int fits) {
    if (status == TA_PANIC || status == TA_INTERNAL) fail(call, status);
    if ((status == TA_INVALID_HANDLE) == fits) fail(call, status);
    if ((status == TA_OK) != (error.length == 0)) fail(call, status);
    succeeded += status == TA_OK;
    return status == TA_OK;
}

#define CALL(name, fits, ...) answer(#name, name(__VA_ARGS__, &error), fits)

/* Keeps a handle that was made; another one gives way. A failed call must have left the place alone. */
static void keep(int made, const uint64_t *place, int type, const void *data) {
    uint64_t handle = *place;
    if (!made) {
        if (handle != 7) fail("a handle was written by a call that failed", 0);
        return;
    }
    if (handle >> 56 != (uint64_t)type) fail("a handle of another type", 0);
    int at = (int)draw(SLOTS);
    if (slots[at].type) CALL(ta_close, 1, slots[at].handle);
    slots[at].handle = handle, slots[at].type = type, mapped[at] = data;
}

/* As many bytes as the number at `context` says. */
static int64_t sevens(void *context, uint8_t *buffer, uint64_t capacity) {
    uint64_t *rest = context, count = *rest < capacity ? *rest : capacity;
    memset(buffer, 7, count);
    *rest -= count;
    return (int64_t)count;
}

static void step(const char *path) {
    static const int wanted[] = {0, STORE, STORE, TXN, TXN, TXN, TXN, SNAPSHOT, LIST, STORE, VECTORS, VECTORS, 0, AGGREGATE,
                                 AGGREGATE, AGGREGATE, AGGREGATE, 0, CANCEL, TXN, 0, SNAPSHOT, MAPPING, STORE,
                                 STORE, CHANGES, 0, PROJECTION, SNAPSHOT, TXN, STORE, STORE, STORE, VECTORS, TXN, TXN, STORE, VECTORS,
                                 TXN, 0, STORE, SNAPSHOT, VIEW, VIEW, TXN};
    unsigned op = draw(sizeof wanted / sizeof *wanted);
    int at = pick(wanted[op]), other = pick(AGGREGATE), fits = slots[at].type == wanted[op];
    uint64_t handle = slots[at].handle, made = 7, count = 0, length = 0, rows, dim;
    float numbers[64];
    double values[64], beside[64];
    int64_t ids[8];
    unsigned few = draw(8);
    for (int i = 0; i < 64; i++) numbers[i] = (float)draw(100);
    for (int i = 0; i < 8; i++) ids[i] = (int64_t)draw(40);
    uint64_t shape[1] = {few};
    ta_key key = {0}, set = {0};
    key.number = draw(6);
    set.name = "set", set.name_length = 3;
    ta_tensor tensor = {numbers, few * sizeof(float), shape, 1, TA_F32};
    ta_options options = {0};
    ta_info info;
    char json[1024];
    const void *data = NULL;
    options.flags = TA_CREATE | TA_NO_SYNC;
    switch (op) {
    case 0: keep(CALL(ta_store_open, 1, path, strlen(path), &options, &made), &made, STORE, NULL); break;
    case 1: keep(CALL(ta_begin, fits, handle, &made), &made, TXN, NULL); break;
    case 2: keep(CALL(ta_snapshot, fits, handle, TA_NOW, 0, &made), &made, SNAPSHOT, NULL); break;
    case 3: CALL(ta_put, fits, handle, &key, &tensor, NULL, 0); break;
    case 4: { uint32_t existed; CALL(ta_delete, fits, handle, &key, &existed); break; }
    case 5: CALL(ta_txn_vectors_upsert, fits, handle, &set, TA_F32, draw(8) ? 2 : 3, ids, few, numbers, 0); break;
    case 6: CALL(ta_txn_vectors_delete, fits, handle, &set, ids, few, &count); break;
    case 7: keep(CALL(ta_list, fits, handle, "", 0, &made), &made, LIST, NULL); break;
    case 8: CALL(ta_list_next, fits, handle, &info, json, draw(2) ? sizeof json : draw(3), &length); break;
    case 9: keep(CALL(ta_vectors_open, fits, handle, &set, draw(8) ? 2 : 3, TA_F32, TA_COSINE, &made), &made, VECTORS, NULL); break;
    case 10: CALL(ta_vectors_upsert, fits, handle, ids, few, numbers, 0); break;
    case 11: {
        ta_search_options filter = {0};
        filter.flags = draw(16), filter.allow = ids, filter.allow_count = filter.flags & TA_SEARCH_ALLOW ? few : 0;
        filter.id_max = 20, filter.distance_max = 0.5;
        int64_t found[16];
        uint64_t counts[2] = {0, 0}, k = draw(9);
        int good = CALL(ta_search_with, fits || slots[at].type == VIEW, handle, &filter, numbers, 2, k, 0, found, values, counts);
        if (good && (counts[0] > k || counts[1] > k)) fail("more were found than asked for", 0);
        for (uint64_t i = 0; good && i < counts[0]; i++) {
            int in = !(filter.flags & TA_SEARCH_ALLOW);
            for (unsigned j = 0; j < few; j++) in |= found[i] == ids[j];
            if (!in || (filter.flags & TA_SEARCH_ID_RANGE && found[i] > 20)) fail("an id that was left out", 0);
        }
        break;
    }
    case 12: {
        static const char *const kinds[] = {"mean", "sum", "variance", "k_means k=2 points=4", "geometric_median points=4", "mode"};
        const char *kind = kinds[draw(6)];
        keep(CALL(ta_aggregate_new, 1, kind, strlen(kind), &made), &made, AGGREGATE, NULL);
        break;
    }
    case 13: {
        for (int i = 0; i < 8; i++) values[i] = draw(3);
        CALL(ta_aggregate_push, fits, handle, TA_F32, 1 + draw(2), numbers, few, draw(2) * 16, draw(2) ? values : NULL);
        break;
    }
    case 14: CALL(ta_aggregate_merge, fits && slots[other].type == AGGREGATE, handle, slots[other].handle); break;
    case 15: {
        unsigned char bytes[1024];
        if (!CALL(ta_aggregate_export, fits, handle, bytes, sizeof bytes, &length)) break;
        if (!draw(4)) bytes[draw((unsigned)length)] ^= 1;
        keep(CALL(ta_aggregate_import, 1, bytes, length, &made), &made, AGGREGATE, NULL);
        break;
    }
    case 16: CALL(ta_aggregate_finish, fits, handle, values, draw(64), beside, draw(64), &rows, &dim); break;
    case 17: keep(CALL(ta_cancel_new, 1, draw(50), &made), &made, CANCEL, NULL); break;
    case 18: CALL(ta_cancel_set, fits, handle); break;
    case 19: { /* a transaction that was committed answers like one that was closed, and is closed here */
        CALL(ta_commit, fits, handle, NULL);
        if (fits) CALL(ta_close, 1, handle), slots[at].type = 0;
        break;
    }
    case 20: /* any handle */
        at = (int)draw(SLOTS), fits = slots[at].type != 0;
        CALL(ta_close, fits, slots[at].handle);
        slots[at].type = 0;
        break;
    case 21: {
        uint64_t bytes = 0;
        int good = CALL(ta_map, fits || slots[at].type == STORE, handle, &key, draw(3), draw(2) ? UINT64_MAX : few, &data, &bytes, &made);
        if (good && bytes && *(volatile const char *)data == 127) fail("a byte that was not stored", 0);
        keep(good, &made, MAPPING, bytes ? data : NULL);
        break;
    }
    case 22: /* lent memory stays, whatever was closed since */
        if (fits && mapped[at] && *(volatile const char *)mapped[at] == 127) fail("a byte that was not stored", 0);
        break;
    case 24: keep(CALL(ta_changes, fits, handle, NULL, 0, draw(30), &made), &made, CHANGES, NULL); break;
    case 25: {
        uint64_t lsn = 0;
        uint32_t is_put = 9;
        int good = CALL(ta_changes_next, fits, handle, &lsn, &is_put, json, draw(2) ? sizeof json : draw(3), &length);
        if (good && (lsn == 0 || is_put > 1)) fail("a change of no commit", 0);
        break;
    }
    case 26: keep(CALL(ta_projection_random, 1, 1 + draw(3), draw(4), 7, &made), &made, PROJECTION, NULL); break;
    case 27: CALL(ta_project, fits, handle, numbers, draw(9), values, draw(9)); break;
    case 28: keep(CALL(ta_list_in, fits, handle, NULL, 0, "n", draw(2), &made), &made, LIST, NULL); break;
    case 29: CALL(ta_delete_prefix_with, fits, handle, NULL, 0, "n", 1, 0, &count); break;
    case 30: CALL(ta_move_to_tier, fits, handle, NULL, 0, "", 0, draw(2) ? TA_WARM : TA_COLD, 0, json, sizeof json, &length); break;
    case 31: CALL(ta_gc, fits, handle, (double)draw(3) - 1, 0.1 * draw(11), (int32_t)draw(2), 0, json, sizeof json, &length); break;
    case 32:
        switch (draw(4)) {
        case 0: CALL(ta_tier_pin, fits, handle, "n", 1, (int32_t)draw(2)); break;
        case 1: CALL(ta_tier_unpin, fits, handle, "n", 1, (int32_t)draw(2)); break;
        case 2: CALL(ta_tier_plan_with, fits, handle, 0, json, sizeof json, &length); break;
        default: CALL(ta_tier_maintain, fits, handle, 0, json, sizeof json, &length); break;
        }
        break;
    case 33: {
        uint8_t found[8] = {0};
        if (CALL(ta_vectors_get, fits || slots[at].type == VIEW, handle, ids, few, numbers, few * 8, found))
            for (unsigned i = 0; i < 8; i++) if (found[i] > (i < few)) fail("a vector that was not asked for", 0);
        break;
    }
    case 34: { ta_key to = {0}; to.number = draw(6); CALL(ta_rename, fits, handle, &key, &to); break; }
    case 35: {
        uint64_t rest = draw(200), open[1] = {UINT64_MAX};
        ta_key name = {0};
        name.name = "name", name.name_length = 4;
        CALL(ta_put_stream_with, fits, handle, &name, TA_U8, open, 1, NULL, sevens, &rest, 0);
        break;
    }
    case 36: { /* a deadline may have passed; a cancel handle that is none is refused as that of a store is */
        int at_cancel = pick(CANCEL);
        uint64_t cancel = draw(2) ? slots[at_cancel].handle : 0;
        int known = !cancel || slots[at_cancel].type == CANCEL;
        CALL(ta_query_with, fits && known, handle, "SELECT * FROM atoms", 19, 99, cancel, json, sizeof json, &length);
        break;
    }
    case 37: CALL(ta_vectors_compact, fits, handle, 0, &count); break;
    case 38: { uint32_t existed; CALL(ta_txn_vectors_drop, fits, handle, &set, &existed); break; }
    case 39: {
        ta_moments moments;
        unsigned char bytes[64];
        if (CALL(ta_moments_push, 1, NULL, 0, TA_F32, 1, numbers, few, 0, bytes, sizeof bytes, &length))
            if (!CALL(ta_moments_finish, 1, bytes, length, 0, &moments) || moments.count != few) fail("moments of others", 0);
        break;
    }
    case 40: CALL(ta_verify_in, fits, handle, NULL, 0, "", 0, 0, json, sizeof json, &length); break;
    case 41: { /* of a snapshot, or of a transaction with which it ends */
        fits = fits || slots[at].type == TXN;
        int good = CALL(ta_vectors_view, fits, handle, &set, &made);
        if (!good || slots[at].type != TXN) { keep(good, &made, VIEW, NULL); break; }
        CALL(ta_vectors_ids, 1, made, ids, 8, &length);
        if (draw(4) == 0) CALL(ta_commit, 1, handle, NULL), CALL(ta_vectors_ids, 0, made, ids, 8, &length), CALL(ta_close, 1, handle), slots[at].type = 0;
        CALL(ta_close, 1, made);
        break;
    }
    case 42: CALL(ta_vectors_ids, fits || slots[at].type == VECTORS, handle, ids, draw(9), &length); break;
    case 43: CALL(ta_vectors_upsert, slots[at].type == VECTORS, handle, ids, few, numbers, 0); break; /* a view takes none */
    case 44: CALL(ta_get_info, fits || slots[at].type == STORE || slots[at].type == SNAPSHOT, handle, &key, &info); break;
    default: CALL(ta_read, fits || slots[at].type == SNAPSHOT || slots[at].type == TXN, handle, &key, draw(8), numbers, draw(16)); break;
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    state = strtoull(argv[2], NULL, 10);
    for (long steps = atol(argv[3]); steps > 0; steps--) step(argv[1]);
    for (int i = 0; i < SLOTS; i++) {
        if (slots[i].type) CALL(ta_close, 1, slots[i].handle);
        CALL(ta_close, 0, slots[i].handle);
    }
    printf("%llu\n", (unsigned long long)succeeded);
    return 0;
}
