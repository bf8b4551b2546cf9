/* tied: the tied embedding and lm_head of a translation or language model, from one copy of the table.
 *
 * A model is one mapped .tied file. A session runs it: it owns a thread pool and scratch memory.
 *
 * Conventions of every call below:
 *  1. It returns a tied_status; TIED_OK is 0. On any other status the outputs and the session are as they were, and
 *     *error, where given, holds the status and a message that names the thing concerned. `error` may be NULL.
 *  2. Sizes of float and id buffers count elements; sizes named `bytes` or `length` count bytes.
 *  3. Buffers belong to the caller, are used in place during the call and never kept. An output must not overlap an
 *     input. Strings and structs that a model hands out belong to it and live as long as it does.
 *  4. A model may be used from any number of threads at once. A session may be used from any thread, by one at a
 *     time: a second call on a running session returns TIED_BUSY and does nothing.
 *  5. Nothing throws, nothing aborts, nothing is printed; but for cpuinfo, which says on standard error when it cannot
 *     read what the system knows of the CPU. Sessions then run the scalar kernels: slower, the same bits.
 *  6. Every allocation may fail, and every call that a signal interrupts is made again.
 *  7. Option structs, and the infos of the embedding and the head, begin with their own size and are filled by the
 *     _INIT macro, so that a program built against an older header keeps working with a newer library.
 *
 * Words: the table is [rows, cols = d_model], one row for each token id below the vocabulary; hidden is [tokens, cols],
 * the decoder's last hidden states; logits are [tokens, vocabulary]. All are float32 and row-major.
 *
 * A table may hold the rows of some ids only (tied-convert --keep-ids): rows is then below the vocabulary. Every call
 * speaks of the ids of the whole vocabulary all the same. The logit of an id that was dropped is -infinity, no top-k
 * has it among its ids, a log_z is over the others, and embedding it is an error.
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
  TIED_INVALID_ARGUMENT = 1,  /* a null pointer, or a name, type, rank, shape or size that does not fit */
  TIED_OUT_OF_RANGE = 2,      /* a token id below 0, at or above the vocabulary, or dropped */
  TIED_BUFFER_TOO_SMALL = 3,  /* an output buffer that the result does not fit into */
  TIED_NOT_FOUND = 4,         /* no such file, or no entry point, input or output of that name */
  TIED_PERMISSION_DENIED = 5, /* the file may not be read */
  TIED_IO_ERROR = 6,          /* the operating system failed to open, read or map */
  TIED_CORRUPT = 7,           /* not a .tied file, or one that is truncated or damaged */
  TIED_UNSUPPORTED = 8,       /* a newer format version, or an entry point that the model does not have */
  TIED_OUT_OF_MEMORY = 9,
  TIED_NOT_FINITE = 10, /* NaN or infinity where a number is needed */
  TIED_BUSY = 11,       /* the session is running another call */
  TIED_INTERNAL = 12,   /* a fault of this library or of one it uses */
  TIED_CANCELLED = 13   /* tied_session_cancel() was called */
};

typedef struct tied_error {
  tied_status status;
  char message[508]; /* UTF-8 if the names in the file are, always terminated, cut off where it does not fit */
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
  TIED_UINT8 = 2, /* this, INT8, FLOAT16, BFLOAT16 and INT4: of tables alone, not of tensors */
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
  int32_t copy;          /* not 0: read the file into memory of this process instead of mapping it. What happens to the
                          * file afterwards is of no concern; its pages cannot be given back, nor shared */
} tied_open_options;
#define TIED_OPEN_OPTIONS_INIT \
  { sizeof(tied_open_options), 0, 0 }

/* Opens a .tied file: maps it read-only and shared, checks the header, and the ids of rows where some were dropped (4
 * bytes a row), and reads nothing else.
 * `options` may be NULL. The file must not be changed or truncated while the model lives: a call that reads a page
 * which is gone is killed by SIGBUS, whatever the mapping. Replacing it by rename is safe, and `copy` saves from all.
 * Errors: NOT_FOUND, PERMISSION_DENIED, IO_ERROR, CORRUPT, UNSUPPORTED, OUT_OF_MEMORY; *model is then unchanged. */
TIED_API tied_status tied_model_open(const char* path, const tied_open_options* options, tied_model** model,
                                     tied_error* error);

/* The same for the `length` bytes at `offset` of an open file, such as an uncompressed Android asset. `offset` is a
 * multiple of 4 and need not be page-aligned; length 0 means up to the end of the file. The descriptor stays the
 * caller's and may be closed as soon as the call returns. */
TIED_API tied_status tied_model_open_fd(int fd, uint64_t offset, uint64_t length, const tied_open_options* options,
                                        tied_model** model, tied_error* error);

