/* tied: the tied embedding and lm_head of a translation or language model, from one copy of the table.
 *
 * A model is one mapped .tied file. A session runs it: it owns a thread pool and scratch memory.
 *
 * Conventions of every call below:
 *  1. It returns a tied_status; TIED_OK is 0. On any other status, outputs and session are unchanged, and *error holds
 *     the status and a message that names the file, tensor, node or id. `error` may be NULL.
 *  2. Sizes of float and id buffers count elements; sizes named `bytes` or `length` count bytes.
 *  3. The caller owns all buffers. A call uses them in place and does not keep them. An output must not overlap an
 *     input. A model owns the strings and structs that it returns; they live as long as the model.
 *  4. Any number of threads may use a model at once. One thread at a time may use a session: a second call during the
 *     first returns TIED_BUSY and does nothing.
 *  5. Nothing throws, aborts or prints. One exception: cpuinfo prints to standard error when it cannot read what the
 *     system knows of the CPU. Sessions then run the scalar kernels, or on Arm those of NEON; the bits are the same.
 *  6. Every allocation may fail; system calls that a signal interrupts are repeated.
 *  7. Option structs, and the infos of the embedding and the head, begin with their size, which the _INIT macro sets. A
 *     program built against an older header therefore works with a newer library.
 *  8. A call uses less than 48 KB of the caller's stack, unless it runs XNNPACK (`deterministic` below).
 *  9. "The same bits" of a result that holds NaN means NaN in the same places. Sign and payload of a NaN are those
 *     that the instructions of the CPU make.
 *
 * Terms: the table is [rows, cols = d_model], with one row per token id; hidden is [tokens, cols], the decoder's last
 * hidden states; logits are [tokens, vocabulary]. All are float32 and row-major.
 *
 * A table may hold the rows of some ids only (tied-convert --keep-ids); it then has fewer rows than the vocabulary has
 * ids. Calls still use the ids of the whole vocabulary. A dropped id has the logit -infinity, is never part of a top-k
 * or of a log_z, and cannot be embedded.
 */
#ifndef TIED_TIED_H_
#define TIED_TIED_H_

#include <stddef.h>
#include <stdint.h>

#define TIED_VERSION_MAJOR 0
#define TIED_VERSION_MINOR 1
#define TIED_VERSION_PATCH 0

#if defined(TIED_STATIC_LIBRARY)
#define TIED_API
#elif defined(_WIN32)
#define TIED_API __declspec(dllimport)
#else
#define TIED_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Errors ---------------------------------------------------------------------------------------------------- */

typedef int32_t tied_status;
enum {
  TIED_OK = 0,
  TIED_INVALID_ARGUMENT = 1,  /* a null pointer, or a wrong name, type, rank, shape or size */
  TIED_OUT_OF_RANGE = 2,      /* a token id below 0, at or above the vocabulary, or dropped */
  TIED_BUFFER_TOO_SMALL = 3,  /* the result does not fit into an output buffer */
  TIED_NOT_FOUND = 4,         /* no such file, or no entry point, input or output of that name */
  TIED_PERMISSION_DENIED = 5, /* the file may not be read */
  TIED_IO_ERROR = 6,          /* the operating system failed to open, read or map */
  TIED_CORRUPT = 7,           /* not a .tied file, or one that is truncated or damaged */
  TIED_UNSUPPORTED = 8,       /* a newer format version, or something that the model does not have */
  TIED_OUT_OF_MEMORY = 9,
  TIED_NOT_FINITE = 10, /* NaN or infinity where a number is needed */
  TIED_BUSY = 11,       /* the session is running another call */
  TIED_INTERNAL = 12,   /* a bug in this library or in one that it uses */
  TIED_CANCELLED = 13   /* tied_session_cancel() was called, or a callback said stop */
};

typedef struct tied_error {
  tied_status status;
  char message[508]; /* UTF-8 if the names in the file are; always terminated; truncated if too long */
} tied_error;

