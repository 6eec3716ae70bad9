#include "manage/global_step.h"

#include <fmt/format.h>

#include <array>
#include <type_traits>

#include "base/escape.h"
#include "manage/engine_impl.h"
#include "summary/feeds.h"
#include "summary/real_values.h"
#include "summary/tensor_values.h"

namespace waypost {

std::int64_t GlobalStepValue(const Session& session, const GlobalStep& step, void* stream) {
  if (const auto* number = std::get_if<std::int64_t>(&step.value())) return *number;
  const Variable& variable = std::get<Variable>(step.value());
  const TensorView view = session.SavableValue(variable);
  const auto refuse = [&] {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("global step {}: it is {} and no scalar of an integer dtype",
                    Printable(variable.name()), TensorSpecText(view.dtype(), view.shape())));
  };
  if (!view.shape().empty() || !IsRealDType(view.dtype())) refuse();
  const std::array<std::byte, 8> bytes =
      ReadScalar(view, {.devices = session.engine().impl().devices(), .stream = stream});
  std::int64_t value = 0;
  VisitReals(ConstTensorView(bytes.data(), view.dtype(), {}), [&](auto element) {
    if constexpr (std::is_integral_v<decltype(element)>) {
      value = std::get<std::int64_t>(GlobalStep(element).value());
    } else {
      refuse();
    }
  });
  return value;
}

}  // namespace waypost
