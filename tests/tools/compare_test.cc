// waypost diff: tensors are compared by value, whatever their partition, sharding and undefined
// bits; the first difference and the number of them are exact; names, dtypes and shapes that differ
// are told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"
#include "tools/run_tool.h"
#include "waypost/engine.h"

namespace waypost {
namespace {

using ::testing::HasSubstr;

class ToolDiff : public ::testing::Test {
 protected:
  void Save(const std::string& name, const std::vector<NamedTensor>& tensors,
            bool sharded = false) {
    SaveAsync(engine_, temp_.File(name), tensors, {.sharded = sharded}).WaitFinished();
  }
  ToolResult Diff() { return RunTool({"diff", temp_.File("a"), temp_.File("b")}); }

  TempDir temp_;
  Engine engine_;
};

template <typename T>
NamedTensor Tensor(const std::string& name, std::vector<T>& data, DType dtype, const Shape& shape) {
  return {.name = name, .tensor = TensorView(data.data(), dtype, shape)};
}

TEST_F(ToolDiff, EqualValuesInAnotherPartitionAreEqual) {
  constexpr std::int64_t kRows = 600;
  constexpr std::int64_t kColumns = 1000;
  std::vector<float> all(kRows * kColumns);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<float>(i);
  std::vector<float> left;
  std::vector<float> right;
  for (std::size_t i = 0; i < all.size(); ++i)
    (i % kColumns < 300 ? left : right).push_back(all[i]);
  const Shape shape = {kRows, kColumns};
  Save("a", {Tensor("m", all, DType::kFloat32, shape)});
  Save("b",
       {{.name = "m",
         .tensor = TensorView(left.data(), DType::kFloat32, {kRows, 300}),
         .full_shape = shape,
         .slice = {{{0, kRows}, {0, 300}}},
         .device = "/device:CPU:0"},
        {.name = "m",
         .tensor = TensorView(right.data(), DType::kFloat32, {kRows, 700}),
         .full_shape = shape,
         .slice = {{{0, kRows}, {300, 700}}},
         .device = "/device:CPU:1"}},
       /*sharded=*/true);
  const ToolResult result = Diff();
  EXPECT_EQ(result.out, "equal: 1 tensors, 2400000 bytes\n");
  EXPECT_EQ(result.status, 0) << result.error;
}

TEST_F(ToolDiff, CountsElementsAndNamesTheFirst) {
  std::vector<double> values(2'000'000, 1.5);  // several windows
  Save("a", {Tensor("v", values, DType::kFloat64, {2'000'000})});
  for (const std::size_t i : {700'001U, 700'002U, 1'999'999U})
    values[i] = -2.25;  // several bytes each
  Save("b", {Tensor("v", values, DType::kFloat64, {2'000'000})});
  const ToolResult result = Diff();
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out,
            "v: values, first at element 700001, 3 of 2000000 differ\n1 tensors differ\n");
}

TEST_F(ToolDiff, ComparesBitByBit) {
  std::vector<float> zeros = {0.0F, -0.0F, std::numeric_limits<float>::quiet_NaN()};
  Save("a", {Tensor("z", zeros, DType::kFloat32, {3})});
  zeros[1] = 0.0F;
  Save("b", {Tensor("z", zeros, DType::kFloat32, {3})});
  EXPECT_THAT(Diff().out, HasSubstr("z: values, first at element 1, 1 of 3 differ"))
      << "a NaN equals itself";
}

TEST_F(ToolDiff, UndefinedBitsOfSmallTypesDoNotCount) {
  std::vector<std::uint8_t> nibbles = {0x01, 0xF2, 0x0F};
  Save("a", {Tensor("n", nibbles, DType::kInt4, {3})});
  nibbles = {0x31, 0x02, 0xFF};
  Save("b", {Tensor("n", nibbles, DType::kInt4, {3})});
  EXPECT_EQ(Diff().status, 0);
  const auto digest = [&](const char* name) {
    return RunTool({"ls", temp_.File(name), "--json", "--sha256"}).Json()["tensors"][0]["sha256"];
  };
  EXPECT_EQ(digest("a"), digest("b"));
  nibbles[2] = 0x0E;
  Save("b", {Tensor("n", nibbles, DType::kInt4, {3})});
  EXPECT_THAT(Diff().out, HasSubstr("n: values, first at element 2, 1 of 3 differ"));
}

TEST_F(ToolDiff, TellsNamesDTypesAndShapes) {
  std::vector<float> f(6, 1);
  std::vector<std::int32_t> i(6, 1);
  std::vector<std::string> s = {"x", "y", "z"};
  Save("a", {Tensor("dtype", f, DType::kFloat32, {6}), Tensor("only_a", f, DType::kFloat32, {6}),
             Tensor("same", f, DType::kFloat32, {6}), Tensor("shape", f, DType::kFloat32, {2, 3}),
             Tensor("text", s, DType::kString, {3})});
  std::vector<std::string> t = {"x", "", "zz"};
  Save("b", {Tensor("dtype", i, DType::kInt32, {6}), Tensor("same", f, DType::kFloat32, {6}),
             Tensor("shape", f, DType::kFloat32, {3, 2}), Tensor("text", t, DType::kString, {3}),
             Tensor("z\x1b[31m", f, DType::kFloat32, {6})});
  const ToolResult result = Diff();
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.out,
            "dtype: dtype float32 and int32\n"
            "only_a: only in " +
                temp_.File("a") +
                "\n"
                "shape: shape [2,3] and [3,2]\n"
                "text: values, first at element 1, 2 of 3 differ\n"
                "z\\x1b[31m: only in " +
                temp_.File("b") +
                "\n"
                "5 tensors differ\n");
  EXPECT_EQ(result.error, "");
}

