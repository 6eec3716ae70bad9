// The parts of the native module; module.cc calls each once.
//
//   waypost/*.py  ->  [bindings]  ->  include/waypost, tools/convert, tools/verify
//
// The module is private: arguments are positional where Python has checked them, dtypes are
// TensorFlow's names, names of tensors are bytes.  What blocks or reads files lets go of the GIL;
// nothing here holds it while it waits for another thread.
#pragma once

#include <nanobind/nanobind.h>

namespace waypost::python {

namespace nb = nanobind;

void BindErrors(nb::module_& module);
void BindLog(nb::module_& module);
void BindTensors(nb::module_& module);
void BindDlpack(nb::module_& module);
void BindEngine(nb::module_& module);
void BindReader(nb::module_& module);
void BindTools(nb::module_& module);
void BindGraph(nb::module_& module);
void BindMetaGraph(nb::module_& module);
void BindSession(nb::module_& module);
void BindSaver(nb::module_& module);
void BindState(nb::module_& module);
void BindSummary(nb::module_& module);
void BindEvents(nb::module_& module);
void BindFileWriter(nb::module_& module);

// For functions that may take long.
using WithoutGil = nb::call_guard<nb::gil_scoped_release>;

}  // namespace waypost::python
