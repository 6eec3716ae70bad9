#include "bindings/bindings.h"

NB_MODULE(_native, module) {
  using namespace waypost::python;
  module.doc() = "The engine of the package waypost; use that.";
  BindErrors(module);
  BindLog(module);
  BindTensors(module);
  BindDlpack(module);
  BindEngine(module);
  BindReader(module);
  BindTools(module);
  BindGraph(module);
  BindMetaGraph(module);
  BindSession(module);
  BindSaver(module);
  BindState(module);
  BindSummary(module);
  BindEvents(module);
  BindFileWriter(module);
}
