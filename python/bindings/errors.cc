// Errors of the engine become the classes of waypost/errors.py.
#include <string>

#include "bindings/bindings.h"
#include "bindings/text.h"
#include "waypost/error.h"

namespace waypost::python {
namespace {

void Raise(const Error& error) {
  const nb::object classes = nb::module_::import_("waypost.errors").attr("BY_CODE");
  const nb::object type = classes[nb::str(std::string(CodeName(error.code())).c_str())];
  nb::object exception = type(Text(error.what()));
  if (const auto* restore = dynamic_cast<const RestoreError*>(&error)) {
    exception.attr("assigned") = nb::tuple(Texts(restore->assigned()));
    exception.attr("undefined") = nb::tuple(Texts(restore->undefined()));
  }
  PyErr_SetObject(type.ptr(), exception.ptr());
}

}  // namespace

void BindErrors(nb::module_& module) {
  static_cast<void>(module);
  nb::register_exception_translator([](const std::exception_ptr& thrown, void*) {
    try {
      std::rethrow_exception(thrown);
    } catch (const Error& error) {
      Raise(error);
    }
  });
}

}  // namespace waypost::python
