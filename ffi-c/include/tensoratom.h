/*
 * TensorAtom: the C interface.
 *
 * Begin.      A store is a directory, a tensor in it has a key. The least program, without looking at statuses (search.c in the
 *             examples does, and searches vectors):
 *
 *                 char text[256];
 *                 ta_error error = {text, sizeof text, 0};
 *                 ta_options options = {.flags = TA_CREATE};
 *                 ta_key key = {NULL, 0, "encoder/weight", 14, 0};
 *                 uint64_t shape[2] = {2, 3}, store, txn;
 *                 ta_tensor tensor = {floats, 24, shape, 2, TA_F32};
 *                 ta_store_open("models", 6, &options, &store, &error);
 *                 ta_begin(store, &txn, &error);
 *                 ta_put(txn, &key, &tensor, NULL, 0, &error);
 *                 ta_commit(txn, NULL, &error);                 // durable now, and seen by all processes
 *                 ta_close(txn, &error);
 *                 ta_read(store, &key, 0, floats, 24, &error);  // verified; ta_map lends the bytes without a copy
 *                 ta_close(store, &error);
 *
 *             Compile with `pkg-config --cflags --libs tensoratom`, or with CMake's target TensorAtom::c.
 * Contents.   Stores, transactions, reading, listing, changes, reports; cancelling; vector sets and search; tiers and space;
 *             then what needs no store: vector mathematics, aggregates, conversions and JSON, geometry, linear algebra.
 * Status.     Every call returns int32_t: TA_OK (0), an error of the engine (1..99), or of this interface (1000..). Numbers
 *             never change their meaning and are only added to. The last argument is a ta_error of the caller, or NULL: its
 *             text is filled in the same call. Nothing is kept per thread. An output is written only on success, but for
 *             the buffer of ta_read and ta_read_with, whose content is undefined after an error.
 * Handles.    64-bit values, never pointers; 0 is none. A stale, closed or forged handle, one of another type or of another
 *             copy of the library is TA_INVALID_HANDLE. Closing while another thread uses the handle is safe: what it names
 *             goes when that call returns. In a child made by fork calls fail with TA_FORKED; a store can be opened anew there.
 * Threads.    Every call may be made from any thread. Calls on one transaction, list or aggregate wait for one
 *             another.
 * Ownership.  Memory belongs to whoever made it. The library keeps no pointer of the caller after a call. Only ta_map and
 *             ta_map_with lend memory: it stays valid until ta_close of the handle they return, even after the store was closed.
 * NULL.       (NULL, 0) is valid wherever a buffer is. A name of NULL in a ta_key means the number, an ns of NULL the
 *             default namespace; functions named _in take a namespace, or NULL for that one.
 * Memory.     What is as large as an input or an answer is asked for first: TA_OUT_OF_MEMORY where there is not that much, and all
 *             else goes on. Names, paths and prefixes have at most 64 KiB.
 * Alignment.  Bytes may lie anywhere for calls that take a dtype. Typed pointers (float *, double *, int64_t *, structs)
 *             must be aligned to their type; TA_INVALID_ARGUMENT otherwise.
 * Overlap.    Outputs must not overlap inputs or one another: TA_INVALID_ARGUMENT.
 * Sizes.      uint64_t. A call with (out, capacity, length) sets *length to what is there. NULL with capacity 0 asks for the
 *             size and returns TA_OK; a buffer too small is TA_BUFFER_TOO_SMALL, with *length set and nothing else.
 *             Texts are UTF-8 with a length and no NUL at the end, but for ta_error.text.
 * Units.      Bytes, microseconds since 1970 for times, milliseconds for time-outs; commits count from 1.
 * Waiting.    Calls that may be long take a handle of ta_cancel_new, or 0; of some there is a shorter form without, named as
 *             theirs but for _with. All others end by themselves: those that compute after a time that follows from the
 *             numbers passed, those that read or commit one thing after a few accesses of the device and, where another
 *             process commits, after lock_timeout_ms of the store at the latest.
 * Versions.   ta_abi_version changes when a function or a struct changes; functions that are added leave it as it is, and a
 *             program that wants them looks them up. Structs do not grow: what needs more members is a new function.
 */

#ifndef TENSORATOM_H
#define TENSORATOM_H

#include <stdint.h>

/*
 Version of the binary interface.
 */
#define TA_ABI_VERSION 1

/*
 Success.
 */
#define TA_OK 0

/*
 The handle is closed, stale, forged, of another store or of another type.
 */
#define TA_INVALID_HANDLE 1000

/*
 The output does not fit; its length was set.
 */
#define TA_BUFFER_TOO_SMALL 1001

/*
 The library broke a promise of its own, and stopped before harm was done. Please report it.
 */
#define TA_PANIC 1002

/*
 Number of ErrorKind `NotFound`; likewise below.
 */
#define TA_NOT_FOUND 1

/*
 Something of that name is there already.
 */
#define TA_ALREADY_EXISTS 2

/*
 Another commit changed it since it was read.
 */
#define TA_CONFLICT 3

/*
 An argument is outside what the call accepts.
 */
#define TA_INVALID_ARGUMENT 4

/*
 A key is empty, too long, or holds a NUL.
 */
#define TA_INVALID_KEY 5

/*
 Shape, type and length do not belong together.
 */
#define TA_INVALID_SHAPE 6

/*
 Metadata is not one JSON object, or too large.
 */
#define TA_INVALID_METADATA 7

/*
 Not possible in this state or for this type.
 */
#define TA_UNSUPPORTED 8

/*
 The moment asked for lies in history that was given up.
 */
#define TA_FORGOTTEN 9

/*
 The directory is not a store.
 */
#define TA_NOT_A_STORE 20

/*
 Written by a newer version of the format.
 */
#define TA_NEWER_FORMAT 21

/*
 On a network file system.
 */
#define TA_NETWORK_FILE_SYSTEM 22

/*
 The store, handle or medium is read-only.
 */
#define TA_READ_ONLY 23

/*
 The operating system refused access.
 */
#define TA_PERMISSION_DENIED 24

/*
 Another process or thread holds it longer than the timeout.
 */
#define TA_BUSY 25

/*
 Stored bytes of one atom are damaged.
 */
#define TA_CORRUPT 40

/*
 The catalog is damaged; ta_repair restores it.
 */
#define TA_CATALOG_CORRUPT 41

/*
 A file offered for import contradicts itself.
 */
#define TA_BAD_FILE 42

/*
 The device or the operating system failed.
 */
#define TA_IO 60

/*
 No space or quota left.
 */
#define TA_DISK_FULL 61

/*
 Memory could not be had.
 */
#define TA_OUT_OF_MEMORY 62

/*
 A write failed earlier; reopen the store.
 */
#define TA_POISONED 63

/*
 The cold directory is away, fails, or is another store's; all else is served.
 */
#define TA_COLD_UNAVAILABLE 64

/*
 The store was closed.
 */
#define TA_CLOSED 80

/*
 Opened before fork.
 */
#define TA_FORKED 81

/*
 The cancel handle was set, or its deadline passed.
 */
#define TA_CANCELLED 82

/*
 A promise of the engine was broken. Please report it.
 */
#define TA_INTERNAL 99

/*
 Make the store if it is not there.
 */
#define TA_CREATE 1

/*
 Open for reading only.
 */
#define TA_OPEN_READ_ONLY 2

/*
 Copy payload bytes by positioned reads; map none.
 */
#define TA_POSITIONED 4

/*
 Commits do not wait for the device: they survive the process, not the machine.
 */
#define TA_NO_SYNC 8

/*
 Make the store; TA_ALREADY_EXISTS where one is there.
 */
#define TA_CREATE_NEW 16

/*
 The store as it is now.
 */
#define TA_NOW 0

/*
 The store after a commit.
 */
#define TA_AS_OF_LSN 1

/*
 The store after the newest commit at or before a time.
 */
#define TA_AS_OF_TIME 2

/*
 A file is of the format that the end of its name says.
 */
#define TA_FORMAT_BY_NAME 0

/*
 A file is safetensors, whatever its name says.
 */
#define TA_FORMAT_SAFETENSORS 1

/*
 A file is NumPy's npy, whatever its name says.
 */
#define TA_FORMAT_NPY 2

/*
 The elements are the values.
 */
#define TA_PLAIN 0

/*
 Blocks of a named layout, of the type TA_OPAQUE.
 */
#define TA_BLOCKS 1

/*
 Integers that stand for reals: value = scale * (element - zero point).
 */
#define TA_QUANTIZED 2

/*
 The key may be there or not.
 */
#define TA_EXPECT_ANY 0

/*
 The key must not be there at the commit, which is TA_ALREADY_EXISTS otherwise.
 */
#define TA_EXPECT_ABSENT 1

/*
 The key must have the version that the commit `expect_lsn` made; the commit is TA_CONFLICT otherwise.
 */
