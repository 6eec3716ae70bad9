// Names, paths and messages of the engine as Python's text.
#pragma once

#include <string>
#include <vector>

#include "bindings/bindings.h"

namespace waypost::python {

// Bytes that are no UTF-8 become surrogates, Python's own rule for such.
inline nb::object Text(const std::string& text) {
  return nb::steal(
      PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
}

inline nb::list Texts(const std::vector<std::string>& texts) {
  nb::list list;
  for (const std::string& text : texts) list.append(Text(text));
  return list;
}

}  // namespace waypost::python
