#include "waypost/session.h"

#include <fmt/format.h>

#include <cstring>
#include <limits>
#include <map>
#include <new>
#include <optional>

#include "graph/graph_model.h"
#include "manage/engine_impl.h"
#include "manage/variable_position.h"
#include "save/save_job.h"
#include "summary/evaluate.h"
#include "summary/feeds.h"

namespace waypost {
namespace {

// Cache lines do not straddle two tensors.
constexpr std::align_val_t kAlignment{64};

struct AlignedDelete {
  void operator()(std::byte* data) const noexcept { ::operator delete(data, kAlignment); }
};

// The memory that Initialize() gives a variable.
class OwnedTensor {
 public:
  OwnedTensor(DType dtype, const Shape& shape) : dtype_(dtype), shape_(shape) {
    const auto count = static_cast<std::size_t>(ElementCount(shape));
    const std::size_t width = dtype == DType::kString ? sizeof(std::string) : ElementBytes(dtype);
    if (count > static_cast<std::size_t>(std::numeric_limits<std::ptrdiff_t>::max()) / width) {
      throw std::bad_alloc();
    }
    if (dtype == DType::kString) {
      strings_.resize(count);
    } else {
      bytes_.reset(static_cast<std::byte*>(::operator new(count* width, kAlignment)));
    }
    Clear();
  }

  void Clear() {
    for (std::string& text : strings_) text.clear();
    if (bytes_ != nullptr) std::memset(bytes_.get(), 0, View().size_bytes());
  }

  TensorView View() {
    void* data = dtype_ == DType::kString ? static_cast<void*>(strings_.data()) : bytes_.get();
    return {data, dtype_, shape_};
  }

 private:
  DType dtype_;
  Shape shape_;
  std::unique_ptr<std::byte, AlignedDelete> bytes_;
  std::vector<std::string> strings_;
};

// What a session knows of one variable.
struct Binding {
  std::optional<TensorView> view;
  std::unique_ptr<OwnedTensor> owned;  // null when the memory is borrowed
  bool undefined = false;
};

}  // namespace

class Session::Impl {
 public:
  Impl(Engine& engine, Graph& graph) : engine_(&engine), graph_(&graph) {}

  ~Impl() { WaitForPendingSaves(); }

  void AddPendingSave(const SaveHandle& save) {
    std::erase_if(pending_, [](const SaveHandle& old) {
      return SaveJob::JobOf(old).HasReached(SaveState::kDraining);
    });
    pending_.push_back(save);
  }

  void WaitForPendingSaves() {
    for (const SaveHandle& save : pending_) {
      // A save that failed reads nothing either; its error is thrown elsewhere.
      SaveJob::JobOf(save).WaitQuietly(SaveState::kDraining);
    }
    pending_.clear();
  }

  Engine& engine() const noexcept { return *engine_; }
  Graph& graph() const noexcept { return *graph_; }

