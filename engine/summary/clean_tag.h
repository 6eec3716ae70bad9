// A summary's name as TensorBoard takes it.
#pragma once

#include <string>
#include <string_view>

namespace waypost {

// Every character but letters, digits and "_-/." becomes '_'; slashes at the front are dropped.
// Letters beyond ASCII stay, as in TensorFlow, and are refused afterwards as a name in a graph; so
// are bytes that are not UTF-8.
std::string CleanTag(std::string_view name);

}  // namespace waypost