/* The same for a file that is in memory already. `data` is aligned to 4 bytes, and stays valid and unchanged until
 * the model and every session on it are closed: `copy` does nothing here. */
TIED_API tied_status tied_model_open_memory(const void* data, size_t length, const tied_open_options* options,
                                            tied_model** model, tied_error* error);

/* Closes a model; NULL is fine. Its memory is unmapped when the last session on it is closed too. */
TIED_API void tied_model_close(tied_model* model);

/* Checks the hash of every plane, that scales are finite, that zero points of INT4 are at most 15, that a screen's
 * scales are positive and none of its residual norms is smaller than the truth: reads the whole file. CORRUPT names the
 * first plane or row that is wrong. */
TIED_API tied_status tied_model_verify(const tied_model* model, tied_error* error);

/* Gives the table's pages back to the system, for an app that is told to trim its memory. They are read again from
 * the file on next use. Safe beside running sessions. Nothing happens for a model in memory or a copy. */
TIED_API tied_status tied_model_trim(tied_model* model, tied_error* error);

/* Bytes of the file's pages that are mapped into this process now: what it adds to the process's resident memory. Takes
 * a few milliseconds for each gigabyte of the file. NOT_FOUND, PERMISSION_DENIED or IO_ERROR where the system does not
 * tell. */
TIED_API tied_status tied_model_resident_bytes(const tied_model* model, uint64_t* bytes, tied_error* error);

/* ---- What is in a model ---------------------------------------------------------------------------------------- */

typedef struct tied_model_info {
  uint32_t format_version;
  uint64_t file_bytes;
  const char* producer; /* program and version that wrote the file */
  const char* source;   /* file name of the model it was made from; "" if not recorded */
  const char* graph;    /* name of the graph in it; "" if not recorded */
  size_t table_count;
  size_t input_count;
  size_t output_count;
  size_t entry_point_count;
} tied_model_info;

/* All 0 for a plane that is not there. */
typedef struct tied_plane_info {
  uint64_t offset; /* bytes from the start of the .tied file */
  uint64_t length; /* bytes */
  uint64_t hash;   /* XXH3-64 */
} tied_plane_info;

typedef struct tied_table_info {
  const char* name;
  tied_type type;
  uint64_t rows;
  uint64_t cols;
  uint64_t vocabulary; /* token ids are below it: rows, or more where some were dropped */
  tied_plane_info values;
  const void* data;                      /* the mapped values, row-major; read-only */
  tied_plane_info scales;                /* float32: one for 32 columns of a row; INT8, UINT8: or one a row, or one */
  tied_plane_info zero_points;           /* INT8, UINT8, INT4: a byte for each scale; none: all 0, for INT4 8 */
  tied_plane_info screen;                /* int8 approximation of the rows, for top-k */
  tied_plane_info screen_scales;         /* one a row */
  tied_plane_info screen_residual_norms; /* one a row */
  tied_plane_info ids;                   /* token id of each row; not there if they are 0 to rows - 1 */
  const uint32_t* id_of_row;             /* the same, mapped: [rows], ascending; NULL: row r is id r */
} tied_table_info;

typedef struct tied_value_info {
  const char* name;
  tied_type type;
  size_t rank;
  int64_t dims[TIED_MAX_RANK];        /* -1: any size */
  const char* symbols[TIED_MAX_RANK]; /* name of a free dimension, such as "batch"; "" if it has none */
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
  size_t table;     /* index of the table; without meaning for Constant */
  size_t input;     /* index of the input; without meaning for Constant */
  size_t output;    /* index of the output */
  float scale;      /* Embedding: factor on the embedding; Head: on hidden states; 1 for Constant */
  int32_t has_bias; /* Head: 1 if a bias is added to the logits */
  /* Head: what of them the output is. "Logits", or "TopkValues" or "TopkIds" of the k best; "" for the others. */
  const char* result;
  size_t k;            /* of TopkValues and TopkIds; 0 for the others */
  int32_t log_softmax; /* Head: 1 if logits or values are log-probabilities: the token's log_z is subtracted */
  const char* origin;  /* the nodes of the model that it stands for, one a line; "" if the file does not say */
  float soft_cap;      /* Head: c, where each logit x becomes c * tanh(x / c); 0: none, and for the others */
} tied_op_info;

/* What tied_embed() computes. The caller sets struct_size, by the _INIT macro. */
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

