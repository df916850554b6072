/* The library that Rust's programs take random numbers from, for wine 8, which has none. Never part of what is shipped. */
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID, ULONG); /* RtlGenRandom */

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T bytes) {
    while (bytes) {
        ULONG step = bytes > 0x10000000 ? 0x10000000 : (ULONG)bytes;
        if (!SystemFunction036(to, step)) return FALSE;
        to += step;
        bytes -= step;
    }
    return TRUE;
}