#define TA_EXPECT_VERSION 2

/*
 Raw on local disk.
 */
#define TA_WARM 2

/*
 Coded.
 */
#define TA_COLD 3

/*
 What was made from something else is coded against it as the policy of the store says.
 */
#define TA_DELTAS_BY_POLICY 0

/*
 It is, where that is clearly smaller.
 */
#define TA_DELTAS_ON 1

/*
 It is not.
 */
#define TA_DELTAS_OFF 2

/*
 Appended vectors get a companion where that pays: parts of 1,024 and more, of types larger than a byte.
 */
#define TA_COMPANIONS_AUTO 0

/*
 They do in parts of any size.
 */
#define TA_COMPANIONS_ALWAYS 1

/*
 They do not; ta_vectors_build_companions makes them later.
 */
#define TA_COMPANIONS_NEVER 2

/*
 Heed `allow`, even an empty one.
 */
#define TA_SEARCH_ALLOW 1

/*
 Heed `id_min` and `id_max`.
 */
#define TA_SEARCH_ID_RANGE 2

/*
 Heed `distance_max`.
 */
#define TA_SEARCH_DISTANCE_MAX 4

/*
 Compare every vector in full precision, companion or not: the results are the same. For measurements.
 */
#define TA_SEARCH_FULL_SCAN 8

/*
 Elements of 64-bit floats. Numbers of types are those of the storage format.
 */
#define TA_F64 1

/*
 binary32.
 */
#define TA_F32 2

/*
 binary16.
 */
#define TA_F16 3

/*
 bfloat16.
 */
#define TA_BF16 4

/*
 OCP E4M3.
 */
#define TA_F8E4M3 5

/*
 OCP E5M2.
 */
#define TA_F8E5M2 6

/*
 Signed 64-bit integers.
 */
#define TA_I64 7

/*
 Signed 32-bit integers.
 */
#define TA_I32 8

/*
 Signed 16-bit integers.
 */
#define TA_I16 9

/*
 Signed 8-bit integers.
 */
#define TA_I8 10

/*
 Unsigned 64-bit integers.
 */
#define TA_U64 11

/*
 Unsigned 32-bit integers.
 */
#define TA_U32 12

/*
 Unsigned 16-bit integers.
 */
#define TA_U16 13

/*
 Unsigned 8-bit integers.
 */
#define TA_U8 14

/*
 One byte per element, 0 or 1.
 */
#define TA_BOOL 15

/*
 Packed bits, lowest first; each row starts at a byte.
 */
#define TA_B1 16

/*
 Blocks of a named layout.
 */
#define TA_OPAQUE 17

/*
 Minus the inner product. Every metric is a distance.
 */
#define TA_DOT 1

/*
 1 - cosine similarity.
 */
#define TA_COSINE 2

/*
 Squared Euclidean distance.
 */
#define TA_SQEUCLIDEAN 3

/*
 Euclidean distance.
 */
#define TA_EUCLIDEAN 4

/*
 Sum of absolute differences.
 */
#define TA_MANHATTAN 5

/*
 Number of elements (bits) that differ.
 */
#define TA_HAMMING 6

/*
 1 - intersection / union of the non-zero elements.
 */
#define TA_JACCARD 7

/*
 The sum, for ta_reduce.
 */
#define TA_SUM 1

/*
 The mean; TA_INVALID_ARGUMENT of nothing.
 */
#define TA_MEAN 2

/*
 Variance with the divisor n.
 */
#define TA_VARIANCE 3

/*
 Variance with the divisor n - 1.
 */
#define TA_SAMPLE_VARIANCE 4

/*
 The smallest element.
 */
#define TA_MIN 5

/*
 The largest element.
 */
#define TA_MAX 6

/*
 Index of the smallest element.
 */
#define TA_ARGMIN 7

/*
 Index of the largest element.
 */
#define TA_ARGMAX 8

/*
 Sum of magnitudes.
 */
#define TA_NORM_1 9

/*
 Euclidean norm.
 */
#define TA_NORM_2 10

/*
 Largest magnitude.
 */
#define TA_NORM_MAX 11

/*
 log of the sum of exponentials.
 */
#define TA_LOG_SUM_EXP 12

/*
 Where a call writes the text of its error. Made by the caller, who may pass NULL instead.
 */
typedef struct {
  /*
   Receives the text, cut to fit and ended by NUL; NULL with capacity 0 takes no text.
   */
  char *text;
  /*
   Bytes at `text`.
   */
  uint64_t capacity;
  /*
   Set to the length of the whole text without its NUL; 0 on success.
   */
  uint64_t length;
} ta_error;

/*
 How to open a store. All zero is the default, and so is NULL.
 */
typedef struct {
  /*
   TA_CREATE, TA_OPEN_READ_ONLY, TA_POSITIONED, TA_NO_SYNC, TA_CREATE_NEW or-ed together.
   */
  uint32_t flags;
  /*
   Raw bytes of a chunk, at creation; 0 for 256 KiB.
   */
  uint32_t chunk_bytes;
  /*
   Bytes of a segment, at creation; 0 for 256 MiB.
   */
  uint64_t segment_bytes;
  /*
   Bound of the cache of descriptors; 0 for the default.
   */
  uint64_t cache_bytes;
  /*
   Threads for large payloads; 0 for all cores.
   */
  uint64_t threads;
  /*
   Milliseconds to wait for locks of other processes; 0 for the default.
   */
  uint64_t lock_timeout_ms;
  /*
   Where a store that is made keeps its cold tier, perhaps on another disk: UTF-8, absolute or relative to the store; of a
   store that is there, the directory in use. NULL for the store's own.
   */
  const char *cold_directory;
  /*
   Its bytes.
   */
  uint64_t cold_directory_length;
} ta_options;

/*
 A key: a name, or where `name` is NULL a number; in a namespace, or where `ns` is NULL in the default one.
 */
typedef struct {
  /*
   Name of the namespace, or NULL.
   */
  const char *ns;
  /*
   Its bytes.
   */
  uint64_t ns_length;
  /*
   UTF-8, or NULL for a number.
   */
  const char *name;
  /*
   Its bytes.
   */
  uint64_t name_length;
  /*
   The key where `name` is NULL.
   */
  int64_t number;
} ta_key;

/*
 A tensor in memory of the caller, C order, little-endian, any alignment.
 */
typedef struct {
  /*
   The elements.
   */
  const void *data;
  /*
   Bytes at `data`.
   */
  uint64_t bytes;
  /*
   Dimensions, outermost first; NULL for a scalar.
   */
  const uint64_t *shape;
  /*
   Number of dimensions, at most 64.
   */
  uint32_t rank;
  /*
   Element type.
   */
  uint32_t dtype;
} ta_tensor;

/*
 Gives the next bytes of a payload: writes at most `capacity` bytes to `buffer` and returns how many; 0 at the end, a
 negative number to give up. Must return (no longjmp, no exception). Its calls on the same transaction are refused with
 TA_INVALID_ARGUMENT.
 */
typedef int64_t (*ta_source)(void *context, uint8_t *buffer, uint64_t capacity);

/*
 How elements are to be understood. All zero is plain; members of other kinds are not looked at.
 */
typedef struct {
  /*
   TA_PLAIN, TA_BLOCKS or TA_QUANTIZED.
   */
  uint32_t kind;
  /*
   Of quantised elements: how many share a scale; 0 for all.
   */
  uint32_t block;
  /*
   One scale per block.
   */
  const float *scale;
  /*
   Number of scales.
   */
  uint64_t scale_count;
  /*
   One zero point per block, or NULL for symmetric codes.
   */
  const int32_t *zero_point;
  /*
   Number of zero points: that of scales, or 0.
   */
  uint64_t zero_point_count;
  /*
   Of blocks: name of the layout (`Q4_0`).
   */
  const char *layout;
  /*
   Its bytes.
   */
  uint64_t layout_length;
  /*
   Elements in a block.
   */
  uint32_t block_elements;
  /*
   Bytes in a block.
   */
  uint32_t block_bytes;
} ta_encoding;

/*
 What ta_put_with takes besides the tensor. All zero is the default, and so is NULL.
 */
typedef struct {
  /*
   One JSON object, at most 1 MiB, or NULL.
   */
  const char *metadata;
  /*
   Its bytes.
   */
  uint64_t metadata_length;
  /*
   Keys that this atom was made from, in its namespace: their `ns` is NULL. They must exist at the commit.
   */
  const ta_key *parents;
  /*
   Number of parents.
   */
  uint64_t parent_count;
  /*
   NULL for plain.
   */
  const ta_encoding *encoding;
  /*
   TA_EXPECT_ANY, TA_EXPECT_ABSENT or TA_EXPECT_VERSION.
   */
  uint32_t expect;
  /*
   The version expected.
   */
  uint64_t expect_lsn;
} ta_put_options;

