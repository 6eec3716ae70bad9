// GraphDef and MetaGraph over files of TensorFlow's and over broken ones; export with each option;
// import, alone and into a graph that has something already.
#include "waypost/meta_graph.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "graph/graph_model.h"
#include "graph/sample_graph.h"
#include "support/expect_error.h"
#include "support/temp_dir.h"
#include "support/test_paths.h"

namespace waypost {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;
using testing::UnorderedElementsAre;

std::string Golden(const std::string& name) { return TestDataDir() + "/golden/" + name; }

std::string FileContent(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  EXPECT_TRUE(stream) << path;
  return {std::istreambuf_iterator<char>(stream), {}};
}

const std::vector<std::string>& GoldenMetas() {
  static const std::vector<std::string> names = {"graph/model.ckpt-1.meta",
                                                 "v1/old.ckpt-3.meta",
                                                 "v1/shard.ckpt-4.meta",
                                                 "v2_partitioned/part.ckpt.meta",
                                                 "v2_partitioned_sharded/ps.ckpt-5.meta",
                                                 "v2_sharded/sh.ckpt-100.meta",
                                                 "v2_single/all.ckpt-7.meta",
                                                 "v2_single/all.ckpt-11.meta"};
  return names;
}

std::vector<std::string> NodeNamesOf(const MetaGraph& meta) {
  std::vector<std::string> names;
  for (const NodeInfo& node : meta.nodes()) names.push_back(node.name);
  return names;
}

Error ErrorOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return Error(Code::kUnknown, "no error");
}

// A field of a number that nobody knows, with the value 5.
const std::string kUnknownField = "\xb8\x3e\x05";

// ---- Files ----

TEST(MetaGraphs, TextAndBinaryAreTheSame) {
  const std::string text = FileContent(Golden("graph/model.meta.pbtxt"));
  const MetaGraph meta = MetaGraph::Read(Golden("graph/model.meta.pbtxt"));
  EXPECT_TRUE(meta.Text() == text);
  EXPECT_TRUE(MetaGraph::Parse(meta.Serialize()).Text() == text);
  const GraphDef graph = GraphDef::Read(Golden("graph/graph.pb"));
  EXPECT_TRUE(graph.Text() == FileContent(Golden("graph/graph.pbtxt")));
  EXPECT_EQ(GraphDef::Read(Golden("graph/graph.pbtxt")).Serialize(), graph.Serialize());
  EXPECT_EQ(graph.nodes().front().name, "x");
}

TEST(MetaGraphs, UnknownFieldsSurviveTheBinaryForm) {
  const std::string bytes = FileContent(Golden("graph/model.ckpt-1.meta")) + kUnknownField;
  const MetaGraph meta = MetaGraph::Parse(bytes);
  EXPECT_EQ(meta.Serialize().size(), bytes.size());
  EXPECT_THAT(meta.Serialize(), testing::EndsWith(kUnknownField));
  EXPECT_EQ(MetaGraph::Parse(meta.Serialize()).Serialize(), meta.Serialize());

  Graph graph;
  ImportMetaGraphInto(graph, meta);
  EXPECT_THAT(ExportMetaGraph(graph, meta.saver_def()).Serialize(),
              testing::EndsWith(kUnknownField));
}

TEST(MetaGraphs, UnknownNamesInTextAreNamed) {
  const Error error = ErrorOf([] { MetaGraph::Parse("graph_def {\n  node { nme: \"a\" }\n}\n"); });
  EXPECT_EQ(error.code(), Code::kInvalidArgument);
  EXPECT_STREQ(error.what(), "2:13: Message type \"NodeDef\" has no field named \"nme\".");
  const TempDir dir;
  std::ofstream(dir.File("g.pbtxt")) << "node { device: 3 }";
  const Error in_file = ErrorOf([&] { GraphDef::Read(dir.File("g.pbtxt")); });
  EXPECT_EQ(in_file.code(), Code::kInvalidArgument);
  EXPECT_THAT(in_file.what(), AllOf(StartsWith("cannot parse file " + dir.File("g.pbtxt") + ": 1:"),
                                    HasSubstr("Expected string")));
}

