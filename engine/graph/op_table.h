// The operations that Waypost puts into graphs, by the signatures that TensorFlow documents for
// them: what they take and give, and the attributes that they know.
//
// The model checks its nodes by them, the codec writes them as OpDef, and default attributes are
// stripped by them.  Of other operations nothing is known.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "graph/graph_model.h"
#include "waypost/attr_value.h"

namespace waypost {

// An input or output.  It is one tensor, or `number_attr` of them, or one for each dtype of
// `type_list_attr`; its dtype is fixed or that of `type_attr`.
struct OpArg {
  std::string_view name;
  DType dtype = DType::kInvalid;
  std::string_view type_attr = {};
  std::string_view number_attr = {};
  std::string_view type_list_attr = {};
  bool is_ref = false;
};

struct OpAttr {
  std::string_view name;
  std::string_view type;  // "type", "list(type)", "int", "bool", ...
  std::optional<AttrValue> default_value = {};
  std::optional<std::int64_t> minimum = {};
  std::vector<DType> allowed = {};
};

struct OpSignature {
  std::string_view name;
  std::vector<OpArg> inputs = {};
  std::vector<OpArg> outputs = {};
  std::vector<OpAttr> attrs = {};
  bool is_stateful = false;
  bool allows_uninitialized_input = false;
};

// nullptr for an operation that is not in the table.
const OpSignature* FindOp(std::string_view name) noexcept;

// How many outputs a node of the table's operation has.  nullopt where its attributes do not tell,
// or the operation is not in the table.
std::optional<std::int64_t> OutputCount(const Node& node);

// Checks a node against the table: the attributes' kinds, missing and unknown ones, the number of
// data inputs.  Throws kInvalidArgument, naming the node.  An operation that is not in the table
// passes.
void CheckNode(const Node& node);

}  // namespace waypost
