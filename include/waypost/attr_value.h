// AttrValue: the typed value of an attribute of a graph's node.
//
// Source of the kinds: TensorFlow's core/framework/attr_value.proto and tensor.proto.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "waypost/tensor.h"

namespace waypost {

// The value of a Const, a small tensor that stands in the graph.  Its elements are in one of the
// three; without any it is all zero, or empty strings, whatever the shape.  One element stands for
// all.
struct TensorValue {
  DType dtype = DType::kInvalid;
  Shape shape = {};
  std::vector<std::string> strings = {};  // with kString
  std::vector<std::int32_t> ints = {};    // with kInt32 and narrower integers
  std::string content = {};               // the elements as ConstTensorView holds them, any number
};

// Copies the elements.  Throws kInvalidArgument for kVariant, kResource and kInvalid.
TensorValue MakeTensorValue(const ConstTensorView& view);

struct AttrValue;
using AttrMap = std::map<std::string, AttrValue>;

// A function of the graph's library by its name, with the attributes that it is called with.
struct NameAttrList {
  std::string name;
  AttrMap attrs;
};

// The shape of something whose rank is not known.
struct UnknownRank {};

// A list of integers; std::vector<std::int64_t> is a Shape.
struct IntList {
  std::vector<std::int64_t> values;
};

// A value that came with an imported graph and is kept as it was: a serialized AttrValue message.
struct EncodedAttr {
  std::string bytes;
};

// A dimension of a Shape may be -1 here: unknown.  A list is a std::vector of one kind.
struct AttrValue
    : std::variant<std::int64_t, float, bool, std::string, DType, Shape, UnknownRank, TensorValue,
                   NameAttrList, IntList, std::vector<float>, std::vector<bool>,
                   std::vector<std::string>, std::vector<DType>, std::vector<Shape>,
                   std::vector<TensorValue>, std::vector<NameAttrList>, EncodedAttr> {
  using variant::variant;
};

}  // namespace waypost