/* What tied_logits(), tied_topk() and the calls like them compute. The caller sets struct_size, by the _INIT macro. */
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
 * the model has none; *info is then unchanged. */
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
  int32_t threads;       /* 1 to 256; 0: one for each performance core that the process may run on, at most 256 */
  int32_t deterministic; /* not 0: the same bits on every CPU, for every thread count, token count and order of calls.
                          * 0: many tokens at once go through XNNPACK, which sums in an order of its own */
  int32_t xnnpack_min_tokens; /* where deterministic is 0: from so many tokens on; 0: from where XNNPACK is known to be
                               * faster on this kind of CPU, which may be nowhere */
} tied_session_options;
#define TIED_SESSION_OPTIONS_INIT \
  { sizeof(tied_session_options), 0, 1, 0 }

/* Makes a session and starts its threads (threads - 1 of them: the calling thread is one). `options` may be NULL.
 * The session keeps the model alive. After fork() the child may use its parent's models and makes sessions of its own
 * on them: the threads of a session stay in the parent, so that the child must neither run nor destroy one that it
 * found. Errors: INVALID_ARGUMENT; OUT_OF_MEMORY, also for threads that the system does not let it start; *session is
 * then unchanged. */
TIED_API tied_status tied_session_create(tied_model* model, const tied_session_options* options, tied_session** session,
                                         tied_error* error);

/* Ends a session that is not running; NULL is fine. */
TIED_API void tied_session_destroy(tied_session* session);

/* Number of threads that the session uses, itself included. 0 for NULL. */
TIED_API size_t tied_session_threads(const tied_session* session);

/* Ends the call that is running on the session, if there is one: it returns TIED_CANCELLED within a few milliseconds,
 * and the content of its outputs is then undefined. The session stays usable. The one call that may be made from any
 * thread while another runs on the same session. */
TIED_API void tied_session_cancel(tied_session* session);

/* The typed calls compute the model's first embedding and its first head, scale and bias included, whatever the head's
 * result is in the graph: tied_logits() gives logits. tied_model_get_embedding() and tied_model_get_head() describe
 * them. UNSUPPORTED if the model has none. Zero ids or tokens are fine: nothing happens, and the pointers may be NULL.
 */

/* embeddings[i, :] = the row of ids[i] * scale.
 * embeddings: [count, cols], `capacity` floats at least count * cols.
 * Errors: OUT_OF_RANGE for an id below 0, at or above the vocabulary, or dropped (the message says which),
 * BUFFER_TOO_SMALL; nothing is then written. */
TIED_API tied_status tied_embed(tied_session* session, const int64_t* ids, size_t count, float* embeddings,
                                size_t capacity, tied_error* error);

/* logits[t, id] = dot(scale * hidden[t, :], the row of id) + its bias, soft-capped: tied_head_info says with what, and
 * most heads have no scale, bias or soft cap. -infinity for ids that were dropped.
 * hidden: [tokens, cols]; logits: [tokens, vocabulary], `capacity` floats at least tokens * vocabulary.
 * NaN and infinities follow IEEE 754 where the table is of floats; of a quantised one a hidden state that holds any
 * gives NaN. The order of summation is that of kernels/scalar.cc. */
TIED_API tied_status tied_logits(tied_session* session, const float* hidden, size_t tokens, float* logits,
                                 size_t capacity, tied_error* error);

/* ids[t, :] = the k ids with the largest logits for token t, best first; of equal logits the lower id first. A soft cap
 * keeps the order and may make different logits equal: the order is that of the logits before it.
 * best_logits[t, :] = their logits, the same bits as tied_logits() gives on a deterministic session. Never writes all
 * logits. ids: [tokens, k]; best_logits: [tokens, k] or NULL; k: 1 to TIED_MAX_K, and at most the row count.
 * Errors: INVALID_ARGUMENT for k, NOT_FINITE for NaN or infinity in hidden, or a logit that is NaN. */
#define TIED_MAX_K 1024
TIED_API tied_status tied_topk(tied_session* session, const float* hidden, size_t tokens, size_t k, int64_t* ids,
                               float* best_logits, tied_error* error);

/* Restricts and describes a top-k. */
typedef struct tied_topk_options {
  size_t struct_size;
  const int64_t* row_ids; /* only the rows of these ids, in any order; one given twice counts once. NULL: all */
  size_t row_count;       /* of row_ids */
  const uint8_t* allowed; /* only ids whose bit is 1: bit id % 8 of byte id / 8. NULL: all. With row_ids: both */
  size_t allowed_bytes;   /* at least (vocabulary + 7) / 8 */
  int32_t use_screen;     /* not 0: use the table's screen, if it has one; the results are the same */
  double log_z_tolerance; /* how far log_z may be off; 0: as exact as float64 is, which takes a pass over the table, as
                           * every log_z of a head with a soft cap does.
                           * Above 0 its last bits may differ from call to call, within the bound */
} tied_topk_options;
#define TIED_TOPK_OPTIONS_INIT \
  { sizeof(tied_topk_options), NULL, 0, NULL, 0, 1, 0.0 }

