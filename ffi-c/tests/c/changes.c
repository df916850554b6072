/* Changes since a commit: what, in which order, what fits: changes DIRECTORY */
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)

int main(int argc, char **argv) {
    char text[256] = "", key[64];
    ta_error error = {text, sizeof text, 0};
    if (argc != 2) return 2;
    ta_options open = {0};
    open.flags = TA_CREATE | TA_NO_SYNC;
    uint64_t store, txn, list, lsn = 0, first, second, length;
    uint32_t is_put = 9, existed;
    uint8_t byte = 7;
    ta_tensor tensor = {&byte, 1, NULL, 0, TA_U8};
    CHECK(ta_store_open(argv[1], strlen(argv[1]), &open, &store, &error) == TA_OK);
    CHECK(ta_changes(store, NULL, 0, 0, &list, &error) == TA_OK);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, sizeof key, &length, &error) == TA_NOT_FOUND && is_put == 9);
    CHECK(ta_close(list, &error) == TA_OK);
    CHECK(ta_changes(store, "absent", 6, 0, &list, &error) == TA_NOT_FOUND);

    ta_key number = {0}, name = {0};
    number.number = -3, name.name = "it's", name.name_length = 4;
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_put(txn, &name, &tensor, NULL, 0, &error) == TA_OK && ta_put(txn, &number, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, &first, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_delete(txn, &number, &existed, &error) == TA_OK);
    CHECK(ta_commit(txn, &second, &error) == TA_OK && ta_close(txn, &error) == TA_OK);

    CHECK(ta_changes(store, NULL, 0, 0, &list, &error) == TA_OK);
    /* A size that is asked, and a buffer too small, take nothing away. */
    CHECK(ta_changes_next(list, &lsn, &is_put, NULL, 0, &length, &error) == TA_OK && length == 2);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, 1, &length, &error) == TA_BUFFER_TOO_SMALL && length == 2);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, sizeof key, &length, &error) == TA_OK);
    CHECK(lsn == first && is_put == 1 && length == 2 && memcmp(key, "-3", 2) == 0);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, sizeof key, &length, &error) == TA_OK);
    CHECK(lsn == first && is_put == 1 && length == 6 && memcmp(key, "\"it's\"", 6) == 0);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, sizeof key, &length, &error) == TA_OK);
    CHECK(lsn == second && is_put == 0 && length == 2 && memcmp(key, "-3", 2) == 0);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, sizeof key, &length, &error) == TA_NOT_FOUND);
    CHECK(ta_close(list, &error) == TA_OK);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, sizeof key, &length, &error) == TA_INVALID_HANDLE);
    CHECK(ta_changes(store, NULL, 0, first, &list, &error) == TA_OK);
    CHECK(ta_changes_next(list, &lsn, &is_put, key, sizeof key, &length, &error) == TA_OK && lsn == second);
    CHECK(ta_close(list, &error) == TA_OK);

    /* A version that was replaced after somebody looked must not be deleted with the old one. */
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_delete_version(txn, &name, second, &existed, &error) == TA_OK && existed == 1);
    CHECK(ta_commit(txn, NULL, &error) == TA_CONFLICT && ta_close(txn, &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK);
    CHECK(ta_delete_version(txn, &name, first, NULL, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    ta_info info;
    CHECK(ta_get_info(store, &name, &info, &error) == TA_NOT_FOUND);
    CHECK(ta_close(store, &error) == TA_OK);
    return 0;
}
