// What no checksum covers, all of it: each is shown to go unnoticed, and to be no more than it is.
//
//   - whole records that are cut from an event file, moved or doubled;
//   - a state file that names another checkpoint which is whole, or another time;
//   - TensorFlow's own .meta (ours is covered by the index);
//   - a V1 file that is another step's, whole; of several files one such, so that two steps mix;
//   - all files of a checkpoint replaced by those of another;
//   - the bytes of a safetensors file's tensors;
//   - of TensorFlow's files what is no tensor's: padding, bytes behind the end.
//
// No loading takes a byte for a tensor's value that was not saved as one, but for safetensors.
#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "base/bytes.h"
#include "convert/convert.h"
#include "convert/source.h"
#include "damage/damage.h"
#include "damage/disk.h"
#include "damage/loads.h"
#include "damage/tally.h"
#include "damage/victims.h"
#include "format/record_io.h"
#include "support/expect_error.h"
#include "support/full_run.h"
#include "support/golden.h"
#include "support/seed.h"
#include "support/temp_dir.h"
#include "waypost/event_reader.h"
#include "waypost/saver.h"

namespace waypost {
namespace {

Victim VictimOf(const std::string& name) {
  for (Victim& victim : AllVictims()) {
    if (victim.name == name) return std::move(victim);
  }
  ADD_FAILURE() << name;
  return {};
}

void CopyFiles(const std::string& from, const std::string& to) {
  for (const auto& entry : std::filesystem::directory_iterator(from)) {
    std::filesystem::copy(entry.path(), std::filesystem::path(to) / entry.path().filename(),
                          std::filesystem::copy_options::overwrite_existing);
  }
}

TEST(NotDetectable, WholeRecordsCutMovedOrDoubled) {
  const TempDir temp;
  const std::string golden = ReadGolden("events/tf1/events.out.tfevents.1795441380.vm.golden");
  std::vector<std::string> records;
  RecordReader reader(AsBytes(golden), "golden");
  std::uint64_t begin = 0;
  for (std::span<const std::byte> record; reader.Next(record); begin = reader.offset()) {
    records.push_back(golden.substr(static_cast<std::size_t>(begin),
                                    static_cast<std::size_t>(reader.offset() - begin)));
  }
  const auto count = [&](const std::vector<std::size_t>& chosen) {
    std::string content;
    for (const std::size_t record : chosen) content += records.at(record);
    const std::string path = temp.File("events.out.tfevents.1");
    WriteAll(path, content);
    EXPECT_EQ(RunVerify(path).status, 0);
    std::size_t events = 0;
    EventReader events_reader(path);
    while (events_reader.Next()) ++events;
    EXPECT_TRUE(events_reader.torn_tails().empty());
    return events;
  };
  EXPECT_EQ(count({0, 1, 2}), 3U) << "the end is cut";
  EXPECT_EQ(count({0, 1, 3, 4}), 4U) << "one is cut";
  EXPECT_EQ(count({0, 2, 1}), 3U) << "two are swapped";
  EXPECT_EQ(count({0, 1, 1}), 3U) << "one is there twice";
}

TEST(NotDetectable, AStateFileThatNamesAnotherWholeCheckpoint) {
  const TempDir temp;
  Engine engine = TestEngine();
  for (const int step : {1, 2}) {
    SaveAsync(engine, temp.File("m-" + std::to_string(step)), MakeSmallState(step).tensors())
        .WaitFinished();
  }
  const std::string one = temp.File("m-1");
  UpdateCheckpointState(temp.path(), one, {.all_model_checkpoint_timestamps = {1.5}});
  std::string state = ReadAll(temp.File("checkpoint"));
  for (std::size_t at = 0; (at = state.find(one, at)) != state.npos;)
    state[at + one.size() - 1] = '2';
  state.replace(state.find("1.5"), 3, "9.5");
  WriteAll(temp.File("checkpoint"), state);
  EXPECT_EQ(RunVerify(temp.path()).status, 0);
  const TensorSet target = MakeSmallState(1).Blank();
  EXPECT_EQ(RestoreLatest(engine, temp.path(), target.tensors()).prefix, temp.File("m-2"));
  EXPECT_TRUE(target.Differences(MakeSmallState(2)).empty()) << "it is whole";
}

TEST(NotDetectable, TensorFlowsMetaGraph) {
  const TempDir temp;
  CopyFiles(GoldenPath("v2_partitioned"), temp.path());
  const std::string meta = temp.File("part.ckpt.meta");
  std::string content = ReadAll(meta);
  const std::size_t name = content.find("p/rows");
  content[name] = 'q';
  WriteAll(meta, content);
  EXPECT_EQ(RunVerify(temp.File("part.ckpt")).status, 0);
  EXPECT_NE(MetaGraph::Read(meta).Serialize().find("q/rows"), std::string::npos);
}

// Beside it: ours.
TEST(Detectable, AnyDamageOfOurMetaGraph) {
  const TempDir temp;
  const std::string prefix = temp.File("m");
  const std::string original = ReadGolden("v2_partitioned/part.ckpt.meta");
  Engine engine = TestEngine();
  SaveAsync(engine, prefix, MakeSmallState(1).tensors(), {.meta_graph = original}).WaitFinished();
  const std::string meta = prefix + ".meta";
  const auto import = [&] {
    Graph graph;
    ImportMetaGraph(graph, meta);
  };
  EXPECT_EQ(CodeOf(import), std::nullopt);
  std::mt19937_64 random(TestSeed());
  Tally tally("our .meta");
  const int rounds = InFullRun(600, 40);
  for (int round = 0; round < rounds && !testing::Test::HasFailure();) {
    const DamageKind kind = kAllDamage[random() % std::size(kAllDamage)];
    const auto damage = MakeDamage(kind, original, {ReadGolden("v1/old.ckpt-3.meta")},
                                   ReadGolden("v2_sharded/sh.ckpt-100.meta"), random);
    if (!damage) continue;
    SCOPED_TRACE(NameOf(kind));
    WriteAll(meta, damage->content);
    const std::string message = MessageOf(import);
    EXPECT_NE(message.find(meta), std::string::npos) << message;
    const Verdict verdict = RunVerify(prefix);
    EXPECT_EQ(verdict.status, 1);
    tally.Add(".meta", kind,
              {.loading_told = !message.empty(), .verify_told = verdict.status != 0});
    WriteAll(meta, original);
    ++round;
  }
  EXPECT_EQ(CodeOf(import), std::nullopt);
}

TEST(NotDetectable, AV1FileOfAnotherStep) {
  const TempDir one;
  const TempDir two;
  const Victim victim = VictimOf("V1Large");
  const std::string prefix = victim.make(one.path(), 1);
  const std::string other = victim.make(two.path(), 2);
  CopyFiles(two.path(), one.path());
  EXPECT_EQ(RunVerify(prefix).status, 0);
  EXPECT_TRUE(ReadTensors(prefix).Differences(ReadTensors(other)).empty()) << "whole, of step 2";
}

TEST(NotDetectable, AllFilesOfAnotherCheckpoint) {
  const TempDir one;
  const TempDir two;
  const Victim victim = VictimOf("Sliced");
  const std::string prefix = victim.make(one.path(), 1);
  const std::string other = victim.make(two.path(), 2);
  CopyFiles(two.path(), one.path());
  EXPECT_EQ(RunVerify(prefix).status, 0);
  EXPECT_TRUE(ReadTensors(prefix).Differences(ReadTensors(other)).empty()) << "whole, of step 2";
}

TEST(NotDetectable, PaddingOfTensorFlowsFiles) {
  const TempDir temp;
  const Victim victim = VictimOf("TfSingle");
  const std::string prefix = victim.make(temp.path(), 1);
  const TensorSet expected = ReadTensors(prefix);
  const std::string data = prefix + ".data-00000-of-00001";
  WriteAll(data, ReadAll(data) + "more");
  EXPECT_EQ(RunVerify(prefix).status, 0);
  EXPECT_TRUE(ReadTensors(prefix).Differences(expected).empty());
}

class SafetensorsDamage : public testing::Test {
 protected:
  SafetensorsDamage() {
    tool::Convert(PosixFileSystem(),
                  {.source = GoldenPath("v2_partitioned/part.ckpt"),
                   .target = path_,
                   .skip_unsupported = true},
                  {});
  }

