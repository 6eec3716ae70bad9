// judge_write_summaries DIR SEED: what tests/python/judge_events.py gives to the real TensorFlow
// and TensorBoard.
//
//   DIR/graph.pb       a graph with every summary operation, and their merge
//   DIR/runs.json      {"fetch": "Merge/MergeSummary:0", "runs": [{"feeds": {"name:0": {"dtype",
//                      "shape", "hex" or "strings_hex"}}, "summary_hex": what Session::Run made}]}
//   DIR/hand.json      values of a Summary by hand: their inputs and its bytes
//   DIR/logs/...       an event file with every kind of event
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "waypost/event_reader.h"
#include "waypost/file_writer.h"
#include "waypost/session.h"

namespace waypost {
namespace {

using nlohmann::json;

constexpr int kRuns = 12;

std::string Hex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

// A value of random numbers, and its memory.
struct Value {
  DType dtype = DType::kFloat32;
  Shape shape;
  std::string bytes;
  std::vector<std::string> strings;

  ConstTensorView View() const {
    const void* data =
        dtype == DType::kString ? static_cast<const void*>(strings.data()) : bytes.data();
    return {data, dtype, shape};
  }
  json ToJson() const {
    json told = {{"dtype", DTypeName(dtype)}, {"shape", shape}, {"hex", Hex(bytes)}};
    told["strings_hex"] = json::array();
    for (const std::string& text : strings) told["strings_hex"].push_back(Hex(text));
    return told;
  }
};

class Numbers {
 public:
  explicit Numbers(std::uint64_t seed) : random_(seed) {}

  std::int64_t UpTo(std::int64_t limit) {
    return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(limit + 1));
  }
  bool Chance(int of) { return random_() % static_cast<std::uint64_t>(of) == 0; }

  // Of very different sizes; now and then all positive, nearly nothing, or with some not finite.
  std::vector<double> Reals(std::size_t count, bool may_be_infinite) {
    const double scale = std::ldexp(1.0, static_cast<int>(UpTo(40)) - 20);
    const double lowest = Chance(2) ? 0 : -scale;
    std::uniform_real_distribution<double> numbers(lowest, scale);
    std::vector<double> values(count);
    for (double& value : values) {
      value = numbers(random_);
      if (!may_be_infinite || !Chance(9)) continue;
      constexpr double kInfinity = std::numeric_limits<double>::infinity();
      value = Chance(2)   ? std::numeric_limits<double>::quiet_NaN()
              : Chance(2) ? kInfinity
                          : -kInfinity;
    }
    return values;
  }

  Value Of(DType dtype, const Shape& shape, bool may_be_infinite = false) {
    Value value = {.dtype = dtype, .shape = shape, .bytes = {}, .strings = {}};
    const auto count = static_cast<std::size_t>(ElementCount(shape));
    if (dtype == DType::kString) {
      for (std::size_t i = 0; i < count; ++i) {
        value.strings.emplace_back(static_cast<std::size_t>(UpTo(5)), static_cast<char>(random_()));
      }
      return value;
    }
    for (const double number : Reals(count, may_be_infinite)) AppendElement(value, number);
    return value;
  }

 private:
  template <typename T>
  static void Append(Value& value, T element) {
    value.bytes.append(reinterpret_cast<const char*>(&element), sizeof element);
  }
  void AppendElement(Value& value, double number) {
    switch (value.dtype) {
      case DType::kFloat32: return Append(value, static_cast<float>(number));
      case DType::kFloat64: return Append(value, number);
      // Of all finite half-precision numbers, whatever `number` is.
      case DType::kFloat16: return Append(value, static_cast<std::uint16_t>(random_() & 0xFBFFU));
      case DType::kUInt8: return Append(value, static_cast<std::uint8_t>(random_()));
      default: return Append(value, static_cast<std::int64_t>(random_() >> 20U));
    }
  }

  std::mt19937_64 random_;
};

// A placeholder and how to make a value for it.
struct Input {
  Output output;
  std::string name;
  DType dtype;
  Shape shape;  // -1: any number of members
  bool may_be_infinite;
};

class Sample {
 public:
  Sample() {
    AddOperations();
    merged_ = summary::MergeAll(graph_);
  }

  const Graph& graph() const { return graph_; }

  json Run(Engine& engine, Numbers& numbers) {
    std::map<std::string, Value> values;
    std::vector<std::pair<Output, Feed>> feeds;
    json told;
    for (const Input& input : inputs_) {
      Shape shape = input.shape;
      for (std::int64_t& dim : shape) {
        if (dim == -1) dim = numbers.UpTo(5);
      }
      Value& value = values[input.name];
      value = numbers.Of(input.dtype, shape, input.may_be_infinite);
      if (input.name == "sc/rate_in") {
        const float hz = 8000.4F + static_cast<float>(numbers.UpTo(40000));
        std::memcpy(value.bytes.data(), &hz, sizeof hz);
      }
      feeds.emplace_back(input.output, Feed(value.View()));
      told["feeds"][input.name + ":0"] = value.ToJson();
    }
    const Session session(engine, graph_);
    told["summary_hex"] = Hex(session.Run(merged_, feeds).Serialize());
    return told;
  }

