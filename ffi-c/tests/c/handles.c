/* Threads that open, read and close one another's handles: every answer is a status. handles DIRECTORY */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

static const char *path;
static uint64_t shared[16];
static int wrong;

/* As many bytes as the number at `context` says: enough to lie in a segment before the commit. */
static int64_t sevens(void *context, uint8_t *buffer, uint64_t capacity) {
    uint64_t *rest = context, count = *rest < capacity ? *rest : capacity;
    memset(buffer, 7, count);
    *rest -= count;
    return (int64_t)count;
}

static void *work(void *seed) {
    unsigned state = *(unsigned *)seed;
    ta_options options = {0};
    options.flags = TA_CREATE | TA_NO_SYNC;
    for (int step = 0; step < 400; step++) {
        state = state * 1103515245u + 12345u;
        uint64_t *slot = &shared[state >> 16 & 15], handle = __atomic_load_n(slot, __ATOMIC_SEQ_CST), made = 0;
        uint64_t rest = 70000, open[1] = {UINT64_MAX};
        uint8_t byte = 7;
        ta_info info;
        ta_key key = {0}, staged = {0};
        staged.number = 1;
        int32_t status = TA_OK;
        switch (state >> 20 & 7) {
        case 0: status = ta_store_open(path, strlen(path), &options, &made, NULL); break;
        case 1: status = ta_snapshot(handle, TA_NOW, 0, &made, NULL); break;
        case 2: status = ta_get_info(handle, &key, &info, NULL); break;
        case 3: status = ta_begin(handle, &made, NULL); break;
        case 4: case 5: status = ta_put_stream(handle, &staged, TA_U8, open, 1, NULL, 0, sevens, &rest, NULL); break;
        case 6: /* by then another thread may have taken back what was staged, and a third one written over it */
            status = ta_read(handle, &staged, 69999, &byte, 1, NULL);
            if (byte != 7) wrong = 1;
            break;
        default: status = ta_close(handle, NULL);
        }
        if (status == TA_PANIC || (status != TA_OK && status != TA_INVALID_HANDLE && status != TA_NOT_FOUND)) wrong = status;
        if (made) ta_close(__atomic_exchange_n(slot, made, __ATOMIC_SEQ_CST), NULL);
    }
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    path = argv[1];
    pthread_t threads[4];
    unsigned seeds[4] = {1, 2, 3, 4};
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, work, &seeds[i]);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 16; i++) ta_close(shared[i], NULL);
    if (wrong) fprintf(stderr, "unexpected status %d\n", wrong);
    return wrong != 0;
}