/*
 Descriptor of an atom.
 */
typedef struct {
  /*
   Element type.
   */
  uint32_t dtype;
  /*
   Number of dimensions.
   */
  uint32_t rank;
  /*
   Dimensions, outermost first; 0 behind `rank`.
   */
  uint64_t shape[64];
  /*
   Bytes of the payload.
   */
  uint64_t bytes;
  /*
   Commit that made this version.
   */
  uint64_t lsn;
  /*
   Time of that commit.
   */
  uint64_t created_us;
  /*
   BLAKE3-256 of the payload.
   */
  uint8_t digest[32];
} ta_info;

/*
 How far a call is.
 */
typedef struct {
  /*
   Bytes done.
   */
  uint64_t bytes_done;
  /*
   Bytes in all, as far as known.
   */
  uint64_t bytes_total;
  /*
   Atoms, payloads or segments done.
   */
  uint64_t items_done;
  /*
   Such in all, as far as known.
   */
  uint64_t items_total;
} ta_progress;

/*
 What a search leaves out. All zero: nothing, by the metric of the set, on all cores.
 */
typedef struct {
  /*
   TA_SEARCH_ALLOW, TA_SEARCH_ID_RANGE, TA_SEARCH_DISTANCE_MAX, TA_SEARCH_FULL_SCAN or-ed together.
   */
  uint32_t flags;
  /*
   Another metric than that of the set; 0 for its own.
   */
  uint32_t metric;
  /*
   Only these ids, in any order.
   */
  const int64_t *allow;
  /*
   Number of ids at `allow`.
   */
  uint64_t allow_count;
  /*
   Not these ids, in any order.
   */
  const int64_t *deny;
  /*
   Number of ids at `deny`.
   */
  uint64_t deny_count;
  /*
   First id of the range.
   */
  int64_t id_min;
  /*
   Last id of the range.
   */
  int64_t id_max;
  /*
   Nothing farther away. A least inner product `s` is the distance -s, a least cosine similarity `s` is 1 - s.
   */
  double distance_max;
  /*
   At most so many threads; 0 for all. Results do not depend on it.
   */
  uint64_t threads;
} ta_search_options;

/*
 What a state says.
 */
typedef struct {
  /*
   How many numbers were seen.
   */
  uint64_t count;
  /*
   Mean; NaN of nothing.
   */
  double mean;
  /*
   Variance with the divisor asked for; NaN where it is not positive.
   */
  double variance;
  /*
   Smallest number; infinity of nothing.
   */
  double min;
  /*
   Largest number; minus infinity of nothing.
   */
  double max;
} ta_moments;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/*
 Closes any handle: a store, transaction (aborted), snapshot, mapping, cancel handle, list, vector set, view of one,
 aggregate or projection.
 What it names lives on while another call uses it. TA_INVALID_HANDLE for 0 and for one that was closed.
 */
int32_t ta_close(uint64_t handle, ta_error *error);

/*
 Version of the binary interface of the library that was loaded; compare with TA_ABI_VERSION.
 */
uint32_t ta_abi_version(void);

/*
 Largest interface version this library serves.
 */
uint32_t ta_last_supported(void);

/*
 Version of the library (`0.1.0`).
 */