TEST(MetaGraphs, BrokenFilesAreErrors) {
  const TempDir dir;
  EXPECT_EQ(CodeOf([&] { MetaGraph::Read(dir.File("none.meta")); }), Code::kNotFound);
  std::ofstream(dir.File("empty.meta")) << "";
  EXPECT_EQ(CodeOf([&] { MetaGraph::Read(dir.File("empty.meta")); }), Code::kDataLoss);
  const std::string bytes = FileContent(Golden("graph/model.ckpt-1.meta"));
  std::ofstream(dir.File("torn.meta")) << bytes.substr(0, bytes.size() - 10);
  const Error torn = ErrorOf([&] { MetaGraph::Read(dir.File("torn.meta")); });
  EXPECT_EQ(torn.code(), Code::kDataLoss);
  EXPECT_EQ(torn.what(),
            "cannot parse file " + dir.File("torn.meta") + ": the bytes are no MetaGraphDef");
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += "node { attr { value { func { ";
  EXPECT_EQ(CodeOf([&] { GraphDef::Parse(deep); }), Code::kInvalidArgument) << "no stack overflow";
  EXPECT_EQ(CodeOf([&] { GraphDef::Parse("node { name: \"\\377\" }"); }), Code::kInvalidArgument);
}

TEST(MetaGraphs, ListTheirVariables) {
  const std::vector<MetaVariable> variables =
      MetaGraph::Read(Golden("v2_partitioned/part.ckpt.meta")).variables();
  ASSERT_FALSE(variables.empty());
  const auto part = std::find_if(variables.begin(), variables.end(),
                                 [](const MetaVariable& v) { return v.name == "p/rows/part_1"; });
  ASSERT_NE(part, variables.end());
  EXPECT_EQ(part->checkpoint_key, "p/rows");
  ASSERT_TRUE(part->slice);
  EXPECT_EQ(part->shape, SliceShape(part->slice->full_shape, part->slice->slice));
}

TEST(MetaGraphs, TellWhatTheirSaverWrites) {
  for (const std::string& name : GoldenMetas()) {
    const auto saved = MetaGraph::Read(Golden(name)).saved_tensors();
    ASSERT_TRUE(saved) << name;
    EXPECT_FALSE(saved->empty()) << name;
    for (const SavedTensor& tensor : *saved) EXPECT_NE(tensor.dtype, DType::kInvalid) << name;
  }
  const auto parts = MetaGraph::Read(Golden("v2_partitioned/part.ckpt.meta")).saved_tensors();
  EXPECT_THAT(*parts, Contains(testing::Field(&SavedTensor::shape_and_slice, Not(IsEmpty()))));
  EXPECT_EQ(MetaGraph::Parse("saver_def { save_tensor_name: \"a:0\" }").saved_tensors(),
            std::nullopt);
}

// A saver of `node_count` Save nodes that share a constant of one name.
std::string MetaOfSaves(int node_count, const std::string& name) {
  std::string saves;
  std::string inputs;
  for (int i = 0; i < node_count; ++i) {
    saves += fmt::format(
        "node {{ name: 's{}' op: 'Save' input: 'f' input: 'names' input: 'v' "
        "attr {{ key: 'T' value {{ list {{ type: DT_FLOAT }} }} }} }}",
        i);
    inputs += fmt::format(" input: '^s{}'", i);
  }
  return fmt::format(
      "saver_def {{ save_tensor_name: 'all:0' }} graph_def {{ {} "
      "node {{ name: 'names' op: 'Const' attr {{ key: 'value' value {{ tensor {{ "
      "dtype: DT_STRING string_val: '{}' }} }} }} }} node {{ name: 'all' op: 'NoOp' {} }} }}",
      saves, name, inputs);
}

TEST(MetaGraphs, SaveNodesShareANameOnlyWithinBounds) {
  EXPECT_EQ(MetaGraph::Parse(MetaOfSaves(100, "name")).saved_tensors()->size(), 100U);
  const std::string large(1 << 20, 'n');
  EXPECT_FALSE(MetaGraph::Parse(MetaOfSaves(100, large)).saved_tensors().has_value());
}

// ---- Export ----

TEST(Export, KnowsShapesAndOperations) {
  const SampleGraph sample;
  const std::string text = ExportMetaGraph(sample.graph, sample.saver).Text();
  EXPECT_THAT(text, HasSubstr("name: \"SaveV2\"\n      input_arg {\n        name: \"prefix\""));
  EXPECT_THAT(text, Not(HasSubstr("tensorflow_version")));
  EXPECT_THAT(text, HasSubstr("_output_shapes"));
  EXPECT_THAT(GraphDef(sample.graph).Text(), Not(HasSubstr("_output_shapes")));
}