/* The constant's name, "TIED_CORRUPT"; "unknown status" for other numbers. Never NULL. */
TIED_API const char* tied_status_name(tied_status status);

/* Version of the library that is running: major * 1000000 + minor * 1000 + patch. */
TIED_API uint32_t tied_version(void);

/* ---- Types ----------------------------------------------------------------------------------------------------- */

/* Element types; the numbers are those of ONNX's TensorProto.DataType (and of ONNXTensorElementDataType). */
typedef int32_t tied_type;
enum {
  TIED_FLOAT32 = 1,
  TIED_UINT8 = 2, /* UINT8, INT8, FLOAT16, BFLOAT16 and INT4 are types of tables, not of tensors */
  TIED_INT8 = 3,
  TIED_INT32 = 6,
  TIED_INT64 = 7,
  TIED_BOOL = 9,
  TIED_FLOAT16 = 10,
  TIED_BFLOAT16 = 16,
  TIED_INT4 = 22
};

#define TIED_MAX_RANK 8

/* A tensor in the caller's memory, row-major and dense. */
typedef struct tied_tensor {
  const char* name; /* of the graph's input or output */
  tied_type type;
  size_t rank;
  int64_t dims[TIED_MAX_RANK];
  void* data;   /* aligned to its element; never written to when the tensor is an input */
  size_t bytes; /* size of the buffer at `data` */
} tied_tensor;

/* ---- Model ----------------------------------------------------------------------------------------------------- */

typedef struct tied_model tied_model;

typedef struct tied_open_options {
  size_t struct_size;
  int32_t verify_planes; /* not 0: also do what tied_model_verify() does, which reads the whole file */
  int32_t copy;          /* not 0: read the file into private memory instead of mapping it. Later changes of the file
                          * have no effect. Beware: all of it is anonymous memory, which systems count and limit
                          * (Android kills apps for it), and which cannot be shared or given back */
} tied_open_options;
#define TIED_OPEN_OPTIONS_INIT \
  { sizeof(tied_open_options), 0, 0 }

/* Opens a .tied file: maps it read-only and shared, and checks the header and the id map (4 bytes per row, if ids were
 * dropped). It reads nothing else. `options` may be NULL. The file must not change while the model lives. A page that
 * cannot be read kills the reading call by SIGBUS: because the file was truncated, or because its storage fails (a bad
 * block, a card that is pulled out, a network file system that is gone). Replacing the file by rename is safe; `copy`
 * makes any change safe, and a read error is then IO_ERROR. Errors: NOT_FOUND, PERMISSION_DENIED, IO_ERROR, CORRUPT,
 * UNSUPPORTED, OUT_OF_MEMORY; *model is then unchanged. */
TIED_API tied_status tied_model_open(const char* path, const tied_open_options* options, tied_model** model,
                                     tied_error* error);

/* Opens `length` bytes at `offset` of an open file, such as an uncompressed Android asset. `offset` is a multiple of 4
 * and need not be page-aligned; length 0 means up to the end of the file. The caller keeps the descriptor and may close
 * it when the call has returned. */
TIED_API tied_status tied_model_open_fd(int fd, uint64_t offset, uint64_t length, const tied_open_options* options,
                                        tied_model** model, tied_error* error);

/* Opens a file that is in memory. `data` must be aligned to 4 bytes and stay valid and unchanged until the model and
 * all of its sessions are closed. `copy` has no effect. */
TIED_API tied_status tied_model_open_memory(const void* data, size_t length, const tied_open_options* options,
                                            tied_model** model, tied_error* error);

/* Closes a model; NULL is allowed. The file is unmapped when its last session is destroyed as well. */
TIED_API void tied_model_close(tied_model* model);

/* Reads the whole file, through the mapping if it is mapped. Checks that every plane has its hash, scales are finite,
 * and that a screen's scales are positive and its residual norms large enough. CORRUPT names the first wrong plane or
 * row. */
