#include "graph/kept_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "graph/proto_bytes.h"
#include "waypost/error.h"

namespace waypost {
namespace {

void MergeVersions(const tf::VersionDef& from, tf::VersionDef& into) {
  into.set_producer(std::min(into.producer(), from.producer()));
  into.set_min_consumer(std::max(into.min_consumer(), from.min_consumer()));
  for (const std::int32_t consumer : from.bad_consumers()) {
    const auto& known = into.bad_consumers();
    if (std::find(known.begin(), known.end(), consumer) == known.end()) {
      into.add_bad_consumers(consumer);
    }
  }
}

// Adds what is not there yet; two of one name must be the same.
template <typename Message, typename NameOf>
void MergeNamed(const google::protobuf::RepeatedPtrField<Message>& from, const char* kind,
                NameOf name_of, google::protobuf::RepeatedPtrField<Message>& into) {
  std::map<std::string, std::string> known;
  for (const Message& message : into) known.emplace(name_of(message), SerializeMessage(message));
  for (const Message& message : from) {
    const auto [found, added] = known.emplace(name_of(message), SerializeMessage(message));
    if (added) {
      *into.Add() = message;
    } else if (found->second != SerializeMessage(message)) {
      throw Error(Code::kInvalidArgument,
                  fmt::format("import meta graph: the graph has another {} '{}' already", kind,
                              name_of(message)));
    }
  }
}

void MergeLibrary(const tf::FunctionDefLibrary& from, tf::FunctionDefLibrary& into) {
  MergeNamed(
      from.function(), "function",
      [](const tf::FunctionDef& function) { return function.signature().name(); },
      *into.mutable_function());
  MergeNamed(
      from.gradient(), "gradient of function",
      [](const tf::GradientDef& gradient) { return gradient.function_name(); },
      *into.mutable_gradient());
  MergeNamed(
      from.registered_gradients(), "gradient",
      [](const tf::RegisteredGradient& gradient) {
        return gradient.gradient_func() + " of " + gradient.registered_op_type();
      },
      *into.mutable_registered_gradients());
}

// An operation's definition may grow from release to release; the first one stays.
void MergeOps(const tf::OpList& from, tf::OpList& into) {
  std::set<std::string> known;
  for (const tf::OpDef& op : into.op()) known.insert(op.name());
  for (const tf::OpDef& op : from.op()) {
    if (known.insert(op.name()).second) *into.add_op() = op;
  }
}

}  // namespace

tf::MetaGraphDef MergedKept(tf::MetaGraphDef into, const tf::MetaGraphDef& from) {
  tf::GraphDef& graph = *into.mutable_graph_def();
  if (from.graph_def().has_versions()) {
    MergeVersions(from.graph_def().versions(), *graph.mutable_versions());
  }
  if (from.graph_def().has_library()) {
    MergeLibrary(from.graph_def().library(), *graph.mutable_library());
  }
  if (from.meta_info_def().has_stripped_op_list()) {
    MergeOps(from.meta_info_def().stripped_op_list(),
             *into.mutable_meta_info_def()->mutable_stripped_op_list());
  }
  for (const auto& [key, signature] : from.signature_def()) {
    if (!into.mutable_signature_def()->insert({key, signature}).second) {
      throw Error(Code::kAlreadyExists,
                  fmt::format("import meta graph: the graph has a signature '{}' already", key));
    }
  }
  into.mutable_asset_file_def()->MergeFrom(from.asset_file_def());
  return into;
}

}  // namespace waypost