int32_t ta_version(char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 Name of a status (`NotFound`). TA_INVALID_ARGUMENT for a number that no status has.
 */
int32_t ta_status_name(int32_t status, char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 Opens the store in a directory. In one process a directory opens once; later opens share it. Blocks and may sync.
 */
int32_t ta_store_open(const char *path,
                      uint64_t path_length,
                      const ta_options *options,
                      uint64_t *store,
                      ta_error *error);

/*
 As ta_store_open, and of what is pinned at most `hot_bytes` are read into memory behind the opening: 0 for nothing,
 UINT64_MAX for all. ta_store_open reads 1 GiB. What the system needs otherwise it may take back.
 */
int32_t ta_store_open_with(const char *path,
                           uint64_t path_length,
                           const ta_options *options,
                           uint64_t hot_bytes,
                           uint64_t *store,
                           ta_error *error);

/*
 What a store was made with and is open with, as a JSON object: {uuid, path, created_us, segment_bytes, chunk_bytes,
 is_read_only}; `path` is null where it is not UTF-8.
 */
int32_t ta_store_facts(uint64_t store, char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 Makes a namespace, in a commit of its own. Nothing happens where there is one of that name.
 */
int32_t ta_namespace_create(uint64_t store, const char *name, uint64_t name_length, ta_error *error);

/*
 Names of the namespaces, as a JSON array.
 */
int32_t ta_namespaces(uint64_t store, char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 Newest commit.
 */
int32_t ta_store_lsn(uint64_t store, uint64_t *lsn, ta_error *error);

/*
 Makes a snapshot: TA_NOW, TA_AS_OF_LSN or TA_AS_OF_TIME with `moment`. Close it with ta_close.
 */
int32_t ta_snapshot(uint64_t store, uint32_t as_of, uint64_t moment, uint64_t *snapshot, ta_error *error);

/*
 The newest commit that a snapshot shows.
 */
int32_t ta_snapshot_lsn(uint64_t snapshot, uint64_t *lsn, ta_error *error);

/*
 Imports a safetensors or npy file in one commit, names prefixed; `lsn` is that commit.
 */
int32_t ta_import(uint64_t store,
                  const char *path,
                  uint64_t path_length,
                  const char *prefix,
                  uint64_t prefix_length,
                  uint64_t cancel,
                  uint64_t *lsn,
                  ta_error *error);

/*
 As ta_import, into a namespace; NULL is the default one.
 */
int32_t ta_import_in(uint64_t store,
                     const char *ns,
                     uint64_t ns_length,
                     const char *path,
                     uint64_t path_length,
                     const char *prefix,
                     uint64_t prefix_length,
                     uint64_t cancel,
                     uint64_t *lsn,
                     ta_error *error);

/*
 Writes the atoms below a prefix into a safetensors file, which appears whole or not at all.
 */
int32_t ta_export(uint64_t store,
                  const char *path,
                  uint64_t path_length,
                  const char *prefix,
                  uint64_t prefix_length,
                  uint64_t cancel,
                  uint64_t *atoms,
                  ta_error *error);

/*
 As ta_export, from a namespace; NULL is the default one.
 */
int32_t ta_export_in(uint64_t store,
                     const char *ns,
                     uint64_t ns_length,
                     const char *path,
                     uint64_t path_length,
                     const char *prefix,
                     uint64_t prefix_length,
                     uint64_t cancel,
                     uint64_t *atoms,
                     ta_error *error);

/*
 As ta_import_in, of a file of the format TA_FORMAT_BY_NAME, TA_FORMAT_SAFETENSORS or TA_FORMAT_NPY. `into` is a store, or a
 transaction that makes several files and other changes one commit. The report is a JSON object of numbers: {atoms,
 file_bytes, payload_bytes, new_bytes, lsn}, of which `lsn` is 0 in a transaction. Too small a buffer is found out only when
 all is done; 256 bytes are enough.
 */
int32_t ta_import_with(uint64_t into,
                       const char *ns,
                       uint64_t ns_length,
                       const char *path,
                       uint64_t path_length,
                       const char *prefix,
                       uint64_t prefix_length,
                       uint32_t format,
                       uint64_t cancel,
                       char *out,
                       uint64_t capacity,
                       uint64_t *length,
                       ta_error *error);

/*
 As ta_export_in, from a store or from a snapshot of it. Where several files were imported below the prefix, `file_name`
 says which of them is meant; NULL for all atoms. The report is JSON: {atoms, file_bytes, header_kept}, of which
 `header_kept` says that the file is the one once imported, the same bit for bit as long as its tensors are. Too small a
 buffer is found out only when all is done; 256 bytes are enough.
 */
int32_t ta_export_with(uint64_t from,
                       const char *ns,
                       uint64_t ns_length,
                       const char *path,
                       uint64_t path_length,
                       const char *prefix,
                       uint64_t prefix_length,
                       const char *file_name,
                       uint64_t file_name_length,
                       uint64_t cancel,
                       char *out,
                       uint64_t capacity,
                       uint64_t *length,
                       ta_error *error);

/*
 Writes one atom of a store or a snapshot into an npy file. bf16 and 8-bit floats, which NumPy lacks, become unsigned
 integers of their size. TA_UNSUPPORTED for packed bits and blocks.
 */
int32_t ta_export_npy(uint64_t from, const ta_key *key, const char *path, uint64_t path_length, ta_error *error);

/*
 Gives a store that nobody has open a cold directory, or moves the one it has: copied, synced, read back, switched over, then
 deleted. A relative path starts in the store. The report is JSON: {segments_copied, bytes_copied, left_behind}, fewer than
 1,024 bytes and the path in it; the directory is changed also where it does not fit.
 */
int32_t ta_set_cold_directory(const char *path,
                              uint64_t path_length,
                              const char *directory,
                              uint64_t directory_length,
                              uint64_t cancel,
                              char *out,
                              uint64_t capacity,
                              uint64_t *length,
                              ta_error *error);

/*
 Repairs a store that nobody has open; with `rebuild_catalog` not 0 its catalog is made anew. `atoms` is how many it has.
 */
int32_t ta_repair(const char *path,
                  uint64_t path_length,
                  uint32_t rebuild_catalog,
                  uint64_t cancel,
                  uint64_t *atoms,
                  ta_error *error);

/*
 As ta_repair, and with `without_cold` not 0 the catalog is made anew although the cold directory is away: it has to be made
 once more when that is back. The report is JSON: {identity_rewritten, catalog_rebuilt, segments_scanned, records_found,
 commits_applied, commits_missing, payloads_adopted, atoms, findings}; `commits_missing` has the first and the last of each
 gap, `findings` are sentences about what could not be read. Too small a buffer is found out only when all is done;
 1,024 bytes are enough where nothing is amiss.
 */
int32_t ta_repair_with(const char *path,
                       uint64_t path_length,
                       uint32_t rebuild_catalog,
                       uint32_t without_cold,
                       uint64_t cancel,
                       char *out,
                       uint64_t capacity,
                       uint64_t *length,
                       ta_error *error);

/*
 Begins a transaction. ta_commit makes it durable; ta_close without a commit takes it back.
 */
int32_t ta_begin(uint64_t store, uint64_t *txn, ta_error *error);

/*
 Commits: all or nothing, durable when it returns. `lsn` (may be NULL) is the commit. The handle stays to be closed.
 */
int32_t ta_commit(uint64_t txn, uint64_t *lsn, ta_error *error);

/*
 Puts a tensor, with metadata (one JSON object) or NULL.
 */
int32_t ta_put(uint64_t txn,
               const ta_key *key,
               const ta_tensor *tensor,
               const char *metadata,
               uint64_t metadata_length,
               ta_error *error);

/*
 Puts a payload of unknown length, block by block, never whole in memory. A first dimension of UINT64_MAX follows from
 the bytes. When the source gives up, TA_CANCELLED, and the transaction is as it was.
 */
int32_t ta_put_stream(uint64_t txn,
                      const ta_key *key,
                      uint32_t dtype,
                      const uint64_t *shape,
                      uint32_t rank,
                      const char *metadata,
                      uint64_t metadata_length,
                      ta_source source,
                      void *context,
                      ta_error *error);

/*
 Deletes a key; `existed` (may be NULL) says whether it was there. Snapshots made before still show it.
 */
int32_t ta_delete(uint64_t txn, const ta_key *key, uint32_t *existed, ta_error *error);

/*
 Moves an atom to another key. No byte is written again.
 */
int32_t ta_rename(uint64_t txn, const ta_key *from, const ta_key *to, ta_error *error);

/*
 Replaces the metadata of an atom: one JSON object, or NULL for none.
 */
int32_t ta_set_metadata(uint64_t txn,
                        const ta_key *key,
                        const char *metadata,
                        uint64_t metadata_length,
                        ta_error *error);

/*
 As ta_delete, of the version that the commit `lsn` made: where there is another one by then, or none, ta_commit is
 TA_CONFLICT. So whoever decided by a listing deletes what was listed.
 */
int32_t ta_delete_version(uint64_t txn, const ta_key *key, uint64_t lsn, uint32_t *existed, ta_error *error);

/*
 Puts a tensor with options. A set cancel handle, or its deadline, ends the call with TA_CANCELLED within 4 MiB; the
 transaction is as it was then.
 */
int32_t ta_put_with(uint64_t txn,
                    const ta_key *key,
                    const ta_tensor *tensor,
                    const ta_put_options *options,
                    uint64_t cancel,
                    ta_error *error);

/*
 As ta_put_stream with options, given up with TA_CANCELLED before the next block is asked for once the cancel handle is set
 or its deadline has passed; the transaction is as it was then.
 */
int32_t ta_put_stream_with(uint64_t txn,
                           const ta_key *key,
                           uint32_t dtype,
                           const uint64_t *shape,
                           uint32_t rank,
                           const ta_put_options *options,
                           ta_source source,
                           void *context,
                           uint64_t cancel,
                           ta_error *error);

/*
 As ta_commit, given up with TA_CANCELLED where the cancel handle is set, or its deadline has passed, before the last sync
 of its segments is done: while it waits for its turn or for other processes, and between two syncs; then the
 transaction is taken back. One that shares its syncs with commits of other threads is brought to its end with them.
 */
int32_t ta_commit_with(uint64_t txn,
                       uint64_t cancel,
                       uint64_t *lsn,
                       ta_error *error);

/*
 How the elements of an atom are to be understood, as a JSON object: its `kind` is `plain`, `blocks` or `quantized`.
 */
int32_t ta_get_encoding(uint64_t from,
                        const ta_key *key,
                        char *out,
                        uint64_t capacity,
                        uint64_t *length,
                        ta_error *error);

/*
 Descriptor of an atom. TA_NOT_FOUND where there is none. `from` is a store, a snapshot, or a transaction: that shows what it
 has put, with `lsn` and `created_us` of 0, and for the rest the store as it was when the transaction began.
 */
int32_t ta_get_info(uint64_t from,
                    const ta_key *key,
                    ta_info *info,
                    ta_error *error);

/*
 Metadata of an atom, the JSON text that was given; empty where none was.
 */
int32_t ta_get_metadata(uint64_t from,
                        const ta_key *key,
                        char *out,
                        uint64_t capacity,
                        uint64_t *length,
                        ta_error *error);

/*
 Reads `count` verified bytes from `offset` into memory of the caller; `from` as in ta_get_info. TA_INVALID_ARGUMENT beyond
 the end. After an error what `out` holds is undefined: chunks are verified where they are read to, and a later one may be
 damaged.
 */
int32_t ta_read(uint64_t from,
                const ta_key *key,
                uint64_t offset,
                void *out,
                uint64_t count,
                ta_error *error);

/*
 As ta_read, ended with TA_CANCELLED within 4 MiB once the cancel handle is set or its deadline has passed.
 */
int32_t ta_read_with(uint64_t from,
                     const ta_key *key,
                     uint64_t offset,
                     void *out,
                     uint64_t count,
                     uint64_t cancel,
                     ta_error *error);

/*
 Reads all elements of an atom as f32, whatever its type and encoding: floats are rounded, integers converted, codes of
 TA_QUANTIZED scaled, blocks of a GGUF layout decoded. `count` must be the number of its elements. Ended with TA_CANCELLED
 soon after the cancel handle is set or its deadline has passed.
 */
int32_t ta_read_f32(uint64_t from,
                    const ta_key *key,
                    float *out,
                    uint64_t count,
                    uint64_t cancel,
                    ta_error *error);

/*
 Lends `count` verified bytes from `offset`, UINT64_MAX for all up to the end, without a copy where payloads are mapped.
 `from` is a store or a snapshot: what a transaction has put is read, or lent once it is committed.
 They stay at `data` until ta_close of `mapping`. NULL where there are none.
 */
int32_t ta_map(uint64_t from,
               const ta_key *key,
               uint64_t offset,
               uint64_t count,
               const void **data,
               uint64_t *bytes,
               uint64_t *mapping,
               ta_error *error);

/*
 As ta_map, ended with TA_CANCELLED within 64 MiB of what is touched for the first time once the cancel handle is set or
 its deadline has passed.
 */
int32_t ta_map_with(uint64_t from,
                    const ta_key *key,
                    uint64_t offset,
                    uint64_t count,
                    uint64_t cancel,
                    const void **data,
                    uint64_t *bytes,
                    uint64_t *mapping,
                    ta_error *error);

/*
 Lists the atoms whose names start with a prefix, and without one those with numbers first. Take them with ta_list_next.
 */
int32_t ta_list(uint64_t snapshot, const char *prefix, uint64_t prefix_length, uint64_t *list, ta_error *error);

/*
 As ta_list_in, of what comes behind a key, be that there or not: whoever took a part of a long list before goes on so. The
 `ns` of `after` is not looked at; NULL begins at the front.
 */
int32_t ta_list_after(uint64_t snapshot,
                      const char *ns,
                      uint64_t ns_length,
                      const char *prefix,
                      uint64_t prefix_length,
                      const ta_key *after,
                      uint64_t *list,
                      ta_error *error);

/*
 The next atom: its descriptor in `info`, its key as JSON (a string or a number) in `key`, 8 KiB at most.
 TA_NOT_FOUND behind the last one. An atom stays the next one while only the size of its key is asked, or it does not fit.
 */
int32_t ta_list_next(uint64_t list,
                     ta_info *info,
                     char *key,
                     uint64_t capacity,
                     uint64_t *length,
                     ta_error *error);

/*
 As ta_list, in a namespace; NULL is the default one.
 */
int32_t ta_list_in(uint64_t snapshot,
                   const char *ns,
                   uint64_t ns_length,
                   const char *prefix,
                   uint64_t prefix_length,
                   uint64_t *list,
                   ta_error *error);

/*
 Deletes every name that starts with a prefix, all atoms of the namespace where it is empty; `deleted` is how many.
 */
int32_t ta_delete_prefix(uint64_t txn,
                         const char *ns,
                         uint64_t ns_length,
                         const char *prefix,
                         uint64_t prefix_length,
                         uint64_t *deleted,
                         ta_error *error);

/*
 As ta_delete_prefix, ended with TA_CANCELLED between two keys once the cancel handle is set or its deadline has passed;
 the transaction is as it was then.
 */
int32_t ta_delete_prefix_with(uint64_t txn,
                              const char *ns,
                              uint64_t ns_length,
                              const char *prefix,
                              uint64_t prefix_length,
                              uint64_t cancel,
                              uint64_t *deleted,
                              ta_error *error);

/*
 Moves the payloads of all atoms below a prefix to TA_COLD (coded) or TA_WARM (raw), in steps, each durable. What it
 did is a JSON object. Too small a buffer is found out only when all is done; 512 bytes are enough.
 */
int32_t ta_move_to_tier(uint64_t store,
                        const char *ns,
                        uint64_t ns_length,
                        const char *prefix,
                        uint64_t prefix_length,
                        uint32_t tier,
                        uint64_t cancel,
                        char *out,
                        uint64_t capacity,
                        uint64_t *length,
                        ta_error *error);

/*
 As ta_move_to_tier, and on the way to TA_COLD coded against others where that is clearly smaller: against the atom of the same
 name below the prefix `base`, where it is not NULL, and as `deltas` says against what it was made from (its parents, its
 earlier version).
 */
int32_t ta_move_to_tier_with(uint64_t store,
                             const char *ns,
                             uint64_t ns_length,
                             const char *prefix,
                             uint64_t prefix_length,
                             uint32_t tier,
                             const char *base,
                             uint64_t base_length,
                             uint32_t deltas,
                             uint64_t cancel,
                             char *out,
                             uint64_t capacity,
                             uint64_t *length,
                             ta_error *error);

/*
 Lists the changes of a namespace (NULL for the default one) by commits after `since`, up to the newest one now, by commit
 and then by key. It shows what history still holds. Take them with ta_changes_next.
 */
int32_t ta_changes(uint64_t store,
                   const char *ns,
                   uint64_t ns_length,
                   uint64_t since,
                   uint64_t *list,
                   ta_error *error);

/*
 The next change: its commit, whether the atom was put (1) or deleted (0), its key as in ta_list_next. TA_NOT_FOUND behind
 the last one. A change stays the next one while only the size of its key is asked, or it does not fit.
 */
int32_t ta_changes_next(uint64_t list,
                        uint64_t *lsn,
                        uint32_t *is_put,
                        char *key,
                        uint64_t capacity,
                        uint64_t *length,
                        ta_error *error);

/*
 Counts and bytes of a store as a JSON object; the members of `accounted` sum to `disk_bytes`. `codecs` has payloads,
 bytes and ratio of each codec, and the bytes per second that a thread of this process decodes, null until it did;
 `holders` the processes that keep segments from being deleted. `cold_directory` is null, or {path, disk_bytes, problem}, of
 which `problem` is why it cannot be used now.
 */
int32_t ta_stat(uint64_t store,
                char *out,
                uint64_t capacity,
                uint64_t *length,
                ta_error *error);

/*
 As ta_stat, ended with TA_CANCELLED soon after the cancel handle is set or its deadline has passed.
 */
int32_t ta_stat_with(uint64_t store, uint64_t cancel, char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 What the cache of decoded cold payloads holds and did, for all stores of this process, as a JSON object of numbers:
 {budget_bytes, bytes, entries, hits, misses}.
 */
int32_t ta_decode_cache(char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 Sets how many bytes of decoded cold payloads this process keeps, all stores together; 0 keeps none. Takes effect at once.
 Without it an eighth of the memory, at most 1 GiB. What ta_map lends is not counted.
 */
int32_t ta_set_decode_cache_bytes(uint64_t budget,
                                  ta_error *error);

/*
 Reads everything below a prefix and reports damage as a JSON object, of which `unavailable` is null or why cold payloads could
 not be looked at. The status is TA_OK also when there is damage.
 */
int32_t ta_verify(uint64_t store,
                  const char *prefix,
                  uint64_t prefix_length,
                  uint64_t cancel,
                  char *out,
                  uint64_t capacity,
                  uint64_t *length,
                  ta_error *error);

/*
 As ta_verify, of what lies below a prefix in a namespace (NULL for the default one), and of nothing else of the store.
 */
int32_t ta_verify_in(uint64_t store,
                     const char *ns,
                     uint64_t ns_length,
                     const char *prefix,
                     uint64_t prefix_length,
                     uint64_t cancel,
                     char *out,
                     uint64_t capacity,
                     uint64_t *length,
                     ta_error *error);

/*
 Runs a SELECT of at most 1,000,000 bytes on the public views, at most `row_limit` rows. JSON: {"columns": [..], "rows": [[..], ..]}, blobs as hex,
 numbers JSON has no form for as null.
 */
int32_t ta_query(uint64_t store,
                 const char *sql,
                 uint64_t sql_length,
                 uint64_t row_limit,
                 char *out,
                 uint64_t capacity,
                 uint64_t *length,
                 ta_error *error);

/*
 As ta_query, ended with TA_CANCELLED soon after the cancel handle is set or its deadline has passed, in the middle of a
 statement.
 */
int32_t ta_query_with(uint64_t store,
                      const char *sql,
                      uint64_t sql_length,
                      uint64_t row_limit,
                      uint64_t cancel,
                      char *out,
                      uint64_t capacity,
                      uint64_t *length,
                      ta_error *error);

/*
 Makes a cancel handle that is not set, and sets itself `deadline_ms` from now; UINT64_MAX for never. Close it with ta_close.
 */
int32_t ta_cancel_new(uint64_t deadline_ms,
                      uint64_t *cancel,
                      ta_error *error);

/*
 Sets a cancel handle: calls that were given it end with TA_CANCELLED soon, and calls that begin with it at once.
 */
int32_t ta_cancel_set(uint64_t cancel, ta_error *error);

/*
 How far the call is that was given this cancel handle, the one that said so last where several were; asked from another
 thread while it runs, or after it. All 0 as long as none said so.
 */
int32_t ta_cancel_progress(uint64_t cancel, ta_progress *progress, ta_error *error);

/*
 Opens a vector set by its name, or makes it. TA_CONFLICT or TA_INVALID_ARGUMENT where one of other facts is there.
 */
int32_t ta_vectors_open(uint64_t store,
                        const ta_key *name,
                        uint64_t dim,
                        uint32_t dtype,
                        uint32_t metric,
                        uint64_t *vectors,
                        ta_error *error);

/*
 Opens a vector set that is there, by its name alone. TA_NOT_FOUND where there is none.
 */
int32_t ta_vectors_find(uint64_t store, const ta_key *name, uint64_t *vectors, ta_error *error);

/*
 Makes a view of a vector set as a snapshot shows it, or as a transaction sees it, what it staged included. It takes all
 calls that read or search a set, shows the same whatever is committed, and takes no changes: TA_INVALID_HANDLE. So is a view
 of a transaction once that was committed or closed. Close it with ta_close.
 */
int32_t ta_vectors_view(uint64_t from,
                        const ta_key *name,
                        uint64_t *view,
                        ta_error *error);

/*
 Makes another handle of a set, through which vectors are appended and upserted with companions as said: TA_COMPANIONS_AUTO,
 as all other handles do, TA_COMPANIONS_ALWAYS, TA_COMPANIONS_NEVER. Close both.
 */
int32_t ta_vectors_with_companions(uint64_t vectors,
                                   uint32_t companions,
                                   uint64_t *with,
                                   ta_error *error);

/*
 What a set was made with: elements of a vector, their type, the metric of its searches.
 */
int32_t ta_vectors_facts(uint64_t vectors, uint64_t *dim, uint32_t *dtype, uint32_t *metric, ta_error *error);

/*
 Appends vectors of the set's type under new ids, in one commit. Stride in bytes, 0 for none between rows.
 */
int32_t ta_vectors_append(uint64_t vectors,
                          const int64_t *ids,
                          uint64_t count,
                          const void *data,
                          uint64_t stride,
                          ta_error *error);

/*
 As ta_vectors_append; ids that are there are replaced.
 */
int32_t ta_vectors_upsert(uint64_t vectors,
                          const int64_t *ids,
                          uint64_t count,
                          const void *data,
                          uint64_t stride,
                          ta_error *error);

/*
 As ta_vectors_append, given up with TA_CANCELLED where the cancel handle is set, or its deadline has passed, before the
 vectors are written or before the commit begins. How long a commit waits for other processes is bounded by
 `lock_timeout_ms` of the store.
 */
int32_t ta_vectors_append_with(uint64_t vectors,
                               const int64_t *ids,
                               uint64_t count,
                               const void *data,
                               uint64_t stride,
                               uint64_t cancel,
                               ta_error *error);

/*
 As ta_vectors_upsert, given up as ta_vectors_append_with is.
 */
int32_t ta_vectors_upsert_with(uint64_t vectors,
                               const int64_t *ids,
                               uint64_t count,
                               const void *data,
                               uint64_t stride,
                               uint64_t cancel,
                               ta_error *error);

/*
 Deletes ids, in one commit; `deleted` is how many were there.
 */
int32_t ta_vectors_delete(uint64_t vectors, const int64_t *ids, uint64_t count, uint64_t *deleted, ta_error *error);

/*
 As ta_vectors_delete, given up as ta_vectors_append_with is.
 */
int32_t ta_vectors_delete_with(uint64_t vectors,
                               const int64_t *ids,
                               uint64_t count,
                               uint64_t cancel,
                               uint64_t *deleted,
                               ta_error *error);

/*
 Number of vectors.
 */
int32_t ta_vectors_count(uint64_t vectors, uint64_t *count, ta_error *error);

/*
 Rewrites parts with many deleted rows and joins small ones; `parts` is how many were rewritten.
 */
int32_t ta_vectors_compact(uint64_t vectors, uint64_t cancel, uint64_t *parts, ta_error *error);

/*
 As ta_vectors_compact: parts of which a share of `dead_fraction` or more is deleted are rewritten (0.2 is usual), parts of
 fewer than `small_rows` vectors are joined (16,384), and no new part has more than `part_bytes_max` bytes (256 MiB), which
 is the memory it takes as well.
 */
int32_t ta_vectors_compact_with(uint64_t vectors,
                                double dead_fraction,
                                uint64_t small_rows,
                                uint64_t part_bytes_max,
                                uint64_t cancel,
                                uint64_t *parts,
                                ta_error *error);

/*
 The `k` nearest vectors of a set to each of `queries` vectors of its type, exactly, nearest first, equal ones by id.
 `ids` and `distances` take queries * k values, `counts` how many of each k were found.
 */
int32_t ta_search(uint64_t vectors,
                  const void *data,
                  uint64_t queries,
                  uint64_t k,
                  uint64_t cancel,
                  int64_t *ids,
                  double *distances,
                  uint64_t *counts,
                  ta_error *error);

/*
 As ta_search, among the vectors that `options` (may be NULL) leaves.
 */
int32_t ta_search_with(uint64_t vectors,
                       const ta_search_options *options,
                       const void *data,
                       uint64_t queries,
                       uint64_t k,
                       uint64_t cancel,
                       int64_t *ids,
                       double *distances,
                       uint64_t *counts,
                       ta_error *error);

/*
 As ta_search, in a stored tensor of two dimensions, in place; an id is the number of a row.
 */
int32_t ta_search_matrix(uint64_t snapshot,
                         const ta_key *key,
                         uint32_t metric,
                         const void *data,
                         uint64_t queries,
                         uint64_t k,
                         uint64_t cancel,
                         int64_t *ids,
                         double *distances,
                         uint64_t *counts,
                         ta_error *error);

/*
 As ta_search_matrix, among the rows that `options` (may be NULL) leaves; their `metric` counts where it is not 0.
 */
int32_t ta_search_matrix_with(uint64_t snapshot,
                              const ta_key *key,
                              uint32_t metric,
                              const ta_search_options *options,
                              const void *data,
                              uint64_t queries,
                              uint64_t k,
                              uint64_t cancel,
                              int64_t *ids,
                              double *distances,
                              uint64_t *counts,
                              ta_error *error);

/*
 Facts and sums of a set as a JSON object.
 */
int32_t ta_vectors_info(uint64_t vectors, char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 The vector sets of the default namespace as a JSON array of such objects, by name.
 */
int32_t ta_vector_sets(uint64_t store, char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 As ta_vector_sets, of a namespace; NULL is the default one.
 */
int32_t ta_vector_sets_in(uint64_t store,
                          const char *ns,
                          uint64_t ns_length,
                          char *out,
                          uint64_t capacity,
                          uint64_t *length,
                          ta_error *error);

/*
 Vectors by id, in the set's type and without gaps: `out` takes `count` of them, `found` (may be NULL) one byte each,
 1 or 0. A vector that is not there is zeros. `out_bytes` must be `count` times the bytes of a vector.
 */
int32_t ta_vectors_get(uint64_t vectors,
                       const int64_t *ids,
                       uint64_t count,
                       void *out,
                       uint64_t out_bytes,
                       uint8_t *found,
                       ta_error *error);

/*
 Ids of all vectors: part by part in the order they were appended, ascending in each. Fewer or more may be there at the next
 call, unless a view is asked.
 */
int32_t ta_vectors_ids(uint64_t vectors,
                       int64_t *ids,
                       uint64_t capacity,
                       uint64_t *length,
                       ta_error *error);

/*
 Makes the 8-bit companions that speed searches up, for parts that have none; `parts` is how many were made.
 */
int32_t ta_vectors_build_companions(uint64_t vectors, uint64_t cancel, uint64_t *parts, ta_error *error);

/*
 Drops a vector set with all its vectors; `existed` (may be NULL) says whether it was there.
 */
int32_t ta_txn_vectors_drop(uint64_t txn, const ta_key *name, uint32_t *existed, ta_error *error);

/*
 Makes a vector set, to be there after ta_commit. TA_ALREADY_EXISTS where one of that name is.
 */
int32_t ta_txn_vectors_create(uint64_t txn,
                              const ta_key *name,
                              uint64_t dim,
                              uint32_t dtype,
                              uint32_t metric,
                              ta_error *error);

/*
 Appends vectors under new ids to a set of that name, type and dimension. TA_NOT_FOUND where there is none. Stride in
 bytes, 0 for none between rows. ta_commit fails with TA_CONFLICT where another commit changed the same vectors.
 */
int32_t ta_txn_vectors_append(uint64_t txn,
                              const ta_key *name,
                              uint32_t dtype,
                              uint64_t dim,
                              const int64_t *ids,
                              uint64_t count,
                              const void *data,
                              uint64_t stride,
                              ta_error *error);

/*
 As ta_txn_vectors_append; ids that are there are replaced.
 */
int32_t ta_txn_vectors_upsert(uint64_t txn,
                              const ta_key *name,
                              uint32_t dtype,
                              uint64_t dim,
                              const int64_t *ids,
                              uint64_t count,
                              const void *data,
                              uint64_t stride,
                              ta_error *error);

/*
 Deletes ids of a set; `deleted` is how many were there.
 */
int32_t ta_txn_vectors_delete(uint64_t txn,
                              const ta_key *name,
                              const int64_t *ids,
                              uint64_t count,
                              uint64_t *deleted,
                              ta_error *error);

/*
 The policy of the store's tiers as a JSON object: {hot_days, warm_days, min_bytes, warm_bytes_max, deltas, codec, rules, pins}.
 */
int32_t ta_tier_policy(uint64_t store,
                       char *out,
                       uint64_t capacity,
                       uint64_t *length,
                       ta_error *error);

/*
 Replaces the policy (16 MiB of JSON at most), pins included, durably and for all processes. What is left out has its default. Moves nothing.
 */
int32_t ta_tier_set_policy(uint64_t store,
                           const char *policy,
                           uint64_t policy_length,
                           ta_error *error);

/*
 Pins names of the default namespace that start with a prefix, or with `exact` other than 0 that very name: their payloads
 stay warm, and are read into memory when the store is opened.
 */
int32_t ta_tier_pin(uint64_t store,
                    const char *prefix,
                    uint64_t prefix_length,
                    int32_t exact,
                    ta_error *error);

/*
 Takes a pin back. Nothing happens where there is none.
 */
int32_t ta_tier_unpin(uint64_t store, const char *prefix, uint64_t prefix_length, int32_t exact, ta_error *error);

/*
 As ta_tier_pin, with a prefix or a key in any namespace. A number is always that very key.
 */
int32_t ta_tier_pin_key(uint64_t store, const ta_key *key, int32_t exact, ta_error *error);

/*
 As ta_tier_unpin, with what ta_tier_pin_key was given.
 */
int32_t ta_tier_unpin_key(uint64_t store, const ta_key *key, int32_t exact, ta_error *error);

/*
 What the policy would move now, as JSON: {"moves": [{namespace, name, digest, bytes, stored_bytes, from, to, reason, base}]}.
 */
int32_t ta_tier_plan(uint64_t store,
                     char *out,
                     uint64_t capacity,
                     uint64_t *length,
                     ta_error *error);

/*
 As ta_tier_plan, ended with TA_CANCELLED soon after the cancel handle is set or its deadline has passed.
 */
int32_t ta_tier_plan_with(uint64_t store,
                          uint64_t cancel,
                          char *out,
                          uint64_t capacity,
                          uint64_t *length,
                          ta_error *error);

/*
 Carries a plan out; what no longer makes sense is skipped and counted. The report is a JSON object of numbers with fewer
 than 1,024 bytes; the moves are made also where it does not fit.
 */
int32_t ta_tier_apply(uint64_t store,
                      const char *plan,
                      uint64_t plan_length,
                      uint64_t cancel,
                      char *out,
                      uint64_t capacity,
                      uint64_t *length,
                      ta_error *error);

/*
 What a nightly job calls: notes what was read, plans, applies. The report is as that of ta_tier_apply.
 */
int32_t ta_tier_maintain(uint64_t store,
                         uint64_t cancel,
                         char *out,
                         uint64_t capacity,
                         uint64_t *length,
                         ta_error *error);

/*
 Reclaims space: garbage, and history older than `keep_seconds`, of which a negative number keeps all. Segments whose share of
 dead bytes is `dead_share` or more are rewritten, 0.5 is usual. With `dry_run` other than 0 nothing changes. The report
 is a JSON object of numbers, the list `findings`, of segments that damage keeps, and `unavailable`, which is null or why cold
 segments stay; too small a buffer is found out only when all is done, 1,024 bytes are enough without findings.
 */
int32_t ta_gc(uint64_t store,
              double keep_seconds,
              double dead_share,
              int32_t dry_run,
              uint64_t cancel,
              char *out,
              uint64_t capacity,
              uint64_t *length,
              ta_error *error);

/*
 Name of the instruction set that the mathematics runs on here: `avx512`, `avx2` or `scalar`. Chosen once; the variable
 TENSORATOM_ISA of the environment pins it.
 */
int32_t ta_isa(char *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 Distance of two vectors of one type. `a` and `b` may lie anywhere and be the same.
 */
int32_t ta_distance(uint32_t metric,
                    const void *a,
                    const void *b,
                    uint32_t dtype,
                    uint64_t count,
                    double *out,
                    ta_error *error);

/*
 Inner product: minus the distance TA_DOT.
 */
int32_t ta_dot(const void *a, const void *b, uint32_t dtype, uint64_t count, double *out, ta_error *error);

/*
 Cosine similarity: 1 - the distance TA_COSINE.
 */
int32_t ta_cosine_similarity(const void *a,
                             const void *b,
                             uint32_t dtype,
                             uint64_t count,
                             double *out,
                             ta_error *error);

/*
 Distances of `query_rows` queries to `data_rows` vectors, `out[query * data_rows + row]`. With one query this is one to
 many. Strides are bytes from row to row, 0 for none between them. `out_count` must be query_rows * data_rows.
 */
int32_t ta_cdist(uint32_t metric,
                 uint32_t dtype,
                 uint64_t dim,
                 const void *queries,
                 uint64_t query_rows,
                 uint64_t query_stride,
                 const void *data,
                 uint64_t data_rows,
                 uint64_t data_stride,
                 double *out,
                 uint64_t out_count,
                 ta_error *error);

/*
 Indices of the `k` smallest distances, nearest first, equal ones by index. NaN is last.
 */
int32_t ta_top_k(const double *distances,
                 uint64_t count,
                 uint64_t k,
                 uint64_t *out,
                 uint64_t capacity,
                 uint64_t *length,
                 ta_error *error);

/*
 One number of a vector: TA_SUM .. TA_LOG_SUM_EXP.
 */
int32_t ta_reduce(uint32_t reduction, const void *a, uint32_t dtype, uint64_t count, double *out, ta_error *error);

/*
 Mean of rows, weighted when `weights` is not NULL (then one for each row). `out` takes `dim` numbers.
 */
int32_t ta_centroid(uint32_t dtype,
                    uint64_t dim,
                    const void *data,
                    uint64_t rows,
                    uint64_t stride,
                    const double *weights,
                    double *out,
                    ta_error *error);

/*
 `out = a + b` of f64, f32, f16 or bf16, whose alignment the pointers need.
 */
int32_t ta_add(const void *a, const void *b, uint32_t dtype, uint64_t count, void *out, ta_error *error);

/*
 `out = a - b`; as ta_add.
 */
int32_t ta_sub(const void *a, const void *b, uint32_t dtype, uint64_t count, void *out, ta_error *error);

/*
 `out = a + t * (b - a)`; as ta_add.
 */
int32_t ta_lerp(const void *a, const void *b, double t, uint32_t dtype, uint64_t count, void *out, ta_error *error);

/*
 `out = a * b + c` with one rounding; as ta_add.
 */
int32_t ta_fma(const void *a, const void *b, const void *c, uint32_t dtype, uint64_t count, void *out, ta_error *error);

/*
 `out = a * factor`; as ta_add.
 */
int32_t ta_scale(const void *a, double factor, uint32_t dtype, uint64_t count, void *out, ta_error *error);

/*
 `out = a / |a|`; as ta_add. TA_INVALID_ARGUMENT where the engine has no answer.
 */
int32_t ta_normalize(const void *a, uint32_t dtype, uint64_t count, void *out, ta_error *error);

/*
 `out = exp(a) / sum(exp(a))`; as ta_add.
 */
int32_t ta_softmax(const void *a, uint32_t dtype, uint64_t count, void *out, ta_error *error);

/*
 Begins an aggregate. `kind` is a name and its parameters: `count`, `sum`, `mean`, `variance ddof=0`, `min`, `max`,
 `geometric_median points=4096`, `covariance ddof=0`, `k_means k=8 points=4096 seed=0`, `pca components=2`,
 `log_sum_exp`, `random_projection axes=16 seed=0 points=4096`. Parameters that are left out have these values; `k` and
 `axes` have none. TA_INVALID_ARGUMENT for others. Close it with ta_close.
 */
int32_t ta_aggregate_new(const char *kind, uint64_t kind_length, uint64_t *aggregate, ta_error *error);

/*
 Takes rows of `dim` floats or small integers, each with a weight where `weights` is not NULL (then one for each row).
 Stride in bytes, 0 for none between rows. On an error no row of the call was taken, but for TA_OUT_OF_MEMORY, after
 which some may be.
 */
int32_t ta_aggregate_push(uint64_t aggregate,
                          uint32_t dtype,
                          uint64_t dim,
                          const void *data,
                          uint64_t rows,
                          uint64_t stride,
                          const double *weights,
                          ta_error *error);

/*
 Takes in all rows of another aggregate of the same kind and parameters, which stays as it is. TA_INVALID_ARGUMENT for
 another kind and for itself, TA_INVALID_SHAPE for another dimension; then nothing changed.
 */
int32_t ta_aggregate_merge(uint64_t aggregate, uint64_t other, ta_error *error);

/*
 The state as bytes, for any machine: at most 128 MiB and 76 bytes.
 */
int32_t ta_aggregate_export(uint64_t aggregate, void *out, uint64_t capacity, uint64_t *length, ta_error *error);

/*
 Makes an aggregate of exported bytes, its kind included. TA_CORRUPT for other bytes, TA_NEWER_FORMAT for those of a
 later version.
 */
int32_t ta_aggregate_import(const void *state, uint64_t state_bytes, uint64_t *aggregate, ta_error *error);

/*
 The value so far: `rows` rows of `dim` numbers, and one number `beside` each row (weight of a cluster, variance along a
 component, else the weight of all rows). One row but for these: `variance` has the mean and the variance, `covariance` as many
 as there are dimensions, `k_means` one per cluster, `pca` the mean and then the components, `random_projection` one per row
 that was kept. `rows` and `dim` are 0 where too few rows were taken. `values` NULL with
 capacity 0 asks for `rows` and `dim`, and computes as long; too small a buffer is TA_BUFFER_TOO_SMALL, with these two
 set and nothing else. `beside` may be NULL with capacity 0. The state stays as it is.
 */
int32_t ta_aggregate_finish(uint64_t aggregate,
                            double *values,
                            uint64_t values_capacity,
                            double *beside,
                            uint64_t beside_capacity,
                            uint64_t *rows,
                            uint64_t *dim,
                            ta_error *error);

/*
 Number of rows taken; those of weight 0 are not.
 */
int32_t ta_aggregate_count(uint64_t aggregate, uint64_t *count, ta_error *error);

/*
 Forgets all rows, and the dimension; the kind stays.
 */
int32_t ta_aggregate_reset(uint64_t aggregate, ta_error *error);

/*
 Adds every element of rows to a state, NULL with 0 bytes for that of nothing, and hands the new state out: 48 bytes, for
 any machine. `dtype`, `dim` and `stride` as in ta_cdist.
 */
int32_t ta_moments_push(const void *state,
                        uint64_t state_bytes,
                        uint32_t dtype,
                        uint64_t dim,
                        const void *data,
                        uint64_t rows,
                        uint64_t stride,
                        void *out,
                        uint64_t capacity,
                        uint64_t *length,
                        ta_error *error);

/*
 Puts two states together.
 */
int32_t ta_moments_merge(const void *a,
                         uint64_t a_bytes,
                         const void *b,
                         uint64_t b_bytes,
                         void *out,
                         uint64_t capacity,
                         uint64_t *length,
                         ta_error *error);

/*
 What a state says, the variance with the divisor count - ddof.
 */
int32_t ta_moments_finish(const void *state, uint64_t state_bytes, uint64_t ddof, ta_moments *moments, ta_error *error);

/*
 Reads a JSON array of numbers. TA_INVALID_ARGUMENT, with the place in the text, for anything else.
 Takes memory of at most twice the text; TA_OUT_OF_MEMORY where it cannot be had.
 */
int32_t ta_json_parse(const char *json,
                      uint64_t json_length,
                      float *out,
                      uint64_t capacity,
                      uint64_t *length,
                      ta_error *error);

/*
 Writes numbers as a JSON array, shortest digits that read back the same. NaN and infinities are TA_INVALID_ARGUMENT.
 */
int32_t ta_json_write(const float *values,
                      uint64_t count,
                      char *out,
                      uint64_t capacity,
                      uint64_t *length,
                      ta_error *error);

/*
 As ta_json_write, and with `nulls` not 0 a NaN or an infinity is `null`, which ta_json_parse does not read back.
 */
int32_t ta_json_write_with(const float *values,
                           uint64_t count,
                           uint32_t nulls,
                           char *out,
                           uint64_t capacity,
                           uint64_t *length,
                           ta_error *error);

/*
 Converts `count` floats between f64, f32, f16, bf16, f8e4m3, f8e5m2, rounding half to even. What is beyond the target
 becomes infinity, or with `saturate` not 0 the largest finite number. Any alignment.
 */
int32_t ta_convert(const void *source,
                   uint32_t from,
                   void *target,
                   uint32_t to,
                   uint64_t count,
                   uint32_t saturate,
                   ta_error *error);

/*
 Quantises f32 to int8 codes: value = scale * (code - zero point). `block` elements share a scale, 0 for all of them:
 `scale` takes ceil(count / block) numbers, or 1. `zero_point` takes as many, or is NULL for symmetric codes.
 */
int32_t ta_quantize_i8(const float *source,
                       uint64_t count,
                       uint64_t block,
                       int8_t *codes,
                       float *scale,
                       int32_t *zero_point,
                       ta_error *error);

/*
 The inverse of ta_quantize_i8.
 */
int32_t ta_dequantize_i8(const int8_t *codes,
                         uint64_t count,
                         uint64_t block,
                         const float *scale,
                         const int32_t *zero_point,
                         float *out,
                         ta_error *error);

/*
 Turns blocks of a GGUF layout (`Q4_0` .. `Q6_K`) into `count` numbers.
 */
int32_t ta_gguf_dequantize(const char *layout,
                           uint64_t layout_length,
                           const void *blocks,
                           uint64_t block_bytes,
                           float *out,
                           uint64_t count,
                           ta_error *error);

/*
 Turns `count` numbers into blocks of a GGUF layout, `Q8_0` or `Q4_0`, with the bits of ggml's own quantiser. `block_bytes`
 must be what they take: 34 or 18 for 32 numbers. TA_INVALID_ARGUMENT for NaN, infinities, and numbers whose scale is
 beyond f16.
 */
int32_t ta_gguf_quantize(const char *layout,
                         uint64_t layout_length,
                         const float *source,
                         uint64_t count,
                         void *blocks,
                         uint64_t block_bytes,
                         ta_error *error);

/*
 BLAKE3-256 of bytes, as ta_info has it of a payload: `digest` takes 32 bytes.
 */
int32_t ta_digest(const void *data, uint64_t count, uint8_t *digest, ta_error *error);

/*
 Makes a projection of vectors of `dim` numbers onto three orthonormal axes that never change. Close it with ta_close.
 */
int32_t ta_projection_landmarks(uint64_t dim, uint64_t *projection, ta_error *error);

/*
 Makes a projection onto `axes` directions of random signs, the same for the same seed everywhere.
 */
int32_t ta_projection_random(uint64_t dim, uint64_t axes, uint64_t seed, uint64_t *projection, ta_error *error);

/*
 What a projection takes and gives: numbers of a vector, number of axes.
 */
int32_t ta_projection_facts(uint64_t projection, uint64_t *dim, uint64_t *axes, ta_error *error);

/*
 The direction of an axis, counted from 0: `out` takes as many numbers as a vector has, `count` of them.
 */
int32_t ta_projection_axis(uint64_t projection, uint64_t axis, double *out, uint64_t count, ta_error *error);

/*
 Coordinates of vectors, row by row: `vectors` has rows * dim numbers, `out` takes rows * axes. TA_INVALID_SHAPE for
 other counts.
 */
int32_t ta_project(uint64_t projection,
                   const float *vectors,
                   uint64_t count,
                   double *out,
                   uint64_t out_count,
                   ta_error *error);

/*
 Morton code of a point of 2, 3 or 4 cell numbers of `bits` bits each, at most 64 bits together.
 */
int32_t ta_morton_encode(const uint32_t *cells, uint32_t axes, uint32_t bits, uint64_t *out, ta_error *error);

/*
 Place of a point on the Hilbert curve; as ta_morton_encode.
 */
int32_t ta_hilbert_encode(const uint32_t *cells, uint32_t axes, uint32_t bits, uint64_t *out, ta_error *error);

/*
 The point of a Morton code: `cells` takes one number per axis. TA_INVALID_ARGUMENT for a code beyond the bits.
 */
int32_t ta_morton_decode(uint64_t code, uint32_t axes, uint32_t bits, uint32_t *cells, ta_error *error);

/*
 The point of a place on the Hilbert curve; as ta_morton_decode.
 */
int32_t ta_hilbert_decode(uint64_t code, uint32_t axes, uint32_t bits, uint32_t *cells, ta_error *error);

/*
 Cells of coordinates in a grid of 2^bits cells from `min` to `max`; what lies outside falls into the first or the last.
 TA_INVALID_ARGUMENT for NaN.
 */
int32_t ta_grid_cells(double min,
                      double max,
                      uint32_t bits,
                      const double *values,
                      uint64_t count,
                      uint32_t *cells,
                      ta_error *error);

/*
 Coordinates in the middle of cells of such a grid.
 */
int32_t ta_grid_centers(double min,
                        double max,
                        uint32_t bits,
                        const uint32_t *cells,
                        uint64_t count,
                        double *values,
                        ta_error *error);

/*
 The product of a matrix of rows x inner and one of inner x cols, all of f64 or f32 and in C order, on all cores.
 */
int32_t ta_matmul(uint32_t dtype,
                  uint64_t rows,
                  uint64_t inner,
                  uint64_t cols,
                  const void *a,
                  const void *b,
                  void *out,
                  ta_error *error);

/*
 The `rank` largest singular values of a matrix of rows x cols (f64 or f32), with their vectors: `u` takes rows x rank,
 `values` rank, `vt` rank x cols. TA_INVALID_ARGUMENT for NaN, infinities, and a rank not in 1..=min(rows, cols).
 */
int32_t ta_svd(uint32_t dtype,
               uint64_t rows,
               uint64_t cols,
               const void *a,
               uint64_t rank,
               void *u,
               void *values,
               void *vt,
               ta_error *error);

/*
 The first `count` principal components of observations in rows (f64 or f32): `mean` takes cols numbers, `components`
 count x cols, `variances` count. `scores` (may be NULL) takes the observations in their coordinates, rows x count.
 TA_INVALID_ARGUMENT as ta_svd, and for fewer than two rows.
 */
int32_t ta_pca(uint32_t dtype,
               uint64_t rows,
               uint64_t cols,
               const void *a,
               uint64_t count,
               void *mean,
               void *components,
               void *variances,
               void *scores,
               ta_error *error);

/*
 Coordinates of further observations along components that ta_pca found: `a` has rows x cols numbers, `mean` cols,
 `components` count x cols, and `scores` takes rows x count.
 */
int32_t ta_pca_transform(uint32_t dtype,
                         uint64_t rows,
                         uint64_t cols,
                         const void *a,
                         uint64_t count,
                         const void *mean,
                         const void *components,
                         void *scores,
                         ta_error *error);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TENSORATOM_H */
