/* Includes the public header, for every standard of C and C++. */
#include <tied/tied.h>

tied_status tied_test_headers(tied_model* model);

tied_status tied_test_headers(tied_model* model) {
  tied_open_options open_options = TIED_OPEN_OPTIONS_INIT;
  tied_session_options session_options = TIED_SESSION_OPTIONS_INIT;
  tied_topk_options topk_options = TIED_TOPK_OPTIONS_INIT;
  tied_session* session = NULL;
  if (open_options.struct_size != sizeof open_options || topk_options.use_screen == 0) return TIED_INTERNAL;
  return tied_session_create(model, &session_options, &session, NULL);
}