TEST_F(ToolDiff, DamageInEitherIsFoundWhileComparing) {
  std::vector<float> values(100'000, 1);
  Save("a", {Tensor("v", values, DType::kFloat32, {100'000}),
             Tensor("w", values, DType::kFloat32, {10})});
  Save("b", {Tensor("v", values, DType::kFloat32, {100'000}),
             Tensor("w", values, DType::kFloat32, {10})});
  for (const char* damaged : {"a", "b"}) {
    const std::string data = temp_.File(damaged) + ".data-00000-of-00001";
    const std::string content = ReadAll(data);
    std::string broken = content;
    broken[300'000] = static_cast<char>(broken[300'000] ^ 1);
    WriteAll(data, broken);
    const ToolResult result = Diff();
    EXPECT_EQ(result.status, 1);
    EXPECT_TRUE(IsOneErrorLine(result.error)) << result.error;
    EXPECT_THAT(result.error, HasSubstr(data + ": tensor v at offset 4096: checksum mismatch"));
    EXPECT_EQ(result.out, "1 tensors differ\n");
    WriteAll(data, content);
  }
  EXPECT_EQ(Diff().status, 0);
}

TEST_F(ToolDiff, TensorsWithHolesAreFoundWanting) {
  std::vector<float> part(4, 1);
  Save("a", {{.name = "h",
              .tensor = TensorView(part.data(), DType::kFloat32, {4}),
              .full_shape = {8},
              .slice = {{{4, 4}}}}});
  Save("b", {Tensor("x", part, DType::kFloat32, {4})});
  const ToolResult listed = RunTool({"ls", temp_.File("a"), "--json", "--sha256"});
  EXPECT_EQ(listed.status, 1);
  EXPECT_TRUE(listed.Json()["tensors"][0]["sha256"].is_null());
  EXPECT_TRUE(IsOneErrorLine(listed.error)) << listed.error;
  EXPECT_EQ(RunTool({"ls", temp_.File("a"), "--json"}).status, 0);
  EXPECT_EQ(RunTool({"verify", temp_.File("a")}).status, 0) << "what is stored is whole";
  const ToolResult printed = RunTool({"cat", temp_.File("a"), "h"});
  EXPECT_EQ(printed.status, 1);
  EXPECT_THAT(printed.error, HasSubstr("tensor h do not cover it"));
}

TEST_F(ToolDiff, NamesOfAnyBytesAreListedAndFound) {
  std::vector<float> one = {2.5F};
  const std::string name = "caf\xC3\xA9/\xFF\x01\n";
  Save("a", {Tensor(name, one, DType::kFloat32, {})});
  const nlohmann::json tensor = RunTool({"ls", temp_.File("a"), "--json"}).Json()["tensors"][0];
  EXPECT_EQ(tensor["name"], "caf\xC3\xA9/\\xff\x01\n");
  EXPECT_EQ(tensor["name_b64"], "Y2Fmw6kv/wEK");
  EXPECT_EQ(tensor["shape"], nlohmann::json::array());
  EXPECT_THAT(RunTool({"ls", temp_.File("a")}).out,
              HasSubstr("caf\xC3\xA9/\\xff\\x01\\n  float32  []"));
  EXPECT_EQ(RunTool({"cat", temp_.File("a"), "--name-b64", "Y2Fmw6kv/wEK"}).out, "2.5\n");
}

}  // namespace
}  // namespace waypost
