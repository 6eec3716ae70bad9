// The version, as CMakeLists.txt has it.
#pragma once

namespace waypost {

inline constexpr const char* kVersion = WAYPOST_VERSION;
// What an index header says it was written by.
inline constexpr const char* kWriterName = "waypost " WAYPOST_VERSION;

}  // namespace waypost