TIED_API tied_status tied_model_verify(const tied_model* model, tied_error* error);

/* Gives the table's pages back to the system, for an app that is told to trim its memory. The next use reads them from
 * the file again. Safe while sessions run. Has no effect on a model in memory or a copy. */
TIED_API tied_status tied_model_trim(tied_model* model, tied_error* error);

/* Called before the first piece is read, with done = 0, and after each piece. Returns 0 to go on; anything else stops.
 * `total` is always the same; `done` ends at it. */
typedef int32_t (*tied_prefetch_callback)(void* user, uint64_t done, uint64_t total);

typedef struct tied_prefetch_options {
  size_t struct_size;
  int32_t everything; /* not 0: the whole file, for calls that read more than a top-k without log_z */
} tied_prefetch_options;
#define TIED_PREFETCH_OPTIONS_INIT \
  { sizeof(tied_prefetch_options), 0 }

/* Reads into the system's page cache what tied_topk() reads for each token, so that the first token does not wait for
 * storage: the upper nibbles of the screen if there is one, else the values, and the planes with a few bytes per row.
 * Reads in pieces of 4 MiB, on the calling thread, without mapping pages into the process. The system may drop them
 * when memory is short. `options` and `callback` may be NULL. A model in memory or a copy is already read; there is
 * then only progress. Sessions may run meanwhile. Errors: CANCELLED if the callback stops it; IO_ERROR, which a page
 * that cannot be read is here, and not SIGBUS; OUT_OF_MEMORY. Nothing is read of a model without lm_head, unless
 * everything is. */
TIED_API tied_status tied_model_prefetch(const tied_model* model, const tied_prefetch_options* options,
                                         tied_prefetch_callback callback, void* user, tied_error* error);

/* Bytes of the file's pages that are resident in this process now. Takes a few milliseconds per gigabyte of the file.
 * Reads /proc/self/pagemap, or /proc/self/smaps where a process that is not dumpable, such as an Android app, may not
 * read the former. The latter counts whole mappings: a model in memory then counts with at most what is resident of the
 * mappings that hold it. NOT_FOUND, PERMISSION_DENIED or IO_ERROR if the system reports neither. */
TIED_API tied_status tied_model_resident_bytes(const tied_model* model, uint64_t* bytes, tied_error* error);

/* ---- What is in a model ---------------------------------------------------------------------------------------- */

typedef struct tied_model_info {
  uint32_t format_version;
  uint64_t file_bytes;
  const char* producer; /* the program that wrote the file, and its version */
  const char* source;   /* file name of the original model; "" if not recorded */
  const char* graph;    /* name of its graph; "" if not recorded */
  size_t table_count;
  size_t input_count;
  size_t output_count;
  size_t entry_point_count;
} tied_model_info;

/* All 0 for an absent plane. */
typedef struct tied_plane_info {
  uint64_t offset; /* bytes from the start of the .tied file */
  uint64_t length; /* bytes */
  uint64_t hash;   /* XXH3-64 */
} tied_plane_info;

typedef struct tied_table_info {
  const char* name;
  tied_type type;
  tied_type scale_type; /* of scales: TIED_FLOAT32, or in blocks also TIED_FLOAT16 */
  uint64_t rows;
  uint64_t cols;
  uint64_t vocabulary; /* token ids are below it; above rows if ids were dropped */
  tied_plane_info values;
  const void* data;                     /* the mapped values, row-major; read-only. INT8 and UINT8 with a screen: the
                                         * upper nibbles only */
  tied_plane_info scales;               /* of scale_type: one per 32 columns of a row; INT8, UINT8: or one per row,
                                         * or one */
  tied_plane_info zero_points;          /* a byte per scale, for INT4 in sixteenths; absent: all 0, for INT4 all 8 */
  tied_plane_info screen_upper;         /* for top-k: upper nibbles of an approximation of the rows */
  tied_plane_info screen_lower;         /* its lower nibbles */
  tied_plane_info screen_scales;        /* one per row; absent for INT8 and UINT8 */
  tied_plane_info screen_upper_norms;   /* bounds on errors, one per row */
  tied_plane_info screen_norms;         /* likewise; absent for INT8 and UINT8 */
  tied_plane_info screen_column_values; /* calibrated columns; absent without --calibrate */
  tied_plane_info screen_column_scales;
  tied_plane_info ids;       /* token id of each row; absent if they are 0 to rows - 1 */
  const uint32_t* id_of_row; /* the same, mapped: [rows], ascending; NULL: row r is id r */
} tied_table_info;

