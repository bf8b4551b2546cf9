/* Uses the C ABI from C99. Returns 0, or the line that failed. */
#include <string.h>
#include <tied/tied.h>

int tied_test_c_abi(const void* file, size_t bytes, int64_t* best);

#define REQUIRE(condition) \
  if (!(condition)) return __LINE__

int tied_test_c_abi(const void* file, size_t bytes, int64_t* best) {
  tied_open_options open_options = TIED_OPEN_OPTIONS_INIT;
  tied_session_options session_options = TIED_SESSION_OPTIONS_INIT;
  tied_model* model = NULL;
  tied_session* session = NULL;
  tied_table_info table;
  tied_embedding_info embedding = TIED_EMBEDDING_INFO_INIT;
  tied_head_info head = TIED_HEAD_INFO_INIT;
  tied_error error;
  const float hidden[6] = {1, 0, 0, 0, 0, 0};
  memset(&error, 0, sizeof error);

  REQUIRE(tied_model_open_memory(file, bytes, &open_options, &model, &error) == TIED_OK);
  REQUIRE(tied_model_get_table(model, 0, &table, &error) == TIED_OK);
  REQUIRE(table.cols == 6);
  REQUIRE(tied_model_get_embedding(model, &embedding, &error) == TIED_OK);
  REQUIRE(embedding.table == 0 && embedding.cols == 6);
  REQUIRE(tied_model_get_head(model, &head, &error) == TIED_OK);
  REQUIRE(head.table == 0 && head.cols == 6 && head.vocabulary == table.vocabulary);
  session_options.threads = 1;
  REQUIRE(tied_session_create(model, &session_options, &session, &error) == TIED_OK);
  REQUIRE(tied_argmax(session, hidden, 1, best, NULL, &error) == TIED_OK);
  REQUIRE(tied_topk(session, hidden, 1, 0, best, NULL, &error) == TIED_INVALID_ARGUMENT);
  REQUIRE(error.status == TIED_INVALID_ARGUMENT && strlen(error.message) > 0);
  {
    const double score = -1;
    double sum = 0;
    int32_t parent = -1;
    REQUIRE(tied_beam_step(session, hidden, &score, 1, 1, NULL, &parent, best, &sum, &error) == TIED_OK);
    REQUIRE(parent == 0 && sum < score);
  }
  REQUIRE(tied_model_prefetch(model, NULL, NULL, NULL, &error) == TIED_OK);
  tied_session_destroy(session);
  tied_model_close(model);
  return 0;
}