/* Where results go: the caller's arrays. All but ids may be NULL. */
typedef struct tied_topk_result {
  int64_t* ids;         /* [tokens, k] */
  float* logits;        /* [tokens, k] */
  double* log_z;        /* [tokens]: log of the sum of exp(logit) over the allowed rows */
  double* log_z_bound;  /* [tokens]: log_z is off by at most this; at most the tolerance, or rounding */
  uint64_t* survivors;  /* [tokens]: rows that were computed from the table; through a screen it depends on threads */
  uint64_t* bytes_read; /* one: bytes of rows, of their scales and of the screen that the call read, for all tokens */
} tied_topk_result;

/* tied_topk() over some of the rows, with more to tell. `options` may be NULL. Rows that are not allowed are not read,
 * except where they share a page with one that is.
 * Ids that were dropped count as not allowed.
 * Errors: those of tied_topk(); INVALID_ARGUMENT also if k is above the number of allowed rows, or for a tolerance
 * below 0 or NaN; OUT_OF_RANGE for a row id below 0 or at or above the vocabulary. */
TIED_API tied_status tied_topk_with(tied_session* session, const float* hidden, size_t tokens, size_t k,
                                    const tied_topk_options* options, const tied_topk_result* result,
                                    tied_error* error);

/* logits[t, i] = the logit of the id row_ids[i]: a lexical shortlist. The ids may be in any order and repeat.
 * logits: [tokens, row_count], `capacity` floats at least tokens * row_count. The bits are those of tied_logits() on a
 * deterministic session. Errors: OUT_OF_RANGE for an id below 0 or at or above the vocabulary, BUFFER_TOO_SMALL. */
TIED_API tied_status tied_logits_of(tied_session* session, const float* hidden, size_t tokens, const int64_t* row_ids,
                                    size_t row_count, float* logits, size_t capacity, tied_error* error);

/* tied_logits() for the ids whose bit in `allowed` is 1 (see tied_topk_options); the others' logits are -infinity, and
 * where their rows fill a page it is not read. Errors: INVALID_ARGUMENT for too few allowed_bytes, BUFFER_TOO_SMALL. */
TIED_API tied_status tied_logits_allowed(tied_session* session, const float* hidden, size_t tokens,
                                         const uint8_t* allowed, size_t allowed_bytes, float* logits, size_t capacity,
                                         tied_error* error);

/* tied_topk() with k = 1. */
TIED_API tied_status tied_argmax(tied_session* session, const float* hidden, size_t tokens, int64_t* ids,
                                 float* best_logits, tied_error* error);

/* Runs an entry point with the names of the ONNX graph.
 * entry_point: its name, or NULL to let the selectors among `inputs` choose. With a name, selectors may be left out;
 *   one that is given must agree with it.
 * inputs: what the entry point reads, with the graph's types; shapes must fit those declared. Inputs of the graph
 *   that it does not read (an ONNX Runtime caller's dummies) are accepted and ignored.
 * outputs: any of the graph's outputs, by name. The call sets type, rank, dims and bytes and fills `data`. An output
 *   with data == NULL gets its type, rank, dims and the bytes it needs, and is not computed.
 * Errors: NOT_FOUND (a name), INVALID_ARGUMENT (type, rank, shape, missing input or selector, a name given twice),
 *   BUFFER_TOO_SMALL, OUT_OF_RANGE; no output is then changed. NOT_FINITE as tied_topk(), for an output that is a
 * top-k; of several different top-k others may then have been written, and so they may on OUT_OF_MEMORY. Results are
 * those of the typed calls. The log_z of log-probabilities is as exact as float64 is, so that it takes a pass over the
 * table even if there is a screen; ids alone do not. */
TIED_API tied_status tied_run(tied_session* session, const char* entry_point, const tied_tensor* inputs,
                              size_t input_count, tied_tensor* outputs, size_t output_count, tied_error* error);

/* ---- Kernels --------------------------------------------------------------------------------------------------- */

typedef struct tied_kernel_info {
  const char* isa;   /* instruction set: "scalar", "avx2", "avx512", "avx512vnni", "neon", "neondot" */
  int32_t available; /* this CPU can run it */
  int32_t selected;  /* it is the one that sessions use */
} tied_kernel_info;

/* The kernels built into this library, slowest first. The environment variable TIED_ISA, read once, forces one by
 * name, for tests; a session is not created if the CPU cannot run it. */
TIED_API size_t tied_kernel_count(void);
TIED_API tied_status tied_kernel_get_info(size_t index, tied_kernel_info* info, tied_error* error);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* TIED_TIED_H_ */