typedef struct tied_value_info {
  const char* name;
  tied_type type;
  size_t rank;
  int64_t dims[TIED_MAX_RANK];        /* -1: any size */
  const char* symbols[TIED_MAX_RANK]; /* name of a dimension of any size, such as "batch"; "" if none */
} tied_value_info;

typedef struct tied_selector_info {
  size_t input;  /* index of the Boolean input */
  int32_t value; /* 0 or 1 */
} tied_selector_info;

typedef struct tied_entry_point_info {
  const char* name;
  size_t selector_count;
  size_t op_count;
} tied_entry_point_info;

typedef struct tied_op_info {
  const char* kind; /* "Embedding", "Head" or "Constant" */
  size_t table;     /* index of the table; undefined for Constant */
  size_t input;     /* index of the input; undefined for Constant */
  size_t output;    /* index of the output */
  float scale;      /* Embedding: factor on the embedding; Head: on hidden states; 1 for Constant */
  int32_t has_bias; /* Head: 1 if a bias is added to the logits */
  /* Head: what the output holds: "Logits", or "TopkValues" or "TopkIds" of the k best; "" for the others. */
  const char* result;
  size_t k;            /* of TopkValues and TopkIds; 0 for the others */
  int32_t log_softmax; /* Head: 1 if logits or values are log-probabilities: the token's log_z is subtracted */
  const char* origin;  /* the nodes of the model that it replaces, one per line; "" if not recorded */
  float soft_cap;      /* Head: c, if each logit x becomes c * tanh(x / c); 0: no soft cap */
} tied_op_info;

/* What tied_embed() computes. Initialise with the _INIT macro. */
typedef struct tied_embedding_info {
  size_t struct_size;
  size_t table;        /* index of the table */
  uint64_t cols;       /* of the table: floats of an embedding */
  uint64_t rows;       /* of the table */
  uint64_t vocabulary; /* token ids are below it */
  float scale;         /* factor on the row */
} tied_embedding_info;
#define TIED_EMBEDDING_INFO_INIT \
  { sizeof(tied_embedding_info), 0, 0, 0, 0, 0.0f }

/* What tied_logits(), tied_topk() and related calls compute. Initialise with the _INIT macro. */
typedef struct tied_head_info {
  size_t struct_size;
  size_t table;        /* index of the table */
  uint64_t cols;       /* of the table: floats of a hidden state */
  uint64_t rows;       /* of the table */
  uint64_t vocabulary; /* logits for each hidden state */
  int32_t has_bias;    /* 1 if a bias is added to the logits */
  float scale;         /* factor on hidden states, so on the logits before the bias */
  float soft_cap;      /* c: each logit x becomes c * tanh(x / c), which keeps their order; 0: none */
} tied_head_info;
#define TIED_HEAD_INFO_INIT \
  { sizeof(tied_head_info), 0, 0, 0, 0, 0, 0.0f, 0.0f }

/* The embedding and the lm_head of the model. They may use different tables with different dimensions. UNSUPPORTED if
 * the model has none. */
TIED_API tied_status tied_model_get_embedding(const tied_model* model, tied_embedding_info* info, tied_error* error);
TIED_API tied_status tied_model_get_head(const tied_model* model, tied_head_info* info, tied_error* error);