 private:
  void AddOperations() {
    const NameScope scope(graph_, "sc");
    summary::Scalar(graph_, "loss", Add("loss", DType::kFloat64, {}, true));
    summary::Scalar(graph_, "count", Add("count", DType::kInt64, {}), {.family = "fam"});
    summary::Histogram(graph_, "weights", Add("weights", DType::kFloat32, {-1, 3}));
    summary::Histogram(graph_, "halves", Add("halves", DType::kFloat16, {-1}), {.family = "fam"});
    const Output floats = Add("images", DType::kFloat32, {-1, 5, 7, 3}, true);
    summary::Image(graph_, "floats", floats);
    summary::Image(graph_, "floats", floats, {.max_outputs = 1, .family = "fam"});
    summary::Image(graph_, "doubles", Add("doubles", DType::kFloat64, {-1, 4, 4, 4}, true));
    summary::Image(graph_, "gray", Add("gray", DType::kFloat32, {2, 6, 6, 1}, true));
    summary::Image(graph_, "half", Add("half", DType::kFloat16, {-1, 6, 6, 1}));
    summary::Image(graph_, "bytes", Add("bytes", DType::kUInt8, {-1, 3, 2, 4}), {.max_outputs = 2});
    const Output clips = Add("clips", DType::kFloat32, {-1, 40}, true);
    const Output stereo = Add("stereo", DType::kFloat32, {-1, 30, 2});
    const Output rate = Add("rate", DType::kFloat32, {});
    summary::Audio(graph_, "clips", clips, 44100.5F);
    summary::Audio(graph_, "stereo", stereo, rate, {.max_outputs = 1, .family = "fam"});
    summary::Text(graph_, "text", Add("text", DType::kString, {2, 2}));
    summary::Text(graph_, "word", Add("word", DType::kString, {}));
    summary::TensorSummary(graph_, "tensor", Add("tensor", DType::kInt64, {-1, 2}),
                           {.summary_description = "described",
                            .display_name = "shown",
                            .summary_metadata = {.plugin_name = "mine", .plugin_content = "\x01"}});
  }

  Output Add(const std::string& name, DType dtype, const Shape& shape,
             bool may_be_infinite = false) {
    const Output output = graph_.AddPlaceholder(name + "_in", dtype, shape);
    inputs_.push_back({output, "sc/" + name + "_in", dtype, shape, may_be_infinite});
    return output;
  }

  Graph graph_;
  std::vector<Input> inputs_;
  Output merged_;
};

void WriteJson(const std::string& path, const json& content) { std::ofstream(path) << content; }

void WriteRuns(const std::string& dir, std::uint64_t seed) {
  Engine engine({.staging_bytes = 16 << 20});
  Sample sample;
  WriteGraph(sample.graph(), dir, "graph.pb", false);
  Numbers numbers(seed);
  json told = {{"fetch", "Merge/MergeSummary:0"}, {"runs", json::array()}};
  for (int run = 0; run < kRuns; ++run) told["runs"].push_back(sample.Run(engine, numbers));
  WriteJson(dir + "/runs.json", told);
}

Summary ByHand(const Value& image, const Value& clip, const Value& numbers) {
  Summary summary;
  summary.AddScalar("h/scalar", 0.1F);
  summary.AddHistogram("h/histogram", numbers.View());
  summary.AddImage("h/image", image.View());
  summary.AddAudio("h/audio", clip.View(), 16000);
  summary.AddText("h/text", "*caf\xc3\xa9*");
  summary.AddTensor("h/tensor", numbers.View());
  return summary;
}

// Every kind of event, and a run that was resumed.
void WriteLogs(const std::string& logdir, Numbers& numbers) {
  Sample sample;
  const Value image = numbers.Of(DType::kUInt8, {4, 6, 3});
  const Value clip = numbers.Of(DType::kFloat32, {100, 2});
  const Value values = numbers.Of(DType::kFloat32, {50});
  const Summary summary = ByHand(image, clip, values);
  WriteJson(logdir + ".json", {{"summary_hex", Hex(summary.Serialize())},
                               {"image", image.ToJson()},
                               {"clip", clip.ToJson()},
                               {"values", values.ToJson()}});
  FileWriter writer(logdir, sample.graph(), {.filename_suffix = ".sfx"});
  for (int step = 0; step < 6; ++step) writer.AddSummary(summary, step);
  writer.AddSessionLog(
      {.status = SessionStatus::kCheckpoint, .checkpoint_path = "ckpt/m-5", .message = "saved"}, 5);
  writer.AddRunMetadata(std::string("\x0a\x00", 2), "step5", 5);
  writer.Close();
  writer.Reopen();
  const std::int64_t resumed = LastStep(logdir).value() - 1;
  writer.AddSessionStart(resumed);
  for (std::int64_t step = resumed; step < 8; ++step) writer.AddSummary(summary, step);
  writer.AddSessionLog({.status = SessionStatus::kStop}, 8);
  writer.Close();
}

}  // namespace
}  // namespace waypost

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: judge_write_summaries DIR SEED\n", stderr);
    return 2;
  }
  try {
    const std::string dir = argv[1];
    const std::uint64_t seed = std::stoull(argv[2]);
    std::filesystem::create_directories(dir);
    waypost::WriteRuns(dir, seed);
    waypost::Numbers numbers(seed + 1);
    waypost::WriteLogs(dir + "/logs", numbers);
  } catch (const std::exception& error) {
    fmt::print(stderr, "judge_write_summaries: {}\n", error.what());
    return 1;
  }
  return 0;
}
