// SaverDef: which nodes of a graph save and restore it, TensorFlow's message as a plain struct.
//
// Source of the fields: TensorFlow's core/protobuf/saver.proto.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace waypost {

struct SaverDef {
  // The format of the checkpoint's files: one table (V1), or an index and data files (V2).
  enum Version : std::int32_t { kLegacy = 0, kV1 = 1, kV2 = 2 };

  std::string filename_tensor_name;  // "save/Const:0": the prefix is fed here
  std::string save_tensor_name;      // "save/control_dependency:0": evaluating it saves
  std::string restore_op_name;       // "save/restore_all": an operation, without ":0"
  std::int32_t max_to_keep = 5;      // 0: all
  bool sharded = false;
  float keep_checkpoint_every_n_hours = 10000.0F;
  Version version = kV2;

  friend bool operator==(const SaverDef&, const SaverDef&) = default;
};

// The message's bytes, as they stand in a MetaGraphDef and in the collection `savers`.  Throws
// kNotFound when libwaypost_graph.so cannot be loaded.
std::string SerializeSaverDef(const SaverDef& saver);

// Throws kDataLoss for bytes that are no SaverDef, kInvalidArgument for a version that is none of
// the three; kNotFound as above.  Fields that SaverDef does not have are left out.
SaverDef ParseSaverDef(std::string_view bytes);

}  // namespace waypost
