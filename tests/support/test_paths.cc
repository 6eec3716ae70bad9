#include "support/test_paths.h"

namespace waypost {

std::string TestDataDir() { return WAYPOST_TEST_DATA; }
std::string BuildDir() { return WAYPOST_BINARY_DIR; }

}  // namespace waypost