/* Each fills *info; INVALID_ARGUMENT for a null pointer or an index at or above the count. */
TIED_API tied_status tied_model_get_info(const tied_model* model, tied_model_info* info, tied_error* error);
TIED_API tied_status tied_model_get_table(const tied_model* model, size_t index, tied_table_info* info,
                                          tied_error* error);
TIED_API tied_status tied_model_get_input(const tied_model* model, size_t index, tied_value_info* info,
                                          tied_error* error);
TIED_API tied_status tied_model_get_output(const tied_model* model, size_t index, tied_value_info* info,
                                           tied_error* error);
TIED_API tied_status tied_model_get_entry_point(const tied_model* model, size_t index, tied_entry_point_info* info,
                                                tied_error* error);
TIED_API tied_status tied_model_get_selector(const tied_model* model, size_t entry_point, size_t index,
                                             tied_selector_info* info, tied_error* error);
TIED_API tied_status tied_model_get_op(const tied_model* model, size_t entry_point, size_t index, tied_op_info* info,
                                       tied_error* error);

/* ---- Session --------------------------------------------------------------------------------------------------- */

typedef struct tied_session tied_session;

typedef struct tied_session_options {
  size_t struct_size;
  int32_t threads;            /* 1 to 256; 0: one per performance core that the process may run on, at most 256 */
  int32_t deterministic;      /* not 0: the same bits on every CPU, for any number of threads and tokens and any order
                               * of calls. 0: calls with many tokens may use XNNPACK, which sums in a different order */
  int32_t xnnpack_min_tokens; /* if deterministic is 0: use XNNPACK from this many tokens on; 0: a number known to be
                               * good for this kind of CPU, or never */
} tied_session_options;
#define TIED_SESSION_OPTIONS_INIT \
  { sizeof(tied_session_options), 0, 1, 0 }

/* Makes a session and starts threads - 1 threads: the calling thread is one of them. They block all signals except
 * those of faults, so that the system gives the application's signals to the application's threads. `options` may be
 * NULL. The session keeps the model alive. After fork() the child may use its parent's models and create new sessions
 * on them. It must not run or destroy its parent's sessions, whose threads stay in the parent. Errors:
 * INVALID_ARGUMENT; OUT_OF_MEMORY, also if the system cannot start the threads. */
TIED_API tied_status tied_session_create(tied_model* model, const tied_session_options* options, tied_session** session,
                                         tied_error* error);

/* Destroys a session that is not running; NULL is allowed. */
TIED_API void tied_session_destroy(tied_session* session);

/* Number of threads that the session uses, including the calling thread. 0 for NULL. */
TIED_API size_t tied_session_threads(const tied_session* session);

/* Ends the session's running call, if any: it returns TIED_CANCELLED within a few milliseconds and leaves its outputs
 * undefined. The session stays usable. Any thread may call this while another call runs on the session. */
TIED_API void tied_session_cancel(tied_session* session);

/* The typed calls compute the model's first embedding and first head, including scale and bias;
 * tied_model_get_embedding() and tied_model_get_head() describe them. They do not depend on the head's result in the
 * graph: tied_logits() returns logits even if the graph returns a top-k. UNSUPPORTED if the model has no embedding or
 * head. With 0 ids or tokens they do nothing, and the pointers may be NULL. */

/* Sets embeddings[i, :] = row of ids[i] * scale.
 * embeddings: [count, cols], `capacity` floats at least count * cols.
 * Errors: OUT_OF_RANGE for an id below 0, at or above the vocabulary, or dropped (the message says which),
 * BUFFER_TOO_SMALL; nothing is then written. */
TIED_API tied_status tied_embed(tied_session* session, const int64_t* ids, size_t count, float* embeddings,
                                size_t capacity, tied_error* error);

