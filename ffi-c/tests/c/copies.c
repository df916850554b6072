/* Three copies of the library in one process, as plug-ins of a host bring them: copies DIRECTORY LIBRARY LIBRARY LIBRARY */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "tensoratom.h"

#define CHECK(condition) do { if (!(condition)) { fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition, text); return 1; } } while (0)

typedef int32_t (*open_store)(const char *, uint64_t, const ta_options *, uint64_t *, ta_error *);
typedef int32_t (*store_lsn)(uint64_t, uint64_t *, ta_error *);
typedef int32_t (*close_handle)(uint64_t, ta_error *);

int main(int argc, char **argv) {
    char text[256] = "";
    ta_error error = {text, sizeof text, 0};
    open_store open[3];
    store_lsn lsn[3];
    close_handle close[3];
    uint64_t store[3], newest;
    ta_options options = {0};
    options.flags = TA_CREATE | TA_NO_SYNC;
    if (argc != 5) return 2;
    for (int i = 0; i < 3; i++) {
        void *library = dlopen(argv[2 + i], RTLD_NOW | RTLD_LOCAL);
        CHECK(library);
        /* a pointer to a function is none to data in C, and is one everywhere the library runs */
        *(void **)&open[i] = dlsym(library, "ta_store_open");
        *(void **)&lsn[i] = dlsym(library, "ta_store_lsn");
        *(void **)&close[i] = dlsym(library, "ta_close");
        CHECK(open[i] && lsn[i] && close[i] && (i == 0 || open[i] != open[i - 1]));
        CHECK(open[i](argv[1], strlen(argv[1]), &options, &store[i], &error) == TA_OK);
    }
    /* Each opened the same store first of all: but for the copies, their handles would be the same numbers. Tags have 12 bits, so
       one pair in 4,096 processes may agree; not both of two. */
    for (int i = 0; i < 3; i++) {
        int accepted = 0;
        for (int j = 0; j < 3; j++) accepted += i != j && lsn[j](store[i], &newest, &error) != TA_INVALID_HANDLE;
        CHECK(accepted < 2 && lsn[i](store[i], &newest, &error) == TA_OK);
    }
    for (int i = 0; i < 3; i++) CHECK(close[i](store[i], &error) == TA_OK);
    return 0;
}
