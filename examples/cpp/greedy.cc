// Embeds a token, decodes, takes the best next token, and repeats: greedy MODEL.tied [FIRST_ID]
#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <tied/tied.hpp>

// A real program runs its decoder here; this one shifts the hidden state by one column.
static void Decode(std::vector<float>& hidden) { std::rotate(hidden.begin(), hidden.begin() + 1, hidden.end()); }

int main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: " << argv[0] << " MODEL.tied [FIRST_ID]\n";
    return 2;
  }
  try {
    const tied::Model model = tied::Model::Open(argv[1]);
    tied::Session session(model);
    std::vector<int64_t> ids = {argc > 2 ? std::strtoll(argv[2], nullptr, 10) : 0};
    for (int step = 0; step < 8; ++step) {
      std::cout << ids.front() << '\n';
      std::vector<float> hidden = session.Embed(ids);
      Decode(hidden);
      ids = session.Argmax(hidden);
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}
