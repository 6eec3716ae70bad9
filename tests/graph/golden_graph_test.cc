// Every graph that TensorFlow wrote into tests/golden, binary and text, says in our messages what
// expected.json says of it, and has no field that they do not know.
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "proto/waypost_graph.pb.h"
#include "proto/waypost_meta_graph.pb.h"
#include "support/golden.h"

namespace waypost {
namespace {

using google::protobuf::TextFormat;
using google::protobuf::util::MessageDifferencer;
using nlohmann::json;

template <typename Message>
Message Parsed(const std::string& name) {
  const std::string bytes = ReadGolden(name);
  Message message;
  EXPECT_TRUE(message.ParseFromString(bytes)) << name;
  message.DiscardUnknownFields();
  EXPECT_EQ(message.ByteSizeLong(), bytes.size()) << name << " has a field that we do not know";
  return message;
}

template <typename Message>
Message ParsedText(const std::string& name) {
  Message message;
  EXPECT_TRUE(TextFormat::ParseFromString(ReadGolden(name), &message)) << name;
  return message;
}

const json& GraphSet() { return GoldenExpectations().at("sets").at("graph"); }

json NodesJson(const tf::GraphDef& graph) {
  json nodes = json::array();
  for (const tf::NodeDef& node : graph.node()) {
    json inputs = json::array();
    for (const std::string& input : node.input()) inputs.push_back(input);
    nodes.push_back({node.name(), node.op(), inputs});
  }
  return nodes;
}

TEST(GoldenGraph, HasItsNodesInBothForms) {
  const auto binary = Parsed<tf::GraphDef>(GraphSet().at("graph_pb"));
  const auto text = ParsedText<tf::GraphDef>(GraphSet().at("graph_pbtxt"));
  EXPECT_TRUE(MessageDifferencer::Equals(binary, text));
  // It was written before the Saver and the initializer were added.
  json nodes = GraphSet().at("nodes_in_meta");
  nodes.erase(nodes.begin() + binary.node_size(), nodes.end());
  EXPECT_EQ(nodes.back().at(0), "mean_1");
  EXPECT_EQ(NodesJson(binary), nodes);
}

TEST(GoldenGraph, TheMetaGraphHasItsNodesSaverAndCollections) {
  const auto meta = Parsed<tf::MetaGraphDef>(GraphSet().at("meta"));
  EXPECT_EQ(NodesJson(meta.graph_def()), GraphSet().at("nodes_in_meta"));
  const json& saver = GraphSet().at("saver_def");
  EXPECT_EQ(meta.saver_def().filename_tensor_name(), saver.at("filename_tensor_name"));
  EXPECT_EQ(meta.saver_def().save_tensor_name(), saver.at("save_tensor_name"));
  EXPECT_EQ(meta.saver_def().restore_op_name(), saver.at("restore_op_name"));
  std::set<std::string> collections;
  for (const auto& [name, collection] : meta.collection_def()) collections.insert(name);
  EXPECT_EQ(collections, GraphSet().at("collections").get<std::set<std::string>>());
  const auto text = ParsedText<tf::MetaGraphDef>("graph/model.meta.pbtxt");
  EXPECT_TRUE(MessageDifferencer::Equals(meta.graph_def(), text.graph_def()));
  EXPECT_TRUE(MessageDifferencer::Equals(meta.saver_def(), text.saver_def()));
}

// The names that a variable has in a checkpoint: its own, or that of the whole of which it is a
// part.
std::set<std::string> VariableNames(const tf::MetaGraphDef& meta) {
  std::set<std::string> names;
  for (const std::string& bytes : meta.collection_def().at("variables").bytes_list().value()) {
    tf::VariableDef variable;
    EXPECT_TRUE(variable.ParseFromString(bytes));
    const std::string name = variable.variable_name();
    names.insert(variable.has_save_slice_info_def() ? variable.save_slice_info_def().full_name()
                                                    : name.substr(0, name.find(':')));
  }
  return names;
}

TEST(GoldenGraph, EveryMetaGraphHasTheVariablesOfItsCheckpoint) {
  int count = 0;
  for (const auto& [name, set] : GoldenExpectations().at("sets").items()) {
    const std::string prefix = set.at("prefix");
    // The pattern of V1's shards is no part of the file's name.
    const std::string file = prefix.substr(0, prefix.find("-?")) + ".meta";
    if (!std::filesystem::exists(GoldenPath(file))) continue;
    std::set<std::string> names;
    for (const auto& [tensor, described] : set.at("tensors").items()) names.insert(tensor);
    EXPECT_EQ(VariableNames(Parsed<tf::MetaGraphDef>(file)), names) << file;
    ++count;
  }
  EXPECT_EQ(count, 8);
}

}  // namespace
}  // namespace waypost
