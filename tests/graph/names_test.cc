// Names are TensorFlow's: what the real one made of the same requests, scopes, and what is refused.
#include <gtest/gtest.h>

#include "graph/graph_model.h"
#include "support/expect_error.h"
#include "waypost/graph.h"

namespace waypost {
namespace {

std::string Placeholder(Graph& graph, const std::string& name) {
  const Output output = graph.AddPlaceholder(name, DType::kFloat32, {});
  return graph.impl().model().nodes[output.node].name;
}

TEST(Names, AreMadeUniqueWithoutRegardToCase) {
  Graph graph;
  EXPECT_EQ(Placeholder(graph, "loss"), "loss");
  EXPECT_EQ(Placeholder(graph, "loss"), "loss_1");
  EXPECT_EQ(Placeholder(graph, "Loss"), "Loss_2");
  EXPECT_EQ(Placeholder(graph, "LOSS"), "LOSS_3");
}

TEST(Names, StepOverOnesThatAreTaken) {
  Graph graph;
  EXPECT_EQ(Placeholder(graph, "foo_1"), "foo_1");
  EXPECT_EQ(Placeholder(graph, "foo"), "foo");
  EXPECT_EQ(Placeholder(graph, "foo"), "foo_2");
  EXPECT_EQ(Placeholder(graph, "foo_1"), "foo_1_1");
}

TEST(Names, WithASlashDoNotReserveTheirFirstPart) {
  Graph graph;
  EXPECT_EQ(Placeholder(graph, "b/c"), "b/c");
  EXPECT_EQ(Placeholder(graph, "b"), "b");
  const NameScope scope(graph, "b");
  EXPECT_EQ(scope.name(), "b_1/");
}

TEST(Names, ScopesAndNodesShareOneTable) {
  Graph graph;
  Placeholder(graph, "sc");
  {
    const NameScope scope(graph, "sc");
    EXPECT_EQ(scope.name(), "sc_1/");
    EXPECT_EQ(Placeholder(graph, "x"), "sc_1/x");
    const NameScope inner(graph, "inner");
    EXPECT_EQ(inner.name(), "sc_1/inner/");
  }
  EXPECT_EQ(Placeholder(graph, "sc"), "sc_2");
  EXPECT_EQ(Placeholder(graph, "x"), "x") << "the scope was left";
}

TEST(Names, AScopeWithASlashAtItsEndIsEnteredAgain) {
  Graph graph;
  std::string name;
  {
    const NameScope scope(graph, "sc");
    name = scope.name();
    Placeholder(graph, "x");
  }
  const NameScope other(graph, "other");
  const NameScope again(graph, name);
  EXPECT_EQ(again.name(), "sc/");
  EXPECT_EQ(Placeholder(graph, "x"), "sc/x_1");
  const NameScope root(graph, "");
  EXPECT_EQ(root.name(), "");
  EXPECT_EQ(Placeholder(graph, "y"), "y");
}

TEST(Names, AScopeWithoutANameHasTheDefaultOne) {
  Graph graph;
  const NameScope outer(graph, "outer");
  EXPECT_EQ(NameScope(graph, std::nullopt, "Default").name(), "outer/Default/");
  EXPECT_EQ(NameScope(graph, "given", "Default").name(), "outer/given/");
  EXPECT_EQ(NameScope(graph, std::nullopt, "Default").name(), "outer/Default_1/");
  EXPECT_EQ(NameScope(graph, "", "Default").name(), "") << "an empty name is the root";
}

TEST(Names, AVariableIsNamedAsOneNode) {
  Graph graph;
  const NameScope scope(graph, "dense");
  const Variable first = graph.AddVariable("kernel", {.shape = {2}});
  const Variable second = graph.AddVariable("kernel", {.shape = {2}});
  EXPECT_EQ(first.name(), "dense/kernel");
  EXPECT_EQ(second.name(), "dense/kernel_1");
  EXPECT_EQ(graph.impl().model().nodes[second.output().node].name,
            "dense/kernel_1/Read/ReadVariableOp");
}

TEST(Names, WhatTensorFlowRefusesIsRefused) {
  Graph graph;
  for (const std::string name : {"", "_x", "-x", "/x", "a b", "a:0", "x/", "\xC3\xA9", "a\nb"}) {
    EXPECT_EQ(CodeOf([&] { Placeholder(graph, name); }), Code::kInvalidArgument) << name;
    EXPECT_EQ(CodeOf([&] { graph.AddVariable(name, {}); }), Code::kInvalidArgument) << name;
  }
  EXPECT_EQ(CodeOf([&] { NameScope scope(graph, "_x"); }), Code::kInvalidArgument);
  EXPECT_EQ(Placeholder(graph, ".x-y_z/>\\"), ".x-y_z/>\\");
  const NameScope scope(graph, "s");
  EXPECT_EQ(Placeholder(graph, "_x"), "s/_x")
      << "within a scope, the first character is like the others";
}

TEST(Graph, RefusesDTypesAndShapesThatNothingCanHave) {
  Graph graph;
  for (const DType dtype :
       {DType::kInvalid, DType::kResource, DType::kVariant, static_cast<DType>(99)}) {
    EXPECT_EQ(CodeOf([&] { graph.AddVariable("v", {.dtype = dtype}); }), Code::kInvalidArgument);
    EXPECT_EQ(CodeOf([&] { graph.AddPlaceholder("p", dtype, {}); }), Code::kInvalidArgument);
  }
  EXPECT_EQ(CodeOf([&] { graph.AddVariable("v", {.shape = {-1}}); }), Code::kInvalidArgument);
  EXPECT_EQ(CodeOf([&] { graph.AddPlaceholder("p", DType::kFloat32, {-2}); }),
            Code::kInvalidArgument);
  EXPECT_TRUE(graph.variables().empty());
  EXPECT_TRUE(graph.impl().model().nodes.empty()) << "a refused call leaves nothing behind";
}

TEST(Graph, CollectionsOfVariablesAreClosedToOutputs) {
  Graph graph;
  const Output loss = graph.AddPlaceholder("loss", DType::kFloat32, {});
  for (const std::string key : {"variables", "trainable_variables"}) {
    EXPECT_EQ(CodeOf([&] { graph.impl().AddToCollection(key, loss); }), Code::kInvalidArgument);
  }
  EXPECT_TRUE(graph.impl().Collection("losses").empty());
}

TEST(Graph, AVariableStaysGoodWhenTheGraphGrowsAndMoves) {
  Graph graph;
  const Variable first =
      graph.AddVariable("v", {.dtype = DType::kInt64, .shape = {3, 4}, .device = "/cpu:0"});
  for (int i = 0; i < 100; ++i) graph.AddVariable("v", {});
  const Graph moved = std::move(graph);
  EXPECT_EQ(first.name(), "v");
  EXPECT_EQ(first.dtype(), DType::kInt64);
  EXPECT_EQ(first.shape(), (Shape{3, 4}));
  EXPECT_EQ(first.device(), "/cpu:0");
  EXPECT_EQ(moved.variables().size(), 101U);
  EXPECT_EQ(&moved.variables()[0].name(), &first.name());
}

}  // namespace
}  // namespace waypost
