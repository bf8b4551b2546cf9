#include <tied/tied.hpp>