TEST(Export, OfAScopeStripsItsNames) {
  Graph graph;
  const Output outside = graph.AddPlaceholder("outside", DType::kFloat32, {});
  {
    const NameScope scope(graph, "in");
    const Variable v = graph.AddVariable("v", {.shape = {2}});
    const Output sum = graph.AddNode(
        "AddV2", "sum",
        {.inputs = {outside, v.output()},
         .control_inputs = {outside},
         .attrs = {{"T", DType::kFloat32},
                   {"_class", std::vector<std::string>{"loc:@in/v", "loc:@outside"}}}});
    graph.AddToCollection("mine", sum);
    graph.AddToCollection("mine", outside);
  }
  graph.AddVariable("inner", {});
  const MetaGraph meta = ExportMetaGraph(graph, std::nullopt, {.export_scope = "in"});
  EXPECT_THAT(NodeNamesOf(meta),
              ElementsAre("v/Initializer/zeros", "v", "v/Assign", "v/Read/ReadVariableOp", "sum"));
  EXPECT_THAT(
      meta.nodes().back().inputs,
      ElementsAre("$unbound_inputs_outside", "v/Read/ReadVariableOp", "^$unbound_inputs_outside"));
  EXPECT_THAT(meta.Text(), HasSubstr("s: \"loc:@v\""));
  EXPECT_THAT(meta.Text(), Not(HasSubstr("loc:@outside")));
  EXPECT_THAT(std::get<1>(meta.collections().at("unbound_inputs")),
              ElementsAre("$unbound_inputs_outside"));
  EXPECT_THAT(std::get<NodeNames>(meta.collections().at("mine")).names, ElementsAre("sum:0"));
  ASSERT_EQ(meta.variables().size(), 1U);
  EXPECT_EQ(meta.variables()[0].name, "v");

  Graph target;
  const Output feed = target.AddPlaceholder("feed", DType::kFloat32, {});
  EXPECT_EQ(CodeOf([&] { ImportMetaGraphInto(target, meta); }), Code::kInvalidArgument);
  ImportMetaGraphInto(target, meta,
                      {.import_scope = "here", .input_map = {{"$unbound_inputs_outside", feed}}});
  const Node& sum = target.impl().model().nodes[target.Find("here/sum").node];
  EXPECT_EQ(sum.inputs[0], feed);
  EXPECT_EQ(sum.inputs[2], (Output{.node = feed.node, .index = kControlIndex}));
  EXPECT_EQ(target.variables()[0].name(), "here/v");
}

TEST(Export, OptionsTakeThingsAway) {
  SampleGraph sample;
  const SaverDef other = AddSaverNodes(sample.graph.impl(), {}, EntriesOf(sample.graph));
  sample.graph.AddToCollection("mine", std::int64_t{1});
  const MetaGraph meta = ExportMetaGraph(sample.graph, sample.saver,
                                         {.collection_list = std::vector<std::string>{"mine"},
                                          .clear_devices = true,
                                          .clear_extraneous_savers = true,
                                          .strip_default_attrs = true});
  EXPECT_EQ(meta.collections().size(), 1U);
  EXPECT_THAT(NodeNamesOf(meta), Contains("save/restore_all"));
  EXPECT_THAT(NodeNamesOf(meta), Not(Contains(StartsWith("save_1/"))));
  for (const NodeInfo& node : meta.nodes()) EXPECT_EQ(node.device, "") << node.name;
  const std::string text = meta.Text();
  EXPECT_THAT(text, HasSubstr("stripped_default_attrs: true"));
  EXPECT_THAT(text.substr(text.find("graph_def {")), Not(HasSubstr("key: \"validate_shape\"")));
  EXPECT_THAT(ExportMetaGraph(sample.graph, sample.saver).Text(),
              HasSubstr("key: \"validate_shape\""));
}

TEST(Export, WritesItsFile) {
  const TempDir dir;
  const SampleGraph sample;
  const MetaGraph meta =
      ExportMetaGraph(sample.graph, sample.saver, {.filename = dir.File("m.meta")});
  EXPECT_EQ(FileContent(dir.File("m.meta")), meta.Serialize());
  ExportMetaGraph(sample.graph, sample.saver, {.filename = dir.File("m.pbtxt"), .as_text = true});
  EXPECT_EQ(FileContent(dir.File("m.pbtxt")), meta.Text());
  EXPECT_EQ(MetaGraph::Read(dir.File("m.pbtxt")).Serialize(), meta.Serialize());
  EXPECT_EQ(CodeOf([&] {
              ExportMetaGraph(sample.graph, sample.saver, {.filename = dir.File("no/such/m.meta")});
            }),
            std::nullopt)
      << "missing directories of the file are made";
}

