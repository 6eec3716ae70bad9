// The state file's text: what TensorFlow wrote is read and printed back byte for byte; each rule of
// the text format is shown by one text and what it stands for (values that Python's text_format
// gave); whatever is damaged ends in kDataLoss that names file and line, and whatever is printed
// reads back the same.
#include "wire/state_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <random>

#include "support/seed.h"
#include "support/test_paths.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Golden(const std::string& name) {
  std::ifstream file(TestDataDir() + "/golden/state/" + name, std::ios::binary);
  EXPECT_TRUE(file) << name;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string PathOf(const std::string& text) {
  return ParseStateText(text, "state").model_checkpoint_path;
}

std::string PathOfEscaped(const std::string& escaped) {
  return PathOf("model_checkpoint_path: \"" + escaped + "\"");
}

std::string FailureOf(const std::string& text) {
  try {
    ParseStateText(text, "dir/checkpoint");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kDataLoss);
    return error.what();
  }
  return "no error";
}

bool SameTime(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void ExpectSame(const CheckpointState& a, const CheckpointState& b) {
  EXPECT_EQ(a.model_checkpoint_path, b.model_checkpoint_path);
  EXPECT_EQ(a.all_model_checkpoint_paths, b.all_model_checkpoint_paths);
  ASSERT_EQ(a.all_model_checkpoint_timestamps.size(), b.all_model_checkpoint_timestamps.size());
  for (std::size_t i = 0; i < a.all_model_checkpoint_timestamps.size(); ++i) {
    EXPECT_TRUE(
        SameTime(a.all_model_checkpoint_timestamps[i], b.all_model_checkpoint_timestamps[i]));
  }
  EXPECT_TRUE(
      SameTime(a.last_preserved_timestamp.value_or(0), b.last_preserved_timestamp.value_or(0)));
}

TEST(StateText, ReadsWhatTensorFlowWrote) {
  const CheckpointState absolute = ParseStateText(Golden("absolute"), "absolute");
  EXPECT_EQ(absolute.model_checkpoint_path, "/data/train/m.ckpt-300");
  EXPECT_THAT(
      absolute.all_model_checkpoint_paths,
      ElementsAre("/data/train/m.ckpt-100", "/data/train/m.ckpt-200", "/data/train/m.ckpt-300"));
  EXPECT_THAT(absolute.all_model_checkpoint_timestamps, IsEmpty());
  EXPECT_FALSE(absolute.last_preserved_timestamp);

  const CheckpointState escapes = ParseStateText(Golden("escapes"), "escapes");
  EXPECT_EQ(escapes.model_checkpoint_path, "/data/d\xC3\xA9j\xC3\xA0 \"vu\"\\n-1");
  EXPECT_THAT(escapes.all_model_checkpoint_paths,
              ElementsAre("/data/d\xC3\xA9j\xC3\xA0 \"vu\"\\n-1"));

  const CheckpointState timestamps = ParseStateText(Golden("timestamps"), "timestamps");
  EXPECT_THAT(timestamps.all_model_checkpoint_paths, ElementsAre("m.ckpt-10", "m.ckpt-20"));
  EXPECT_THAT(timestamps.all_model_checkpoint_timestamps,
              ElementsAre(1700000000.5, 1700003600.123456));
  EXPECT_EQ(timestamps.last_preserved_timestamp, 1699990000.0);
}

TEST(StateText, PrintsTensorFlowsFilesByteForByte) {
  for (const char* name : {"absolute", "escapes", "relative", "timestamps"}) {
    EXPECT_EQ(PrintStateText(ParseStateText(Golden(name), name)), Golden(name)) << name;
  }
}

TEST(StateText, PrintsDoublesAsPythonDoes) {
  const auto printed = [](double value) {
    const std::string text = PrintStateText({.all_model_checkpoint_timestamps = {value}});
    return text.substr(text.find(' ') + 1);
  };
  EXPECT_EQ(printed(0.0), "0.0\n");
  EXPECT_EQ(printed(-0.0), "-0.0\n");
  EXPECT_EQ(printed(1700000000), "1700000000.0\n");
  EXPECT_EQ(printed(0.1), "0.1\n");
  EXPECT_EQ(printed(1.0 / 3), "0.3333333333333333\n");
  EXPECT_EQ(printed(1e15), "1000000000000000.0\n");
  EXPECT_EQ(printed(9999999999999998), "9999999999999998.0\n");
  EXPECT_EQ(printed(1e16), "1e+16\n");
  EXPECT_EQ(printed(1.5e16), "1.5e+16\n");
  EXPECT_EQ(printed(1e300), "1e+300\n");
  EXPECT_EQ(printed(0.0001), "0.0001\n");
  EXPECT_EQ(printed(0.00001), "1e-05\n");
  EXPECT_EQ(printed(5e-324), "5e-324\n");
  EXPECT_EQ(printed(-2.5), "-2.5\n");
  EXPECT_EQ(printed(std::numeric_limits<double>::infinity()), "inf\n");
  EXPECT_EQ(printed(-std::numeric_limits<double>::infinity()), "-inf\n");
  EXPECT_EQ(printed(-std::numeric_limits<double>::quiet_NaN()), "nan\n");
}

TEST(StateText, EscapesControlBytesAndWhatIsNoUtf8) {
  const CheckpointState state = {.model_checkpoint_path =
                                     std::string("\n\r\t\"'\\\0\x1F\x7F\xFF\xC3|\xC3\xA9", 14)};
  EXPECT_EQ(PrintStateText(state),
            "model_checkpoint_path: \"\\n\\r\\t\\\"\\'\\\\\\000\\037\\177\\377\\303|\xC3\xA9\"\n");
  EXPECT_EQ(ParseStateText(PrintStateText(state), "state").model_checkpoint_path,
            state.model_checkpoint_path);
}

TEST(StateText, TakesEveryEscape) {
  EXPECT_EQ(PathOfEscaped(R"(\a\b\f\n\r\t\v\?\\\'\")"), "\a\b\f\n\r\t\v?\\'\"");
  EXPECT_EQ(PathOfEscaped(R"(\1018\7\12x)"), "A8\x07\nx") << "at most three octal digits";
  EXPECT_EQ(PathOfEscaped(R"(\x41\x4a\xAz)"), "AJ\nz") << "at most two hex digits";
  EXPECT_EQ(PathOfEscaped(R"(\303\251)"), "\xC3\xA9");
  EXPECT_EQ(PathOfEscaped(R"(\u00e9\u20AC\U0001F600)"), "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(PathOfEscaped(R"(\ud83d\ude00)"), "\xF0\x9F\x98\x80") << "a surrogate pair";
  EXPECT_EQ(PathOfEscaped(R"(\000)"), std::string(1, '\0'));
}

TEST(StateText, RefusesEscapesThatAreNone) {
  for (const char* escaped :
       {R"(\q)", R"(\8)", R"(\400)", R"(\x)", R"(\xg)", R"(\u12)", R"(\U0001F60)", R"(\U00110000)",
        R"(\ud83d)", R"(\ud83dx)", R"(\ude00)", R"(\ud83d\u0041)", R"(\U0000d800)", R"(\)"}) {
    EXPECT_THAT(FailureOf(std::string("\nmodel_checkpoint_path: \"") + escaped + "\""),
                ::testing::MatchesRegex("dir/checkpoint: line 2: .*(escape|string).*"))
        << escaped;
  }
}

TEST(StateText, TakesTheWholeOfTheTextFormat) {
  EXPECT_EQ(PathOf("model_checkpoint_path:'a\"b'"), "a\"b");
  EXPECT_EQ(PathOf("model_checkpoint_path: \"a\" 'b'\n\t\"c\"\"d\" # no more\n"), "abcd");
  EXPECT_EQ(PathOf("# first\r\n\r\nmodel_checkpoint_path # here\r\n:\"m\"\r\n"), "m");
  EXPECT_EQ(PathOf("model_checkpoint_path:\"a\";model_checkpoint_path:\"b\","), "b")
      << "the last wins";
  EXPECT_EQ(PathOf(""), "");
  EXPECT_EQ(PathOf("# only a comment"), "");
  EXPECT_EQ(PathOf("\f\v model_checkpoint_path: \"#x\""), "#x") << "no comment inside a string";

  const CheckpointState lists = ParseStateText(
      "all_model_checkpoint_paths: [\"a\", 'b' \"c\"] all_model_checkpoint_paths: \"d\"\n"
      "all_model_checkpoint_paths: [] all_model_checkpoint_timestamps: [1, 2.5e1, -.5,\n3.f, - # "
      "minus\n 4]"
      "last_preserved_timestamp: 1;last_preserved_timestamp: 2",
      "state");
  EXPECT_THAT(lists.all_model_checkpoint_paths, ElementsAre("a", "bc", "d"));
  EXPECT_THAT(lists.all_model_checkpoint_timestamps, ElementsAre(1, 25, -0.5, 3, -4));
  EXPECT_EQ(lists.last_preserved_timestamp, 2);
}

TEST(StateText, TakesEverySpellingOfADouble) {
  const auto number = [](const std::string& text) {
    return ParseStateText("last_preserved_timestamp: " + text, "state")
        .last_preserved_timestamp.value();
  };
  EXPECT_EQ(number("0"), 0);
  EXPECT_EQ(number("1700003600.123456"), 1700003600.123456);
  EXPECT_EQ(number("1e+16"), 1e16);
  EXPECT_EQ(number("1E-3F"), 1e-3);
  EXPECT_EQ(number("7."), 7);
  EXPECT_EQ(number("10f"), 10);
  EXPECT_EQ(number("inf"), std::numeric_limits<double>::infinity());
  EXPECT_EQ(number("-Infinity"), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(number("nan")));
}

TEST(StateText, RefusesWhatIsNoNumber) {
  for (const char* text : {"", "-", "x", "1x", "0x10", "010", "--1", "1e", "1.2.3", "\"1\"",
                           "1e999", "ff", "[1]", ".", "f"}) {
    EXPECT_THAT(FailureOf(std::string("last_preserved_timestamp: ") + text),
                HasSubstr("line 1: a number"))
        << text;
  }
}

TEST(StateText, NamesTheLineAndTheUnknownField) {
  EXPECT_EQ(FailureOf("model_checkpoint_path: \"m\"\n\nnonsense: 3\n"),
            "dir/checkpoint: line 3: unknown field \"nonsense\"");
  EXPECT_EQ(FailureOf("model_checkpoint_path: \"m"),
            "dir/checkpoint: line 1: a string without an end");
  EXPECT_EQ(FailureOf("model_checkpoint_path: \"m\n\""),
            "dir/checkpoint: line 1: a string without an end");
  EXPECT_EQ(FailureOf("model_checkpoint_path\n\n \"m\""), "dir/checkpoint: line 3: \":\" expected");
  EXPECT_EQ(FailureOf("model_checkpoint_path: 3"),
            "dir/checkpoint: line 1: a string in quotes expected");
  EXPECT_EQ(FailureOf("model_checkpoint_path: [\"m\"]"),
            "dir/checkpoint: line 1: a string in quotes expected");
  EXPECT_EQ(FailureOf("all_model_checkpoint_paths: [\"a\",]"),
            "dir/checkpoint: line 1: a string in quotes expected");
  EXPECT_EQ(FailureOf("all_model_checkpoint_paths: [\"a\" "),
            "dir/checkpoint: line 1: \"]\" expected");
  EXPECT_EQ(FailureOf("model_checkpoint_path: \"m\";;"),
            "dir/checkpoint: line 1: a field's name expected");
  EXPECT_EQ(FailureOf("\xEF\xBB\xBFmodel_checkpoint_path: \"m\""),
            "dir/checkpoint: line 1: a field's name expected");
}

TEST(StateText, PrintedStatesReadBack) {
  std::mt19937_64 random(TestSeed());
  for (int round = 0; round < 300; ++round) {
    const auto text = [&] {
      std::string value(random() % 12, '\0');
      for (char& c : value) c = static_cast<char>(random());
      return value;
    };
    CheckpointState state = {.model_checkpoint_path = text()};
    for (std::uint64_t i = random() % 4; i > 0; --i) {
      state.all_model_checkpoint_paths.push_back(text());
      state.all_model_checkpoint_timestamps.push_back(std::bit_cast<double>(random()));
    }
    if (random() % 2 == 0) state.last_preserved_timestamp = std::bit_cast<double>(random());
    ExpectSame(ParseStateText(PrintStateText(state), "state"), state);
  }
}

// Damage either goes unseen by the grammar, and then the state prints and reads back, or is
// kDataLoss with the file's name in one line.
TEST(StateText, DamagedTextIsReadOrRefused) {
  std::mt19937_64 random(TestSeed());
  const std::string pieces = "\"'\\[]:,;#-\n\0x1.eu\xFF";
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = Golden(round % 2 == 0 ? "timestamps" : "escapes");
    for (std::uint64_t i = random() % 3 + 1; i > 0 && !text.empty(); --i) {
      const std::size_t at = random() % text.size();
      switch (random() % 4) {
        case 0: text[at] = static_cast<char>(random()); break;
        case 1: text.insert(at, 1, pieces[random() % pieces.size()]); break;
        case 2: text.erase(at, random() % 9 + 1); break;
        default: text.resize(at + 1); break;
      }
    }
    try {
      const CheckpointState state = ParseStateText(text, "file");
      ExpectSame(ParseStateText(PrintStateText(state), "again"), state);
    } catch (const Error& error) {
      ++refused;
      EXPECT_EQ(error.code(), Code::kDataLoss);
      EXPECT_THAT(error.what(), ::testing::StartsWith("file: line "));
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  EXPECT_GT(refused, 1000);
}

}  // namespace
}  // namespace waypost
