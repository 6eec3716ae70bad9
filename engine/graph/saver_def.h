// SaverDef: which nodes of a graph save and restore it, TensorFlow's message as a plain struct.
#pragma once

#include <cstdint>
#include <string>

namespace waypost {

struct SaverDef {
  std::string filename_tensor_name;  // "save/Const:0"
  std::string save_tensor_name;      // "save/control_dependency:0"
  std::string restore_op_name;       // "save/restore_all"
  std::int32_t max_to_keep = 5;
  bool sharded = false;
  float keep_checkpoint_every_n_hours = 10000.0F;
  std::int32_t version = 2;  // TensorFlow's V2, the only one that Waypost writes
};

}  // namespace waypost