// ---- Import ----

TEST(Import, OfTensorFlowsFilesExportsTheSameAgain) {
  for (const std::string& name : GoldenMetas()) {
    const MetaGraph meta = MetaGraph::Read(Golden(name));
    Graph graph;
    const ImportedMetaGraph imported = ImportMetaGraphInto(graph, meta);
    EXPECT_EQ(imported.saver_def, meta.saver_def());
    EXPECT_EQ(graph.variables("variables").size(),
              std::get<1>(meta.collections().at("variables")).size());
    EXPECT_TRUE(ExportMetaGraph(graph, imported.saver_def).Text() == meta.Text()) << name;
  }
}

TEST(Import, OfOurOwnIsTheSameGraph) {
  const SampleGraph sample(true);
  const MetaGraph meta = ExportMetaGraph(sample.graph, sample.saver);
  Graph graph;
  ImportMetaGraphInto(graph, meta);
  EXPECT_EQ(ExportMetaGraph(graph, sample.saver).Serialize(), meta.Serialize());
  ASSERT_EQ(graph.variables().size(), 2U);
  const Variable& kernel = graph.variables()[0];
  EXPECT_EQ(kernel.name(), "kernel");
  EXPECT_EQ(kernel.dtype(), DType::kFloat32);
  EXPECT_EQ(kernel.shape(), sample.kernel.shape());
  EXPECT_EQ(kernel.device(), sample.kernel.device());
  EXPECT_EQ(graph.impl().SpecOf(graph.Find("rows")).shape, (Shape{-1, 3}));
}

TEST(Import, KeepsPartsAndReferences) {
  Graph source;
  source.AddPartitionedVariable("emb", {.shape = {10, 2}, .kind = VariableKind::kReference},
                                {3, 1});
  Graph graph;
  ImportMetaGraphInto(graph, ExportMetaGraph(source, std::nullopt), {.import_scope = "imp"});
  ASSERT_EQ(graph.variables().size(), 3U);
  const Variable& part = graph.variables()[1];
  EXPECT_EQ(part.name(), "imp/emb/part_1");
  EXPECT_EQ(part.kind(), VariableKind::kReference);
  EXPECT_EQ(*part.slice(), (SaveSliceInfo{"imp/emb", {10, 2}, {{{4, 3}, {0, 2}}}}));
  EXPECT_EQ(graph.NameOf(part.output()), "imp/emb/part_1/read:0");
}

TEST(Import, UnderAScopeMovesEveryName) {
  SampleGraph sample;
  sample.graph.AddSignature("s", {.inputs = {{"x", sample.loss}}, .outputs = {}});
  sample.graph.AddToCollection("savers", SerializeSaverDef(sample.saver));
  const MetaGraph meta = ExportMetaGraph(sample.graph, sample.saver);
  Graph graph;
  graph.AddPlaceholder("imp", DType::kFloat32, {});
  const ImportedMetaGraph imported =
      ImportMetaGraphInto(graph, meta, {.clear_devices = true, .import_scope = "imp"});
  EXPECT_EQ(imported.scope, "imp_1");
  EXPECT_EQ(imported.saver_def->restore_op_name, "imp_1/save/restore_all");
  EXPECT_EQ(graph.variables()[0].name(), "imp_1/kernel");
  EXPECT_EQ(graph.variables()[0].device(), "");
  EXPECT_EQ(ImportMetaGraphInto(graph, meta, {.import_scope = "other"}).scope, "other");
  const MetaGraph both = ExportMetaGraph(graph, imported.saver_def);
  EXPECT_THAT(std::get<NodeNames>(both.collections().at("summaries")).names,
              ElementsAre("imp_1/summaries/loss:0", "imp_1/summaries/rows:0",
                          "other/summaries/loss:0", "other/summaries/rows:0"));
  EXPECT_EQ(ParseSaverDef(std::get<1>(both.collections().at("savers"))[1]).save_tensor_name,
            "other/save/control_dependency:0");
  EXPECT_EQ(both.variables().size(), 4U);
  EXPECT_EQ(both.signatures().at("imp_1/s").inputs.at("x").name, "imp_1/loss:0");
  EXPECT_EQ(both.signatures().at("other/s").inputs.at("x").name, "other/loss:0");
}

