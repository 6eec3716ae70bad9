// The commands of `waypost`: one function and one cmd_*.cc each.
//
// Each adds its command with its options to the program; when the command line chooses it, `action`
// is set to what runs it.  An action returns the exit status, or throws Error (StatusOf says what
// that means).
#pragma once

#include <functional>

#include "waypost/error.h"

namespace CLI {
class App;
}

namespace waypost::tool {

enum ExitStatus {
  kDone = 0,
  kFoundWanting = 1,  // a difference, damage, no checkpoint where there should be one
  kUsedWrongly = 2,   // a wrong command line, a name that is not there, no permission
};

// Damage, and tensors that are not whole, are findings; everything else could not be looked at.
inline ExitStatus StatusOf(const Error& error) {
  const bool is_finding =
      error.code() == Code::kDataLoss || error.code() == Code::kFailedPrecondition;
  return is_finding ? kFoundWanting : kUsedWrongly;
}

using Action = std::function<ExitStatus()>;

void AddBench(CLI::App& program, Action& action);
void AddCat(CLI::App& program, Action& action);
void AddConvert(CLI::App& program, Action& action);
void AddDiff(CLI::App& program, Action& action);
void AddEvents(CLI::App& program, Action& action);
void AddGraph(CLI::App& program, Action& action);
void AddLatest(CLI::App& program, Action& action);
void AddLs(CLI::App& program, Action& action);
void AddRecover(CLI::App& program, Action& action);
void AddVerify(CLI::App& program, Action& action);

}  // namespace waypost::tool
