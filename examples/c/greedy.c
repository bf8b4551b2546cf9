/* Embeds a token, decodes, takes the best next token, and repeats: greedy MODEL.tied [FIRST_ID] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tied/tied.h>

static int Fail(const char* what, const tied_error* error) {
  fprintf(stderr, "%s: %s: %s\n", what, tied_status_name(error->status), error->message);
  return EXIT_FAILURE;
}

/* A real program runs its decoder here; this one shifts the hidden state by one column. */
static void Decode(float* hidden, size_t cols) {
  const float first = hidden[0];
  memmove(hidden, hidden + 1, (cols - 1) * sizeof(float));
  hidden[cols - 1] = first;
}

static int Greedy(tied_session* session, int64_t id, float* hidden, size_t cols) {
  tied_error error;
  int step;
  for (step = 0; step < 8; ++step) {
    float logit;
    printf("%lld\n", (long long)id);
    if (tied_embed(session, &id, 1, hidden, cols, &error) != TIED_OK) return Fail("embed", &error);
    Decode(hidden, cols);
    if (tied_argmax(session, hidden, 1, &id, &logit, &error) != TIED_OK) return Fail("argmax", &error);
  }
  return EXIT_SUCCESS;
}

int main(int argc, char** argv) {
  tied_model* model = NULL;
  tied_session* session = NULL;
  tied_embedding_info embedding = TIED_EMBEDDING_INFO_INIT;
  tied_head_info head = TIED_HEAD_INFO_INIT;
  tied_error error;
  float* hidden = NULL;
  int result = EXIT_FAILURE;
  if (argc < 2) {
    fprintf(stderr, "usage: %s MODEL.tied [FIRST_ID]\n", argv[0]);
    return 2;
  }
  if (tied_model_open(argv[1], NULL, &model, &error) != TIED_OK) return Fail("open", &error);
  if (tied_model_get_embedding(model, &embedding, &error) != TIED_OK ||
      tied_model_get_head(model, &head, &error) != TIED_OK) {
    Fail("model", &error);
  } else if (embedding.cols != head.cols) {
    fprintf(stderr, "%s: an embedding has %lu columns, but a hidden state has %lu\n", argv[1],
            (unsigned long)embedding.cols, (unsigned long)head.cols);
  } else if (tied_session_create(model, NULL, &session, &error) != TIED_OK) {
    Fail("session", &error);
  } else if ((hidden = malloc((size_t)head.cols * sizeof(float))) != NULL) {
    result = Greedy(session, argc > 2 ? strtoll(argv[2], NULL, 10) : 0, hidden, (size_t)head.cols);
  }
  free(hidden);
  tied_session_destroy(session);
  tied_model_close(model);
  return result;
}