  // The bytes of all tensors; what a damaged file says of them must still be within it.
  std::string ReadSource() {
    const std::unique_ptr<tool::Source> source =
        tool::OpenSafetensorsSource(PosixFileSystem(), path_);
    std::string bytes;
    for (std::size_t i = 0; i < source->tensors().size(); ++i) {
      if (ElementBytes(source->tensors()[i].dtype) == 0) continue;
      source->Stream({.tensor = i},
                     [&](std::span<const std::byte> piece) { bytes += AsText(piece); });
    }
    return bytes;
  }

  TempDir temp_;
  std::string path_ = temp_.File("m.safetensors");
};

TEST_F(SafetensorsDamage, OfATensorIsNotDetectableAndVerifySaysSo) {
  const std::string before = ReadSource();
  std::string content = ReadAll(path_);
  content.back() = static_cast<char>(content.back() ^ 1);
  WriteAll(path_, content);
  EXPECT_NE(ReadSource(), before);
  const Verdict verdict = RunVerify(path_);
  EXPECT_EQ(verdict.status, 2);
  EXPECT_EQ(verdict.refused, "verify " + path_ + ": safetensors files hold no checksums");
}

TEST_F(SafetensorsDamage, OfTheHeaderOrTheLengthIsAnErrorOrLeavesEveryTensorWithinTheFile) {
  const std::string original = ReadAll(path_);
  const std::string before = ReadSource();
  std::mt19937_64 random(TestSeed());
  Tally tally("safetensors");
  const int rounds = InFullRun(800, 40);
  for (int round = 0; round < rounds && !HasFailure();) {
    const DamageKind kind = kAllDamage[random() % std::size(kAllDamage)];
    if (kind == DamageKind::kMissing || kind == DamageKind::kOtherStep) continue;
    const auto damage =
        MakeDamage(kind, original, {ReadGolden("graph/graph.pb")}, std::nullopt, random);
    if (!damage) continue;
    SCOPED_TRACE(NameOf(kind));
    WriteAll(path_, damage->content);
    std::string read;
    const std::string message = MessageOf([&] { read = ReadSource(); });
    EXPECT_TRUE(message.empty() || message.find(path_) != message.npos) << message;
    EXPECT_LE(read.size(), damage->content->size());
    tally.Add(
        "safetensors", kind,
        {.loading_told = !message.empty(), .undetectable = message.empty() && read != before});
    ++round;
  }
}

}  // namespace
}  // namespace waypost