TEST(Import, CollisionsChangeNothing) {
  const SampleGraph sample;
  const MetaGraph meta = ExportMetaGraph(sample.graph, sample.saver);
  Graph graph;
  graph.AddPlaceholder("loss", DType::kFloat32, {});
  const std::string before = ExportMetaGraph(graph, std::nullopt).Serialize();
  const Error error = ErrorOf([&] { ImportMetaGraphInto(graph, meta); });
  EXPECT_EQ(error.code(), Code::kAlreadyExists);
  EXPECT_STREQ(error.what(), "import meta graph: the graph has a node 'loss' already");
  EXPECT_EQ(ExportMetaGraph(graph, std::nullopt).Serialize(), before);
  EXPECT_TRUE(graph.variables().empty());
}

TEST(Import, WhatIsWrongInAFileIsNamed) {
  const auto refused = [](const std::string& text) {
    Graph graph;
    const Error error = ErrorOf([&] { ImportMetaGraphInto(graph, MetaGraph::Parse(text)); });
    EXPECT_TRUE(graph.impl().model().nodes.empty());
    EXPECT_TRUE(error.code() == Code::kInvalidArgument || error.code() == Code::kDataLoss)
        << error.what();
    return std::string(error.what());
  };
  EXPECT_THAT(refused("graph_def { node { name: \"a b\" op: \"NoOp\" } }"), HasSubstr("'a b'"));
  EXPECT_THAT(refused("graph_def { node { name: \"a\" } }"), HasSubstr("has no operation"));
  EXPECT_THAT(refused("graph_def { node { name: \"a\" op: \"NoOp\" }\n"
                      "node { name: \"a\" op: \"NoOp\" } }"),
              HasSubstr("two nodes are named 'a'"));
  EXPECT_THAT(refused("graph_def { node { name: \"a\" op: \"X\" input: \"b:0\" } }"),
              HasSubstr("the input 'b:0' of node a"));
  EXPECT_THAT(refused("graph_def { node { name: \"a\" op: \"X\" input: \"a:-1\" } }"),
              HasSubstr("the input 'a:-1'"));
  EXPECT_THAT(refused("graph_def { node { name: \"a\" op: \"X\" input: \"^a\" input: \"a\" } }"),
              HasSubstr("behind control inputs"));
  EXPECT_THAT(refused("collection_def { key: \"k\" value { node_list { value: \"z:0\" } } }"),
              HasSubstr("collection 'k' names 'z:0'"));
  EXPECT_THAT(
      refused("collection_def { key: \"variables\" value { bytes_list { value: \"z\" } } }"),
      HasSubstr("no VariableDef"));
  EXPECT_THAT(refused("graph_def { node { name: \"v\" op: \"X\" } }\n"
                      "collection_def { key: \"variables\" value { bytes_list {\n"
                      "value: \"\\n\\003v:1\" } } }"),
              HasSubstr("'v:1' is no variable"));
  EXPECT_THAT(refused("graph_def { node { name: \"v\" op: \"VarHandleOp\"\n"
                      "attr { key: \"dtype\" value { type: DT_FLOAT } }\n"
                      "attr { key: \"shape\" value { shape { dim { size: -1 } } } } } }\n"
                      "collection_def { key: \"variables\" value { bytes_list {\n"
                      "value: \"\\n\\003v:0\" } } }"),
              HasSubstr("variable v has no fully known shape"));
}

TEST(Import, FunctionsOfOneNameMustBeTheSame) {
  const auto with_function = [](const std::string& op) {
    return MetaGraph::Parse(
        "graph_def { library { function { signature { name: \"f\" }\n"
        "node_def { name: \"n\" op: \"" +
        op + "\" } } } versions { producer: 27 } }");
  };
  Graph graph;
  graph.AddNode("NoOp", "own");
  ImportMetaGraphInto(graph, with_function("A"));
  ImportMetaGraphInto(graph, with_function("A"));
  EXPECT_EQ(CodeOf([&] { ImportMetaGraphInto(graph, with_function("B")); }),
            Code::kInvalidArgument);
  const std::string text = GraphDef(graph).Text();
  EXPECT_EQ(text.find("name: \"f\""), text.rfind("name: \"f\""));
  EXPECT_THAT(text, HasSubstr("producer: 27"));
}

}  // namespace
}  // namespace waypost
