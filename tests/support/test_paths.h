// Where the tests' data and the built programs are.  Only test_paths.cc knows the paths at compile
// time: all other objects are the same in every checkout, which lets a compiler cache serve them.
#pragma once

#include <string>

namespace waypost {

std::string TestDataDir();  // tests/ of the source tree
std::string BuildDir();     // of this build

}  // namespace waypost