/* Sets logits[t, id] = dot(scale * hidden[t, :], row of id) + bias of id, soft-capped, and -infinity for dropped ids.
 * Most heads have no scale, bias or soft cap; see tied_head_info. hidden: [tokens, cols]; logits: [tokens, vocabulary],
 * `capacity` floats at least tokens * vocabulary. With a float table, NaN and infinity follow IEEE 754; with a
 * quantised table, a hidden state that holds either gives NaN. kernels/scalar.cc defines the order of summation. */
TIED_API tied_status tied_logits(tied_session* session, const float* hidden, size_t tokens, float* logits,
                                 size_t capacity, tied_error* error);

/* Sets ids[t, :] to the k ids with the largest logits for token t, best first; of equal logits the lower id first. A
 * soft cap can make different logits equal; the order is that of the logits before it. Sets best_logits[t, :] to their
 * logits, with the bits that tied_logits() gives on a deterministic session. Does not write the other logits. ids:
 * [tokens, k]; best_logits: [tokens, k] or NULL; k: 1 to TIED_MAX_K, at most the row count. Errors: INVALID_ARGUMENT
 * for k; NOT_FINITE if hidden holds NaN or infinity, or a logit is NaN. */
#define TIED_MAX_K 1024
TIED_API tied_status tied_topk(tied_session* session, const float* hidden, size_t tokens, size_t k, int64_t* ids,
                               float* best_logits, tied_error* error);

/* Options of a top-k. */
typedef struct tied_topk_options {
  size_t struct_size;
  const int64_t* row_ids; /* allow only these ids, in any order; duplicates count once. NULL: all */
  size_t row_count;       /* of row_ids */
  const uint8_t* allowed; /* allow only ids whose bit is 1: bit id % 8 of byte id / 8. NULL: all. With row_ids: both */
  size_t allowed_bytes;   /* at least (vocabulary + 7) / 8 */
  int32_t use_screen;     /* not 0: use the table's screen where it saves time; the results are the same */
  double log_z_tolerance; /* largest acceptable error of log_z. 0, a head with a soft cap, or a table of integers: log_z
                           * is computed in float64 by a pass over the whole table. Otherwise its last bits may differ
                           * between calls, within the bound */
} tied_topk_options;
#define TIED_TOPK_OPTIONS_INIT \
  { sizeof(tied_topk_options), NULL, 0, NULL, 0, 1, 0.0 }

/* The caller's arrays for the results. All except ids may be NULL. */
typedef struct tied_topk_result {
  int64_t* ids;         /* [tokens, k] */
  float* logits;        /* [tokens, k] */
  double* log_z;        /* [tokens]: log of the sum of exp(logit) over the allowed ids */
  double* log_z_bound;  /* [tokens]: largest possible error of log_z; at most the tolerance, or rounding */
  uint64_t* survivors;  /* [tokens]: rows whose logits were computed exactly */
  uint64_t* bytes_read; /* one number: bytes of rows, scales and screen that the call read for all tokens */
} tied_topk_result;

/* tied_topk() over the allowed ids, with more results. `options` may be NULL. Rows that are not allowed are not read,
 * unless they share a page with an allowed row. Dropped ids count as not allowed.
 * Errors: those of tied_topk(); INVALID_ARGUMENT also if k is above the number of allowed rows, or if the tolerance is
 * negative or NaN; OUT_OF_RANGE for an id below 0 or at or above the vocabulary. */
TIED_API tied_status tied_topk_with(tied_session* session, const float* hidden, size_t tokens, size_t k,
                                    const tied_topk_options* options, const tied_topk_result* result,
                                    tied_error* error);

/* One step of a beam search: adds to each beam's score the log-probability of each allowed id, and finds the `count`
 * largest sums over all beams, best first: best_scores[i] = scores[b] + logit - log_z of beam b = parents[i] for
 * ids[i], in float64. Of equal sums the lower beam first, within a beam in the order of tied_topk_with(). hidden:
 * [beams, cols]; scores: [beams], sums of log-probabilities, -infinity for a beam that has none yet; count: 1 to
 * TIED_MAX_K, at most the number of allowed rows, usually 2 * beams. parents, ids, best_scores: [count]. What ends a
 * hypothesis, and how many may continue one beam, is left to the caller: with 2 * beams results, `beams` of them go on
 * even if each beam ends. The result is exact; with options->log_z_tolerance above 0, each log_z may be off by that
 * much, which can change the order of ids of different beams, and the call can use the screen for it. With 0 beams it
 * does nothing.
 * Errors: those of tied_topk_with(); NOT_FINITE also if a score is NaN or +infinity, or a log-probability NaN. */
