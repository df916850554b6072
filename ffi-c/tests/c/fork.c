/* A child made by fork, and threads that open, read and close at once: fork DIRECTORY */
#define _DEFAULT_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)

static const char *path;
static ta_key key;

/* Opens, reads, maps and closes; other threads do the same, so that the store is opened and let go again and again. */
static int life(void) {
    char text[256] = "";
    ta_error error = {text, sizeof text, 0};
    for (int round = 0; round < 50; round++) {
        uint64_t store, snapshot, mapping, bytes;
        unsigned char back[3];
        const void *data;
        CHECK(ta_store_open(path, strlen(path), NULL, &store, &error) == TA_OK);
        CHECK(ta_read(store, &key, 0, back, 3, &error) == TA_OK && back[0] == 1 && back[2] == 3);
        CHECK(ta_snapshot(store, TA_NOW, 0, &snapshot, &error) == TA_OK);
        CHECK(ta_map(snapshot, &key, 1, UINT64_MAX, &data, &bytes, &mapping, &error) == TA_OK);
        CHECK(ta_close(store, &error) == TA_OK && ta_close(snapshot, &error) == TA_OK);
        CHECK(bytes == 2 && *(const unsigned char *)data == 2); /* after the last handle on the store */
        CHECK(ta_close(mapping, &error) == TA_OK);
        CHECK(ta_read(store, &key, 0, back, 3, &error) == TA_INVALID_HANDLE);
    }
    return 0;
}

static void *thread(void *failed) {
    *(int *)failed = life();
    return NULL;
}

static int child(uint64_t store, uint64_t txn) {
    char text[256] = "";
    ta_error error = {text, sizeof text, 0};
    unsigned char back[3];
    uint64_t fresh;
    CHECK(ta_read(store, &key, 0, back, 3, &error) == TA_FORKED && error.length > 0);
    CHECK(ta_commit(txn, NULL, &error) == TA_FORKED);
    CHECK(ta_store_open(path, strlen(path), NULL, &fresh, &error) == TA_OK);
    CHECK(ta_read(fresh, &key, 0, back, 3, &error) == TA_OK && back[1] == 2);
    return ta_close(fresh, &error);
}

int main(int argc, char **argv) {
    char text[256] = "";
    ta_error error = {text, sizeof text, 0};
    if (argc != 2) return 2;
    path = argv[1];
    ta_options open = {0};
    open.flags = TA_CREATE | TA_NO_SYNC;
    uint64_t store, txn, lsn, count = 3;
    unsigned char bytes[3] = {1, 2, 3};
    key.name = "a", key.name_length = 1;
    ta_tensor tensor = {bytes, 3, &count, 1, TA_U8};
    CHECK(ta_store_open(path, strlen(path), &open, &store, &error) == TA_OK);
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &key, &tensor, NULL, 0, &error) == TA_OK);
    CHECK(ta_commit(txn, NULL, &error) == TA_OK && ta_close(txn, &error) == TA_OK);
    ta_key second = key;
    second.name = "b";
    CHECK(ta_begin(store, &txn, &error) == TA_OK && ta_put(txn, &second, &tensor, NULL, 0, &error) == TA_OK);

    pid_t pid = fork();
    if (pid == 0) _exit(child(store, txn));
    int status = 0;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(ta_commit(txn, &lsn, &error) == TA_OK && lsn == 2); /* the child took nothing of the parent's with it */
    CHECK(ta_close(txn, &error) == TA_OK && ta_close(store, &error) == TA_OK);

    pthread_t threads[8];
    int failed[8] = {0};
    for (int i = 0; i < 8; i++) CHECK(pthread_create(&threads[i], NULL, thread, &failed[i]) == 0);
    for (int i = 0; i < 8; i++) CHECK(pthread_join(threads[i], NULL) == 0 && !failed[i]);
    return 0;
}
