/* A policy set, planned and applied; a pin; a move by hand; all through JSON: tier DIRECTORY */
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)
#define TEXT(literal) literal, strlen(literal)

int main(int argc, char **argv) {
    static char bytes[20000], out[65536], plan[65536];
    char text[256] = "";
    ta_error error = {text, sizeof text, 0};
    if (argc != 2) return 2;
    ta_options open = {0};
    open.flags = TA_CREATE | TA_NO_SYNC;
    uint64_t store, length, plan_length, shape = sizeof bytes;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    const char *names[2] = {"m/a", "m/b"};
    for (int i = 0; i < 2; i++) {
        ta_key key = {0};
        key.name = names[i], key.name_length = 3;
        memset(bytes, 'a' + i, sizeof bytes);
        ta_tensor tensor = {bytes, sizeof bytes, &shape, 1, TA_U8};
        uint64_t txn, lsn;
        CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
        CHECK(ta_commit(txn, &lsn, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    }
    CHECK(ta_tier_set_policy(store, TEXT("{\"warm_day\": 1}"), &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_tier_set_policy(store, TEXT("{\"codec\": \"zstd:20\"}"), &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_tier_set_policy(store, TEXT("{\"rules\": [{\"prefix\": \"m/\", \"tier\": \"cold\", \"codec\": \"zstd:9\"}]}"), &error) == TA_OK);
    CHECK(ta_tier_pin(store, TEXT("m/a"), 1, &error) == TA_OK);
    CHECK(ta_tier_policy(store, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"pins\"") && strstr(out, "m/a"));
    CHECK(ta_tier_plan(store, plan, sizeof plan - 1, &plan_length, &error) == TA_OK);
    plan[plan_length] = 0;
    CHECK(strstr(plan, "m/b") && !strstr(plan, "m/a"));
    CHECK(ta_tier_apply(store, plan, plan_length, 0, out, sizeof out - 1, &length, &error) == TA_OK && length < 1024);
    out[length] = 0;
    CHECK(strstr(out, "\"payloads_moved\":1") && strstr(out, "\"skipped\":0"));
    CHECK(ta_tier_apply(store, plan, plan_length, 0, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"payloads_moved\":0") && strstr(out, "\"skipped\":1"));
    CHECK(ta_tier_unpin(store, TEXT("m/a"), 1, &error) == TA_OK);
    ta_key elsewhere = {TEXT("tenant"), NULL, 0, -7};
    CHECK(ta_tier_pin_key(store, &elsewhere, 0, &error) == TA_OK);
    CHECK(ta_tier_policy(store, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"tenant\"") && strstr(out, "\"integer\": -7"));
    CHECK(ta_tier_unpin_key(store, &elsewhere, 0, &error) == TA_OK);
    CHECK(ta_tier_policy(store, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(!strstr(out, "tenant"));
    CHECK(ta_tier_maintain(store, 0, out, sizeof out - 1, &length, &error) == TA_OK && length < 1024);
    out[length] = 0;
    CHECK(strstr(out, "\"payloads_moved\":1"));
    CHECK(ta_stat(store, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"cold_payloads\":2") && strstr(out, "\"codec\":\"zstd\",\"payloads\":2"));
    CHECK(ta_move_to_tier(store, NULL, 0, TEXT(""), TA_WARM, 0, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"payloads_moved\":2"));
    CHECK(ta_gc(store, 0.0 / 0.0, 0.5, 0, 0, out, sizeof out - 1, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_gc(store, 0, 2, 0, 0, out, sizeof out - 1, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_gc(store, 0, 0, 1, 0, out, sizeof out - 1, &length, &error) == TA_OK && length < 1024);
    out[length] = 0;
    CHECK(strstr(out, "\"segments_deleted\":") && !strstr(out, "\"bytes_freed\":0,"));
    CHECK(ta_gc(store, 0, 0, 0, 0, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(!strstr(out, "\"bytes_freed\":0,") && strstr(out, "\"findings\":[]"));
    CHECK(strstr(out, "\"unavailable\":null"));
    CHECK(ta_stat(store, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"cold_directory\":null"));
    CHECK(ta_set_cold_directory(argv[1], strlen(argv[1]), TEXT("cold"), 0, out, sizeof out - 1, &length, &error) == TA_BUSY);
    CHECK(ta_close(store, &error) == TA_OK);
    /* A cold directory, given later; away, and back. */
    CHECK(ta_set_cold_directory(argv[1], strlen(argv[1]), TEXT("cold"), 0, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"segments_copied\":0"));
    open.cold_directory = "other", open.cold_directory_length = 5;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_INVALID_ARGUMENT);
    open.cold_directory = "cold", open.cold_directory_length = 4;
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    CHECK(ta_move_to_tier(store, NULL, 0, TEXT(""), TA_COLD, 0, out, sizeof out - 1, &length, &error) == TA_OK);
    char here[4096], away[4096];
    snprintf(here, sizeof here, "%s/cold", argv[1]), snprintf(away, sizeof away, "%s/away", argv[1]);
    /* What is open stays readable wherever its directory goes. */
    CHECK(ta_close(store, &error) == TA_OK && ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    CHECK(rename(here, away) == 0);
    ta_key key = {0};
    key.name = "m/a", key.name_length = 3;
    CHECK(ta_read(store, &key, 0, bytes, sizeof bytes, &error) == TA_COLD_UNAVAILABLE && strstr(text, "mount"));
    CHECK(ta_stat(store, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"path\":\"cold\"") && !strstr(out, "\"problem\":null"));
    CHECK(rename(away, here) == 0);
    CHECK(ta_read(store, &key, 0, bytes, sizeof bytes, &error) == TA_OK && bytes[0] == 'a');
    /* A tuned model whose base is not looked at takes the place of two. */
    for (int i = 0; i < 2; i++) {
        uint32_t random = 7;
        for (size_t at = 0; at < sizeof bytes; at++) bytes[at] = (char)((random = random * 1664525 + 1013904223) >> 24);
        bytes[i * 99] ^= 1;
        key.name = i ? "ft/x" : "base/x", key.name_length = i ? 4 : 6;
        ta_tensor tensor = {bytes, sizeof bytes, &shape, 1, TA_U8};
        uint64_t txn;
        CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
        CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    }
    CHECK(ta_move_to_tier_with(store, NULL, 0, TEXT("ft/"), TA_COLD, TEXT("base/"), 9, 0, out, sizeof out - 1, &length, &error) == TA_INVALID_ARGUMENT);
    CHECK(ta_move_to_tier_with(store, NULL, 0, TEXT("ft/"), TA_COLD, TEXT("base/"), TA_DELTAS_OFF, 0, out, sizeof out - 1, &length, &error) == TA_OK);
    out[length] = 0;
    CHECK(strstr(out, "\"deltas\":1") && ta_read(store, &key, 0, out, sizeof bytes, &error) == TA_OK);
    CHECK(!memcmp(out, bytes, sizeof bytes));
    return ta_close(store, &error) == TA_OK ? 0 : 1;
}