  void Bind(const Variable& variable, const TensorView& view) {
    Binding& binding = BindingOf(variable);
    if (view.dtype() != variable.dtype() || view.shape() != variable.shape()) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("bind {}: the variable is {} and the memory {}", variable.name(),
                              TensorSpecText(variable.dtype(), variable.shape()),
                              TensorSpecText(view.dtype(), view.shape())));
    }
    if (binding.view && binding.view->data() != view.data()) {
      throw Error(Code::kAlreadyExists,
                  fmt::format("bind {}: the variable is bound to other memory", variable.name()));
    }
    binding.view = view;
    binding.undefined = false;
  }

  void Initialize() {
    for (const Variable& variable : graph_->variables()) {
      Binding& binding = BindingOf(variable);
      if (!binding.view) {
        binding.owned = Allocate(variable);
        binding.view = binding.owned->View();
      } else if (binding.owned != nullptr && binding.undefined) {
        binding.owned->Clear();
        binding.undefined = false;
      }
    }
  }

  TensorView Value(const Variable& variable) const {
    const Binding* binding = FindBinding(variable);
    if (binding == nullptr || !binding->view) {
      throw Error(Code::kFailedPrecondition,
                  fmt::format("variable {}: it is neither bound nor initialised", variable.name()));
    }
    return *binding->view;
  }

  TensorView SavableValue(const Variable& variable) const {
    const TensorView view = Value(variable);
    if (FindBinding(variable)->undefined) {
      throw Error(
          Code::kFailedPrecondition,
          fmt::format("variable {}: a failed restore has left it undefined", variable.name()));
    }
    return view;
  }

  void SetUndefined(const Variable& variable, bool undefined) {
    BindingOf(variable).undefined = undefined;
  }

  Summary Run(const Output& summary, const std::vector<std::pair<Output, Feed>>& feeds,
              const RunOptions& options) const {
    const Engine::Impl& engine = engine_->impl();
    engine.process().Require("run a summary");
    const Graph::Impl& graph = graph_->impl();
    const Feeds fed(graph, feeds);
    const auto value_of = [&](const Output& input) -> ConstTensorView {
      if (const ConstTensorView* view = fed.Find(input)) return *view;
      if (const auto position = graph.VariableOf(input)) return Value(graph.variables()[*position]);
      throw Error(Code::kInvalidArgument, fmt::format("run: placeholder {} is not fed",
                                                      graph.model().nodes[input.node].name));
    };
    return EvaluateSummary(graph.model(), summary, value_of,
                           {.devices = engine.devices(), .stream = options.stream});
  }

 private:
  static std::unique_ptr<OwnedTensor> Allocate(const Variable& variable) {
    try {
      return std::make_unique<OwnedTensor>(variable.dtype(), variable.shape());
    } catch (const std::bad_alloc&) {
      throw Error(Code::kResourceExhausted,
                  fmt::format("initialise {}: no memory for {}", variable.name(),
                              TensorSpecText(variable.dtype(), variable.shape())));
    }
  }

  std::size_t RequirePosition(const Variable& variable) const {
    if (const auto position = PositionIn(*graph_, variable)) return *position;
    throw Error(Code::kInvalidArgument,
                fmt::format("variable {}: it is not of the session's graph", variable.name()));
  }

  Binding& BindingOf(const Variable& variable) { return bindings_[RequirePosition(variable)]; }
  const Binding* FindBinding(const Variable& variable) const {
    const auto found = bindings_.find(RequirePosition(variable));
    return found == bindings_.end() ? nullptr : &found->second;
  }

  Engine* engine_;
  Graph* graph_;
  std::map<std::size_t, Binding> bindings_;  // by position in Graph::variables(), which may grow
  std::vector<SaveHandle> pending_;          // saves that may still read the bindings' memory
};

Session::Session(Engine& engine, Graph& graph) : impl_(std::make_unique<Impl>(engine, graph)) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

void Session::Bind(const Variable& variable, const TensorView& view) {
  impl_->Bind(variable, view);
}
void Session::Initialize() { impl_->Initialize(); }
TensorView Session::Value(const Variable& variable) const { return impl_->Value(variable); }

Summary Session::Run(const Output& summary, std::initializer_list<std::pair<Output, Feed>> feeds,
                     const RunOptions& options) const {
  return impl_->Run(summary, feeds, options);
}
Summary Session::Run(const Output& summary, const std::vector<std::pair<Output, Feed>>& feeds,
                     const RunOptions& options) const {
  return impl_->Run(summary, feeds, options);
}

Engine& Session::engine() const noexcept { return impl_->engine(); }
Graph& Session::graph() const noexcept { return impl_->graph(); }

TensorView Session::SavableValue(const Variable& variable) const {
  return impl_->SavableValue(variable);
}
void Session::SetUndefined(const Variable& variable, bool undefined) {
  impl_->SetUndefined(variable, undefined);
}
void Session::AddPendingSave(const SaveHandle& save) { impl_->AddPendingSave(save); }
void Session::WaitForPendingSaves() { impl_->WaitForPendingSaves(); }

}  // namespace waypost