TIED_API tied_status tied_beam_step(tied_session* session, const float* hidden, const double* scores, size_t beams,
                                    size_t count, const tied_topk_options* options, int32_t* parents, int64_t* ids,
                                    double* best_scores, tied_error* error);

/* Sets logits[t, i] to the logit of the id row_ids[i], for a lexical shortlist. Ids may be in any order and repeat.
 * logits: [tokens, row_count], `capacity` floats at least tokens * row_count. The bits are those of tied_logits() on a
 * deterministic session. Errors: OUT_OF_RANGE for an id below 0 or at or above the vocabulary, BUFFER_TOO_SMALL. */
TIED_API tied_status tied_logits_of(tied_session* session, const float* hidden, size_t tokens, const int64_t* row_ids,
                                    size_t row_count, float* logits, size_t capacity, tied_error* error);

/* tied_logits() for the ids whose bit in `allowed` is 1 (see tied_topk_options); other logits are -infinity, and pages
 * that hold only other rows are not read. Errors: INVALID_ARGUMENT for too few allowed_bytes, BUFFER_TOO_SMALL. */
TIED_API tied_status tied_logits_allowed(tied_session* session, const float* hidden, size_t tokens,
                                         const uint8_t* allowed, size_t allowed_bytes, float* logits, size_t capacity,
                                         tied_error* error);

/* tied_topk() with k = 1. */
TIED_API tied_status tied_argmax(tied_session* session, const float* hidden, size_t tokens, int64_t* ids,
                                 float* best_logits, tied_error* error);

/* Runs an entry point with the names of the ONNX graph.
 * entry_point: its name, or NULL to let the selectors among `inputs` choose. With a name, selectors are optional; a
 *   given selector must agree with it.
 * inputs: what the entry point reads, with the graph's types; shapes must match those declared. Other inputs of the
 *   graph, which a caller of ONNX Runtime has to pass, are ignored.
 * outputs: any of the graph's outputs, by name. The call sets type, rank, dims and bytes, and fills `data`. Where data
 *   is NULL it sets type, rank, dims and the bytes needed, and computes nothing.
 * Errors: NOT_FOUND (a name), INVALID_ARGUMENT (type, rank, shape, missing input or selector, a name given twice),
 *   BUFFER_TOO_SMALL, OUT_OF_RANGE; all outputs are then unchanged. NOT_FINITE as tied_topk(), for an output that is a
 *   top-k; another top-k may then have been written already, as on OUT_OF_MEMORY.
 * Results are those of the typed calls. Log-probabilities take a pass over the table even if it has a screen; ids
 *   alone do not. */
TIED_API tied_status tied_run(tied_session* session, const char* entry_point, const tied_tensor* inputs,
                              size_t input_count, tied_tensor* outputs, size_t output_count, tied_error* error);

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

typedef struct tied_kernel_info {
  const char* isa;   /* instruction set: "scalar", "avx2", "avx512", "avx512vnni", "neon", "neondot" or "neoni8mm" */
  int32_t available; /* this CPU can run it */
  int32_t selected;  /* sessions use this one */
} tied_kernel_info;

/* The kernels built into this library, slowest first. For tests, the environment variable TIED_ISA, read once, forces
 * one by name; no session can be created if the CPU cannot run it. */
TIED_API size_t tied_kernel_count(void);
TIED_API tied_status tied_kernel_get_info(size_t index, tied_kernel_info* info, tied_error* error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TIED_TIED_H_ */
